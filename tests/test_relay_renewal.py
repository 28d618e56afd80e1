"""The certificate made anew, and the spare key in the place of the key: at no moment a relay that can't start."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import ssl
import stat
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from relay_help import DEADLINE_S, BareClient, Process, RelayThread, run_relay, until

import relay_server
from chatcore.errors import ConfigError
from chatcore.invite import RelayAddress
from relay import config as configuration
from relay import keys, renewal, service
from relay.config import load
from relay.server import Server, check, line_of
from relay.service import look

DAY_S = 86_400
LIBRARY_OR_COMMAND = ["library", "command"] if shutil.which("openssl") else ["library"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the configuration of a relay that others can reach, so that it has a spare key."""
    return configuration.init_state(tmp_path / "relay", "192.0.2.7")


def pins(path: Path) -> tuple[bytes, ...]:
    return RelayAddress.parse(line_of(load(path))).pins


def certificate(path: Path) -> Path:
    return path.parent / keys.CERTIFICATE_NAME


def ends_s(path: Path) -> int:
    return keys.validity(certificate(path))[1]


# -- the certificate ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", LIBRARY_OR_COMMAND)
def test_a_new_certificate_for_the_same_key(path: Path, monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    before, pin = certificate(path).read_bytes(), keys.pin_of(certificate(path))
    certificate(path).chmod(0o640)
    if maker == "command":
        found = shutil.which("openssl") or ""
        monkeypatch.setattr(keys, "_make_with_library", lambda key: keys._make_with_command(found, key))
    renewal.renew(load(path))
    assert certificate(path).read_bytes() != before
    assert keys.pin_of(certificate(path)) == pin
    assert keys.is_self_made(certificate(path))
    assert stat.S_IMODE(certificate(path).stat().st_mode) == 0o640  # as it was
    assert 364 * DAY_S < ends_s(path) - time.time() < 366 * DAY_S
    check(load(path))


@pytest.mark.parametrize("maker", LIBRARY_OR_COMMAND)
@pytest.mark.parametrize("data", [b"", b"damaged", b"-----BEGIN NOTHING-----\n"])
def test_no_certificate_for_a_key_that_is_none(
    path: Path, monkeypatch: pytest.MonkeyPatch, maker: str, data: bytes
) -> None:
    before = certificate(path).read_bytes()
    if maker == "command":
        found = shutil.which("openssl") or ""
        monkeypatch.setattr(keys, "_make_with_library", lambda key: keys._make_with_command(found, key))
    (path.parent / keys.KEY_NAME).write_bytes(data)
    with pytest.raises(ConfigError, match="no private key that can be used"):
        renewal.renew(load(path))
    assert not renewal.mend(load(path), ends_s(path))
    assert certificate(path).read_bytes() == before


def test_it_is_due_in_its_last_month_and_only_if_it_is_ours(path: Path) -> None:
    config = load(path)
    assert not renewal.is_due(config, ends_s(path) - 31 * DAY_S)
    assert renewal.is_due(config, ends_s(path) - 29 * DAY_S)
    assert renewal.is_due(config, ends_s(path) + DAY_S)
    if found := shutil.which("openssl"):
        key = config.key
        assert key is not None
        os.system(f"{found} req -x509 -new -key {key} -subj /CN=x.example.org -days 1 -out {certificate(path)}")
        assert not renewal.is_due(config, ends_s(path) + DAY_S)


def test_one_that_was_made_while_the_clock_was_ahead_is_due_as_soon_as_it_is_right(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_s = keys.validity(certificate(path))[0]
    monkeypatch.setattr(renewal, "made_s", lambda: begin_s - 9 * DAY_S)
    assert renewal.is_due(load(path), begin_s - 2 * DAY_S)
    assert not renewal.is_due(load(path), begin_s - DAY_S / 2)
    assert not renewal.is_due(load(path), begin_s - 10 * DAY_S)  # it is the clock that is behind
    assert not renewal.is_due(load(path), 0)


def test_a_relay_starts_although_its_certificate_is_gone_or_another_keys(path: Path, tmp_path: Path) -> None:
    pin = keys.pin_of(certificate(path))
    certificate(path).unlink()
    assert renewal.mend(load(path), time.time())
    assert keys.pin_of(certificate(path)) == pin
    keys.init_keys(tmp_path / "other")
    shutil.copy(tmp_path / "other" / keys.CERTIFICATE_NAME, certificate(path))
    assert renewal.mend(load(path), time.time())
    assert keys.pin_of(certificate(path)) == pin
    assert not renewal.mend(load(path), time.time())


def test_a_running_relay_serves_with_the_new_one_and_nobody_has_to_go(tmp_path: Path) -> None:
    config = replace(load(configuration.init_state(tmp_path)), port=0)
    with RelayThread(config) as relay, BareClient(relay.port, tls=True).join() as alice:
        before = relay.server.ends_s
        assert before is not None

        def later(days: float) -> None:
            asyncio.run_coroutine_threadsafe(look(relay.server, before - days * DAY_S), relay.loop).result(DEADLINE_S)

        later(31)
        assert relay.server.journal.total("renewed") == 0
        serial = BareClient(relay.port, tls=True)
        old = serial.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        serial.sock.close()
        later(29)
        assert relay.server.journal.total("renewed") == 1
        with BareClient(relay.port, tls=True).join() as bob:
            assert bob.sock.getpeercert(binary_form=True) != old  # type: ignore[attr-defined]
            assert bob.others == [alice.seat]
        assert relay.server.line == line_of(replace(config, port=relay.port))


def test_a_certificate_that_can_not_be_written_is_a_sentence_and_the_relay_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(load(configuration.init_state(tmp_path)), port=0)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keys, "replace_file", full)
    with RelayThread(config) as relay:
        end_s = relay.server.ends_s
        assert end_s is not None
        asyncio.run_coroutine_threadsafe(look(relay.server, end_s), relay.loop).result(DEADLINE_S)
        assert relay.server.journal.total("renewal") == 1
        BareClient(relay.port, tls=True).join().sock.close()
    assert "the certificate is as it was:" in caplog.text
    assert "can't be made anew (No space left on device); see that the relay may write there." in caplog.text


def test_the_relay_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(load(configuration.init_state(tmp_path)), port=0)
    monkeypatch.setattr(service, "LOOK_S", 0.01)
    monkeypatch.setattr(renewal, "RENEW_S", 400 * DAY_S)
    with RelayThread(config) as relay:
        task = asyncio.run_coroutine_threadsafe(service._renew(relay.server, asyncio.Event()), relay.loop)
        until(lambda: relay.server.journal.total("renewed") > 1, "it has looked twice")
        task.cancel()


def test_a_mistake_of_ours_does_not_end_the_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    faults: list[BaseException] = []

    async def look(*_: object) -> None:
        nonlocal looks
        looks += 1
        raise RuntimeError("can't start new thread")

    async def until_it_has_looked_again() -> None:
        server = SimpleNamespace(journal=SimpleNamespace(fault=faults.append))
        task = asyncio.create_task(service._renew(cast(Server, server), asyncio.Event()))
        async with asyncio.timeout(DEADLINE_S):
            while looks < 3:
                await asyncio.sleep(0.001)
        task.cancel()

    monkeypatch.setattr(service, "look", look)
    monkeypatch.setattr(service, "LOOK_S", 0.001)
    asyncio.run(until_it_has_looked_again())
    assert {type(fault) for fault in faults} == {RuntimeError}


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_the_relay_looks_at_once_after_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Process(tmp_path, "--port", "0") as process:
        pin, key = keys.pin_of(tmp_path / keys.CERTIFICATE_NAME), (tmp_path / keys.KEY_NAME).read_bytes()
        monkeypatch.setattr(keys, "VALID_DAYS", 29)
        _, ending = keys.make_key_and_certificate(key)
        port = process.port

        def served() -> bytes:
            return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))

        known = {served(), ssl.PEM_cert_to_DER_cert(ending.decode())}
        (tmp_path / keys.CERTIFICATE_NAME).write_bytes(ending)
        process.process.send_signal(signal.SIGHUP)
        until(lambda: served() not in known, "it is made anew, and served")
        status, _, err = process.end()
    assert (status, "reloaded" in err, "renewed" in err) == (0, True, True)
    assert keys.pin_of(tmp_path / keys.CERTIFICATE_NAME) == pin


# -- the spare key -----------------------------------------------------------------------------------------------------


def test_rotate_puts_the_spare_key_into_place_and_makes_another(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main, spare = pins(path)
    written = path.read_text()
    assert relay_server.main(["rotate", "--config", str(path)]) == 0
    said = capsys.readouterr().out
    new_main, new_spare = pins(path)
    assert (new_main, new_spare not in (main, spare)) == (spare, True)
    assert said.endswith(f"\n{line_of(load(path))}\n")
    assert f"Made {path.parent / 'spare.key'}: move it to another computer" in said
    check(load(path))
    differing = [a for a, b in zip(written.splitlines(), path.read_text().splitlines(), strict=True) if a != b]
    assert [line.split(" =")[0] for line in differing] == ["spare_pin"]
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert modes == {"parley-relay.toml": 0o600, "relay.key": 0o600, "relay.crt": 0o644, "spare.key": 0o600}


def test_the_spare_key_may_come_from_elsewhere_and_the_key_may_be_lost(path: Path, tmp_path: Path) -> None:
    _, spare = pins(path)
    away = tmp_path / "away.key"
    shutil.move(path.parent / keys.SPARE_NAME, away)
    (path.parent / keys.KEY_NAME).unlink()
    with pytest.raises(ConfigError, match="bring the spare key from where you keep it, and name it with --spare"):
        renewal.rotate(path)
    path.chmod(0o644)
    renewal.rotate(path, away)
    assert stat.S_IMODE((path.parent / keys.KEY_NAME).stat().st_mode) == 0o640  # as the configuration, but not for all
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert pins(path)[0] == spare
    assert away.exists()
    check(load(path))


def test_another_key_is_no_spare_key(path: Path, tmp_path: Path) -> None:
    keys.init_keys(tmp_path / "other")
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    with pytest.raises(ConfigError, match="is not the key that spare_pin names"):
        renewal.rotate(path, tmp_path / "other" / keys.KEY_NAME)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == before


def test_a_relay_without_a_spare_key_says_so(tmp_path: Path) -> None:
    status, said = run_relay(tmp_path, "init", "--state", str(tmp_path))
    assert status == 0
    status, said = run_relay(tmp_path, "rotate")
    assert (status, "names no spare key (spare_pin)" in said) == (78, True)


@pytest.mark.parametrize("step", range(4))
def test_wherever_it_is_ended_the_relay_starts_and_rotate_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    _, spare = pins(path)
    replace_file = keys.replace_file
    calls: list[object] = []

    def ended(*arguments: object, **more: object) -> None:
        if len(calls) == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        calls.append(arguments)
        replace_file(*arguments, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(keys, "replace_file", ended)
        with pytest.raises(ConfigError, match="No space left on device"):
            renewal.rotate(path)
    renewal.mend(load(path), time.time())
    check(load(path))
    assert spare in pins(path)
    renewal.rotate(path)
    assert pins(path)[0] == spare
    assert len(set(pins(path))) == 2


# -- one key of the configuration --------------------------------------------------------------------------------------


def test_the_host_is_changed_and_all_else_stays(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = path.read_text()
    assert relay_server.main(["host", "chat.example.org", "--config", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == line_of(load(path))
    assert "parley:relay/chat.example.org:7256/" in said
    assert path.read_text() == written.replace('host = "192.0.2.7"', 'host = "chat.example.org"')
    assert relay_server.main(["host", "10.1.2.3", "--config", str(path)]) == 0
    assert "can only be dialled from the same network" in capsys.readouterr().out
    assert relay_server.main(["host", "0.0.0.0", "--config", str(path)]) == 78


def test_a_link_to_the_configuration_stays_one(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    renewal.set_key(link, "host", "chat.example.org")
    assert link.is_symlink()
    assert load(path).host == "chat.example.org"


def test_a_key_that_is_not_there_yet_is_put_under_relay(tmp_path: Path) -> None:
    path = tmp_path / "parley-relay.toml"
    path.write_text("[limits]\nmax_connections = 5\n\n[relay]\nport = 1\n")
    renewal.set_key(path, "host", "chat.example.org")
    assert (load(path).host, load(path).port) == ("chat.example.org", 1)


@pytest.mark.parametrize(
    "text", ["", 'relay = {host = "a.example"}', "relay.host = 'a.example'", '[relay]\n"host" = "a"']
)
def test_what_can_not_be_changed_is_left_and_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "parley-relay.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r'write host = "b\.example" into it by hand, under'):
        renewal.set_key(path, "host", "b.example")
    assert path.read_text() == text
