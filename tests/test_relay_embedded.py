"""A relay inside another program."""

from __future__ import annotations

import socket
import stat
import threading
from pathlib import Path

import pytest
from relay_help import BareClient, until

from chatcore.errors import ConfigError, RelayError
from chatcore.wire import Kind, Refusal
from relay import keys
from relay.embedded import EmbeddedRelay


def port_of(relay: EmbeddedRelay) -> int:
    """Return the port in the relay's line."""
    return int(relay.line.split(":")[2].split("/")[0])


def test_it_serves_with_tls_and_keeps_its_key(tmp_path: Path) -> None:
    pins = set()
    for _ in range(2):
        relay = EmbeddedRelay(tmp_path / "relay")
        assert relay.line == ""
        relay.start()
        try:
            relay.start()  # a second time changes nothing
            pins.add(relay.line.rsplit("/", 1)[1])
            with (
                BareClient(port_of(relay), tls=True).join() as alice,
                BareClient(port_of(relay), tls=True).join() as bob,
            ):
                assert bob.others == [alice.seat]
        finally:
            relay.stop()
        assert relay.line == ""
    assert pins == {keys.to_base64url(keys.pin_of(tmp_path / "relay" / keys.CERTIFICATE_NAME))}
    assert stat.S_IMODE((tmp_path / "relay" / keys.KEY_NAME).stat().st_mode) == 0o600


def test_stop_tells_those_connected_and_ends_the_thread(tmp_path: Path) -> None:
    relay = EmbeddedRelay(tmp_path)
    relay.stop()  # before the start, nothing happens
    relay.start()
    port = port_of(relay)
    alice = BareClient(port, tls=True).join()
    stopper = threading.Thread(target=relay.stop)
    stopper.start()
    got = alice.frame()
    assert (got.kind, got.argument) == (Kind.REFUSED, Refusal.SHUTTING_DOWN)
    alice.sock.close()
    stopper.join(20)
    assert not stopper.is_alive()
    relay.stop()
    until(lambda: "parley-relay" not in {t.name for t in threading.enumerate()}, "the thread is gone")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_it_can_be_started_again_on_the_same_port(tmp_path: Path) -> None:
    relay = EmbeddedRelay(tmp_path)
    relay.start()
    port = port_of(relay)
    relay.stop()
    again = EmbeddedRelay(tmp_path, port=port)
    again.start()
    assert port_of(again) == port
    again.stop()


def test_a_port_in_use_is_one_sentence_and_can_be_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        relay = EmbeddedRelay(tmp_path, port=port)
        with pytest.raises(RelayError, match=f"^port {port} is in use: "):
            relay.start()
    relay.start()
    relay.stop()


def test_a_place_that_cannot_be_written_is_one_sentence_for_who_never_saw_a_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        EmbeddedRelay(tmp_path / "file" / "relay").start()
    assert str(caught.value) == (
        f"The relay of this computer can't start ({tmp_path}/file/relay: can't make this directory (Not a directory)). "
        "See that its directory can be written, or move it away: "
        "then Parley makes a new one, and rooms that were made on the old one need new invites."
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [(keys.CERTIFICATE_NAME, b""), (keys.CERTIFICATE_NAME, b"damaged")]
    + [(keys.KEY_NAME, data) for data in (None, b"", b"damaged")],
)
def test_damaged_files_are_one_sentence_and_stay_as_they_are(tmp_path: Path, name: str, data: bytes | None) -> None:
    keys.ensure_keys(tmp_path)
    (tmp_path / name).unlink() if data is None else (tmp_path / name).write_bytes(data)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        ConfigError, match=r"^The relay of this computer can't start \(/.*\)\. See that .* new invites\.$"
    ):
        EmbeddedRelay(tmp_path).start()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_relay_pass_is_in_its_line(tmp_path: Path) -> None:
    relay = EmbeddedRelay(tmp_path, relay_pass=b"\7" * 32)
    relay.start()
    try:
        assert relay.line.endswith("/" + keys.to_base64url(b"\7" * 32))
        BareClient(port_of(relay), tls=True).join(relay_pass=b"\7" * 32).sock.close()
    finally:
        relay.stop()
