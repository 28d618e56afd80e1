"""Keys, configuration and the command line: what is made, what is refused, and each sentence about it."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_help import command, environment

import relay_server
from chatcore.errors import ConfigError, InviteError
from chatcore.invite import RelayAddress
from chatcore.wire import NO_PASS
from relay import config as configuration
from relay import keys
from relay.config import MAX_LINE, Config, load
from relay.limits import Limits
from relay.server import check_exposure, line_of

PIN_TEXT = "A" * 42 + "E"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state directory that `init` has filled."""
    configuration.init_state(tmp_path / "state", "192.0.2.7")
    return tmp_path / "state"


def pin_of_key(key: Path) -> bytes:
    """Return the pin of a private key in a file."""
    return keys.pin_of_pem(keys.make_key_and_certificate(key.read_bytes())[1].decode())


def write(tmp_path: Path, text: str) -> Path:
    """Return a configuration file with this text."""
    path = tmp_path / "parley-relay.toml"
    path.write_text(text)
    return path


def test_init_makes_files_that_only_the_owner_may_read(state: Path) -> None:
    assert sorted(p.name for p in state.iterdir()) == ["parley-relay.toml", "relay.crt", "relay.key", "spare.key"]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in state.iterdir()}
    assert modes == {"parley-relay.toml": 0o600, "relay.key": 0o600, "relay.crt": 0o644, "spare.key": 0o600}


def test_init_twice_replaces_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p.name: p.read_bytes() for p in state.iterdir()}
    assert relay_server.main(["init", "--state", str(state)]) == 78
    assert "exists and is not replaced" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in state.iterdir()} == before


@pytest.mark.parametrize("name", ["relay.key", "relay.crt"])
def test_init_does_not_replace_a_key_without_a_configuration(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(ConfigError, match="every invite out there names that key"):
        configuration.init_state(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_new_file_never_replaces_one_that_appeared_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("first")
    with pytest.raises(FileExistsError):
        keys.write_new_file(path, b"second", private=True)
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_init_says_when_the_directory_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another with `init --state`"):
        configuration.init_state(tmp_path / "file" / "state")


@pytest.mark.parametrize("failing", ["relay.key", "relay.crt", "parley-relay.toml"])
def test_a_full_disk_leaves_no_half_of_a_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    write_new_file = keys.write_new_file

    def full(path: Path, data: bytes, *, private: bool) -> None:
        if path.name == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_new_file(path, data, private=private)

    with monkeypatch.context() as patch:
        patch.setattr(keys, "write_new_file", full)
        with pytest.raises(
            ConfigError, match=r"can't write here \(No space left on device\); choose another directory"
        ):
            configuration.init_state(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert load(configuration.init_state(tmp_path)).host == "127.0.0.1"  # and nothing is in the way of the next try


HOSTS = st.text("ab1.-_:%[ ", max_size=12) | st.ip_addresses().map(str) | st.sampled_from(["a" * 64, "b." * 127 + "b"])


@given(host=HOSTS)
def test_a_line_names_only_hosts_that_clients_take(host: str) -> None:
    try:
        parsed = RelayAddress.parse(keys.relay_line(host, 7256, (bytes(32),))).host == host
    except InviteError:
        parsed = False
    if not configuration.is_wildcard(host):
        assert configuration.is_dialable(host) is parsed


@pytest.mark.parametrize("host", ["", "two words", "[::1]", "host/path", 'quo"te', "a\nb", ".", "a..b", "-x", "1.2.3"])
def test_init_refuses_a_host_that_is_none(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="neither a name nor an IP address"):
        configuration.init_state(tmp_path / "state", host)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("host", ["chat.example.org:7256", "192.0.2.7:7256", "a:b", "fe80::1::2"])
def test_a_port_or_half_an_address_is_no_host(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="give it without port and brackets"):
        configuration.init_state(tmp_path / "state", host)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "fe80::1%eth0"])
def test_nobody_can_dial_every_address(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="nothing that people can dial"):
        configuration.init_state(tmp_path / "state", host)
    assert not (tmp_path / "state").exists()


def test_the_template_says_what_the_defaults_say(state: Path) -> None:
    loaded = load(state / "parley-relay.toml")
    assert loaded == Config(
        host="192.0.2.7",
        listen=("0.0.0.0", "::"),
        certificate=state / "relay.crt",
        key=state / "relay.key",
        spare_pin=pin_of_key(state / "spare.key"),
    )
    text = (state / "parley-relay.toml").read_text()
    opened = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    everything = load(write(state, opened))
    assert everything.limits == Limits()
    assert everything.public_port == 443
    assert len(everything.relay_pass) == 32
    assert everything.relay_pass != NO_PASS
    assert (everything.event_loop, everything.log, everything.behind_tls_terminator) == ("auto", "info", False)


def test_a_relay_for_this_computer_listens_here_only(tmp_path: Path) -> None:
    path = configuration.init_state(tmp_path)
    assert load(path).listen == ("127.0.0.1",)


def test_an_empty_configuration_is_a_loopback_relay(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, ""))
    assert (loaded.host, loaded.listen, loaded.port, loaded.limits) == ("127.0.0.1", ("127.0.0.1",), 7256, Limits())


def test_carriage_returns_are_fine(state: Path) -> None:
    path = state / "parley-relay.toml"
    expected = load(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(path) == expected


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("[relay]\nprot = 7256\n", 2, "'prot' is not known in [relay]; the keys are"),
        ("[limits]\n\nlaggard_s = 1\nmax_room = 1\n", 4, "'max_room' is not known in [limits]; the keys are"),
        (
            "[relay]\n[colours]\nport = 1\n",
            2,
            "'colours' is not known here; the tables are [relay], [limits], [metrics] and [engine].",
        ),
        ("port = 7256\n", 1, "'port' is not known here; the tables are [relay], [limits], [metrics] and [engine]."),
        ("relay = 5\n", 1, "[relay] must be a table"),
        ('[relay]\nport = "7256"\n', 2, "port must be a whole number from 1 to 65535."),
        ("[relay]\nport = 0\n", 2, "port must be a whole number from 1 to 65535."),
        ("[relay]\nport = true\n", 2, "port must be a whole number from 1 to 65535."),
        ("[relay]\nhost = 5\n", 2, "host must be a text in quotes."),
        ('[relay]\nhost = ""\n', 2, "host must be a text in quotes."),
        ('[relay]\nlisten = "::"\n', 2, "listen must be a list of addresses"),
        ("[relay]\nlisten = []\n", 2, "listen must be a list of addresses"),
        ("[relay]\nlisten = [1]\n", 2, "listen must be a list of addresses"),
        ('[relay]\nproxy_from = "127.0.0.1"\n', 2, "proxy_from must be a list of IP addresses or networks"),
        ('[relay]\nproxy_from = ["proxy.example"]\n', 2, "proxy_from must be a list of IP addresses or networks"),
        ('[relay]\nproxy_from = ["10.0.0.1/8"]\n', 2, "proxy_from must be a list of IP addresses or networks"),
        ("[relay]\nproxy_from = [1]\n", 2, "proxy_from must be a list of IP addresses or networks"),
        ("[relay]\nkey = 1\n", 2, "key must be a text in quotes."),
        ('[relay]\nbehind_tls_terminator = "yes"\n', 2, "must be true or false, without quotes."),
        ('[relay]\nrelay_pass = "secret"\n', 2, "relay_pass must be 43 characters of base64url"),
        ('[relay]\nspare_pin = "' + "A" * 43 + '"\n', 2, "spare_pin must be 43 characters of base64url"),
        ('[relay]\nlog = "verbose"\n', 2, "log must be one of 'off', 'info', 'debug'."),
        ("[relay]\nevent_loop = 1\n", 2, "event_loop must be one of 'auto', 'asyncio', 'uvloop'."),
        ("[limits]\nmax_connections = -1\n", 2, "max_connections must be a whole number from 1 to 1000000."),
        ("[limits]\nmax_connections = 0\n", 2, "max_connections must be a whole number from 1 to 1000000."),
        ("[limits]\nmax_connections = 1.5\n", 2, "max_connections must be a whole number from 1 to 1000000."),
        ("[limits]\nmax_connections = false\n", 2, "max_connections must be a whole number from 1 to 1000000."),
        ("[limits]\nmax_seats_per_room = 70000\n", 2, "max_seats_per_room must be a whole number from 1 to 65535."),
        (
            "[limits]\nmax_connections_per_address = -1\n",
            2,
            "max_connections_per_address must be a whole number from 0",
        ),
        ("[limits]\nsilence_s = 30\n", 2, "silence_s must be more than ping_after_s: who is silent is asked"),
        ("[limits]\nlaggard_s = 9\nping_after_s = 75\n", 3, "silence_s must be more than ping_after_s"),
        ("[limits]\nping_after_s = 9\nsilence_s = 9\n", 3, "silence_s must be more than ping_after_s"),
        ('[relay]\nhost = "chat.example.org:7256"\n', 2, "host must be a name or IP address that people can dial"),
        ('[relay]\nhost = "a\\nb"\n', 2, "host must be a name or IP address that people can dial"),
        ('[relay]\nhost = "0.0.0.0"\n', 2, "host must be a name or IP address that people can dial"),
        ('[relay]\nlisten = ["127.0.0.1:80"]\n', 2, "listen must be a list of addresses"),
        ('[relay]\nlisten = [""]\n', 2, "listen must be a list of addresses"),
        (f'[relay]\nlisten = ["{"a" * 300}"]\n', 2, "listen must be a list of addresses"),
        ('[relay]\nkey = "a\\u0000b"\n', 2, "key must be a text in quotes."),
        ("[relay]\n'prot' = 7256\n", 2, "'prot' is not known in [relay]; the keys are"),
        ("# relay\nrelay.port = 0\n", 2, "port must be a whole number from 1 to 65535."),
        ("\nrelay = { port = 0 }\n", 2, "port must be a whole number from 1 to 65535."),
        ("\n[[relay]]\nport = 1\n", 2, "[relay] must be a table"),
        ("[relay]\nport = 1\n\n[relay.host]\n", 4, "host must be a text in quotes."),
        ("[relay]\n# more\nlisten = [\n  1\n]\nport = 1\n", 3, "listen must be a list of addresses"),
        ('[relay]\nlog = """\nport = 0\n"""\nport = 0\n', 2, "log must be one of"),
        ('[relay]\nhost = "a"\n\n[limits]\nport = 1\n', 5, "'port' is not known in [limits]"),
        ("[relay]\n\nport = \n", 3, "this is not valid TOML"),
        ("[relay]\nport = 1\nport = 2\n", 3, "this is not valid TOML"),
    ],
)
def test_each_mistake_is_one_sentence_with_file_and_line(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: ")
    assert sentence in message
    assert "\n" not in message


@pytest.mark.parametrize("value", ["[" * 4_000, "{a=" * 1_300, "9" * 4_050, "[" * 2_000 + "]" * 2_000])
def test_brackets_or_digits_without_end_are_no_value_either(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"this is not valid TOML|line 2: port must be a whole number"):
        load(write(tmp_path, "[relay]\nport = " + value))


@pytest.mark.parametrize("line", ["a." * 30_000 + "a = 1", "port = " + "9" * 6_000, "#" * (MAX_LINE + 1)])
def test_an_endless_line_is_said_before_anybody_tries_to_read_it(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match="line 2: a line has at most 4096 characters"):
        load(write(tmp_path, "[relay]\n" + line))


def test_the_line_of_a_mistake_is_found_in_a_long_file_too_and_given_up_in_a_strange_one(tmp_path: Path) -> None:
    text = "[relay]\n" + "# remark\n" * 3_000 + "log = 1\n" + "# remark\n" * 3_000
    with pytest.raises(ConfigError, match="line 3002: log must be"):
        load(write(tmp_path, text))
    with pytest.raises(ConfigError, match=r"toml: log must be") as caught:
        load(write(tmp_path, "[relay]\nlog = [\n" + "1,\n" * 3_000 + "]\n"))
    assert ", line" not in str(caught.value)


def test_a_wrong_pass_is_not_repeated_in_the_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, '[relay]\nrelay_pass = "hunter2hunter2"\n'))
    assert "hunter2" not in str(caught.value)


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path)
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(path)
    path.write_bytes(b"#" * 10_000_000)
    with pytest.raises(ConfigError, match="larger than"):
        load(path)


def test_the_pin_is_the_one_the_openssl_command_computes(state: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command")
    certificate = state / "relay.crt"
    pem = subprocess.run([openssl, "x509", "-in", certificate, "-noout", "-pubkey"], capture_output=True, check=True)
    der = subprocess.run(
        [openssl, "pkey", "-pubin", "-outform", "DER"], input=pem.stdout, capture_output=True, check=True
    )
    assert keys.pin_of(certificate) == hashlib.sha256(der.stdout).digest()
    text = subprocess.run([openssl, "x509", "-in", certificate, "-noout", "-text"], capture_output=True, check=True)
    assert b"prime256v1" in text.stdout


def test_the_openssl_command_makes_as_good_a_key_as_the_library(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command")
    made = (keys._make_with_command(openssl), keys._make_with_library())
    pins = set()
    for number, (key, certificate) in enumerate(made):
        (tmp_path / f"{number}.key").write_bytes(key)
        (tmp_path / f"{number}.crt").write_bytes(certificate)
        keys.server_context(tmp_path / f"{number}.crt", tmp_path / f"{number}.key")
        pins.add(keys.pin_of(tmp_path / f"{number}.crt"))
    assert len(pins) == 2


def test_without_library_and_command_init_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(_key: bytes | None) -> tuple[bytes, bytes]:
        raise ImportError

    monkeypatch.setattr(keys, "_make_with_library", no_library)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(ConfigError, match="needs the openssl command or the Python package cryptography"):
        configuration.init_state(tmp_path / "state")


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"]
)
def test_a_certificate_that_is_none(state: Path, data: bytes) -> None:
    (state / "relay.crt").write_bytes(data)
    with pytest.raises(ConfigError, match="not a PEM certificate"):
        keys.pin_of(state / "relay.crt")
    with pytest.raises(ConfigError, match=r"relay\.crt: is not a PEM certificate; restore it from your copy\.$"):
        keys.server_context(state / "relay.crt", state / "relay.key")
    configuration.init_state(state / "other")
    (state / "other" / "relay.key").write_bytes(data)
    with pytest.raises(ConfigError, match=r"relay\.key: is not the key of relay\.crt, or one of the two is damaged"):
        keys.server_context(state / "other" / "relay.crt", state / "other" / "relay.key")


def test_a_key_of_another_certificate_and_a_locked_key(state: Path, tmp_path: Path) -> None:
    configuration.init_state(tmp_path / "other")
    with pytest.raises(ConfigError, match="is not the key of"):
        keys.server_context(state / "relay.crt", tmp_path / "other" / "relay.key")
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command")
    locked = tmp_path / "locked.key"
    subprocess.run(
        [openssl, "ec", "-in", state / "relay.key", "-aes256", "-passout", "pass:x", "-out", locked],
        capture_output=True,
        check=True,
    )
    with pytest.raises(ConfigError, match="locked by a passphrase"):
        keys.server_context(state / "relay.crt", locked)


def test_relay_lines() -> None:
    pin, spare = b"\xfb" * 32, b"\xff" * 32
    assert keys.relay_line("127.0.0.1", 7256, ()) == "parley:relay/127.0.0.1:7256/plain"
    assert keys.relay_line("chat.example", 1, (pin,)) == f"parley:relay/chat.example:1/{'-_v7' * 10}-_s"
    assert keys.relay_line("2001:db8::1", 1, (pin, spare), b"\1" * 32) == (
        f"parley:relay/[2001:db8::1]:1/{'-_v7' * 10}-_s+{'_' * 42}8/{'AQEB' * 10}AQE"
    )
    assert keys.relay_line("h", 1, (pin,), NO_PASS).count("/") == 2


@pytest.mark.parametrize("text", ["A", "AB=", "AB==", "A B", "A+", "A/", "B"])
def test_base64url_has_one_way_to_be_written(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - binascii.Error is one
        keys.from_base64url(text)


def test_a_configuration_shows_no_pass() -> None:
    assert "relay_pass" not in repr(Config(relay_pass=b"x" * 32))


PUBLIC = ("0.0.0.0", "::", "192.0.2.7", "chat.example")
LOCAL = ("127.0.0.1", "127.1.2.3", "::1", "localhost")


@pytest.mark.parametrize("host", PUBLIC)
def test_plaintext_and_unlimited_are_refused_where_others_can_come(host: str) -> None:
    config = Config(host="192.0.2.7", listen=("127.0.0.1", host))
    with pytest.raises(ConfigError, match=f"--plaintext is refused on {re.escape(host)}"):
        check_exposure(config, plaintext=True, unlimited=False)
    with pytest.raises(ConfigError, match=f"--unlimited is refused on {re.escape(host)}"):
        check_exposure(config, plaintext=False, unlimited=True)
    behind = Config(listen=(host,), behind_tls_terminator=True)
    check_exposure(behind, plaintext=True, unlimited=False)
    with pytest.raises(ConfigError, match="--unlimited is refused"):
        check_exposure(behind, plaintext=True, unlimited=True)
    check_exposure(config, plaintext=False, unlimited=False)


@pytest.mark.parametrize("host", PUBLIC)
def test_a_relay_for_others_needs_a_host_that_others_can_dial(host: str) -> None:
    with pytest.raises(ConfigError, match=r"would say 127\.0\.0\.1, which others can't dial"):
        check_exposure(Config(listen=(host,)), plaintext=False, unlimited=False)


def test_behind_a_terminator_the_line_has_the_terminators_pin(state: Path) -> None:
    pin = keys.from_base64url(PIN_TEXT)
    own = keys.pin_of(state / "relay.crt")
    with_key = Config(host="h", certificate=state / "relay.crt", key=state / "relay.key", spare_pin=pin)
    assert line_of(with_key) == keys.relay_line("h", 7256, (own, pin))
    assert line_of(dataclasses.replace(with_key, behind_tls_terminator=True)) == keys.relay_line("h", 7256, (pin,))
    assert line_of(Config(spare_pin=pin)) == "parley:relay/127.0.0.1:7256/plain"


@pytest.mark.parametrize("host", LOCAL)
def test_plaintext_and_unlimited_are_fine_on_this_computer(host: str) -> None:
    check_exposure(Config(listen=(host,)), plaintext=True, unlimited=True)


def run(state: Path, *arguments: str) -> tuple[int, str]:
    """Run the front door to its end; return status and stderr, which must be one line without a traceback."""
    done = subprocess.run(
        command(*arguments), env=environment(state), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--host", "127.0.0.1:80", "a host is a name or an IP address, without port and brackets"),
        ("--host", "a" * 300, "a host is a name or an IP address, without port and brackets"),
        ("--host", "", "a host is a name or an IP address, without port and brackets"),
        ("--port", "65536", "a port is a number from 0 (any free one) to 65535"),
        ("--port", "9" * 6_000, "a port is a number from 0 (any free one) to 65535"),
    ],
)
def test_a_host_or_port_that_can_not_be(
    option: str, value: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        relay_server.main(["run", option, value])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument {option}: {sentence}\n")


def test_the_command_line_says_each_mistake_in_one_line(state: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[relay]\nprot = 1\n")
    lost = tmp_path / "lost.toml"
    lost.write_text("[relay]\n")
    cases = [
        (["run", "--config", str(bad)], 78, "line 2: 'prot' is not known"),
        (["run", "--config", str(lost)], 78, "relay.crt: can't be read"),
        (["run", "--config", str(tmp_path / "none")], 78, "can't be read"),
        (["run", "--host", "0.0.0.0", "--plaintext"], 78, "--plaintext is refused on 0.0.0.0"),
        (["run", "--host", "::", "--unlimited"], 78, "--unlimited is refused on ::"),
        (["run", "--host", "192.0.2.1"], 1, "no address of this computer"),
        (["run", "--host", "no.such.host.invalid"], 1, "no address of this computer"),
        (["init"], 78, "exists and is not replaced"),
    ]
    for arguments, status, sentence in cases:
        got, stderr = run(state, *arguments)
        assert (got, stderr.count("\n"), "Traceback" in stderr) == (status, 1, False), (arguments, stderr)
        assert stderr.startswith("parley-relay: ")
        assert sentence in stderr


def test_a_port_in_use_is_one_sentence_and_status_1(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, stderr = run(state, "run", "--host", "127.0.0.1", "--port", port)
    assert status == 1
    assert stderr == (
        f"parley-relay: port {port} is in use: stop the other program (or relay), or choose another port with --port.\n"
    )


def test_a_public_relay_without_a_configuration_is_told_to_init(tmp_path: Path) -> None:
    status, stderr = run(tmp_path / "empty", "run", "--host", "0.0.0.0")
    assert status == 78
    assert "parley-relay init --host NAME-OR-IP" in stderr
    assert not (tmp_path / "empty").exists()


def test_an_unreadable_key_is_named(state: Path) -> None:
    if os.geteuid() == 0:
        (state / "relay.key").unlink()
        (state / "relay.key").mkdir()
    else:
        (state / "relay.key").chmod(0)
    status, stderr = run(state, "run", "--host", "127.0.0.1", "--port", "0")
    assert status == 78
    assert f"{state / 'relay.key'}: can't be read" in stderr


@pytest.mark.parametrize("port", ["-1", "65536", "x", "\u0663"])
def test_a_port_that_is_none_is_a_usage_error(tmp_path: Path, port: str) -> None:
    with pytest.raises(SystemExit) as caught:
        relay_server.main(["run", "--port", port])
    assert caught.value.code == 2


def test_init_and_line_print_the_line_for_invites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert relay_server.main(["init", "--state", str(tmp_path), "--host", "2001:db8::5"]) == 0
    said = capsys.readouterr().out.splitlines()
    pins = keys.pin_of(tmp_path / "relay.crt"), pin_of_key(tmp_path / "spare.key")
    assert said[-1] == f"parley:relay/[2001:db8::5]:7256/{'+'.join(map(keys.to_base64url, pins))}"
    assert said[:3] == [
        f"Made {tmp_path / 'parley-relay.toml'}, with a key and a certificate; keep a copy of the key.",
        f"Made {tmp_path / 'spare.key'}: move it to another computer, for the day on which the key is stolen.",
        "Let TCP port 7256 in, in the firewall of this computer and in that of its provider.",
    ]
    path = tmp_path / "parley-relay.toml"
    pin = keys.to_base64url(pins[0])
    text = re.sub(r'^spare_pin = ".*"', f'spare_pin = "{PIN_TEXT}"', path.read_text(), flags=re.MULTILINE)
    path.write_text(text.replace("# relay_pass", "relay_pass"))
    assert relay_server.main(["line", "--config", str(path)]) == 0
    line = capsys.readouterr().out.strip()
    assert line == f"parley:relay/[2001:db8::5]:7256/{pin}+{PIN_TEXT}/{keys.to_base64url(load(path).relay_pass)}"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert relay_server.main(["version"]) == 0
    assert capsys.readouterr().out == "parley-relay, wire version 1\n"


def test_the_relay_imports_no_cryptographic_library_and_nothing_of_the_core_but_wire_and_errors(state: Path) -> None:
    code = (
        "import sys, relay_server, relay.server, relay.embedded;"
        "from pathlib import Path; from relay import config, server;"
        f"server.Server(config.load(Path({str(state / 'parley-relay.toml')!r})));"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('cryptography', 'rsa', 'Crypto', 'nacl', 'PySimpleGUI')];"
        "core = sorted(m for m in sys.modules if m.startswith('chatcore.'));"
        "print(bad, core)"
    )
    done = subprocess.run(
        [*command()[:1], "-c", code],
        cwd=Path(relay_server.__file__).parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[] ['chatcore.errors', 'chatcore.wire']\n"
