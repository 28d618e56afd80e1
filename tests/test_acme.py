"""A relay with the certificate of an ACME authority: the hook of `deploy/`, as certbot calls it, and by a real one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from client_help import free_port
from relay_help import BareClient, Process, any_certificate, until

from relay import config as configuration
from relay import keys

pytest.importorskip("grp")  # a system with groups, to one of which the key is handed over
ROOT = Path(__file__).resolve().parent.parent
HOOK = ROOT / "deploy" / "acme-hook"
PAPER = ROOT / "deploy" / "README.md"
NAME = "chat.example.org"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
needs_acme = pytest.mark.skipif(
    not all(map(shutil.which, ("certbot", "pebble", "pebble-challtestsrv"))),
    reason="there is no certbot with an authority to try it on: sudo apt-get install certbot pebble",
)
pytestmark = needs_openssl


class Owner:
    """A computer with a relay on it: its directory, and programs in the place of the system's."""

    def __init__(self, home: Path) -> None:
        self.etc, self.lineage, self.reloads = home / "etc", home / "live" / NAME, home / "reloads"
        self.pid = home / "pid"
        self._programs = home / "bin"
        self._programs.mkdir()
        configuration.init_state(self.etc)
        self._program("parley-relay", f'exec "{sys.executable}" "{ROOT / "relay_server.py"}" "$@"')
        # What systemd does: it reloads a relay that runs, and else does nothing.
        self._program(
            "systemctl",
            f'echo "$@" >>"{self.reloads}"; if [ -e "{self.pid}" ]; then kill -HUP "$(cat "{self.pid}")"; fi',
        )

    def _program(self, name: str, body: str) -> None:
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "PARLEY_RELAY_ETC": str(self.etc),
            "PARLEY_RELAY_GROUP": str(os.getegid()),
        }

    def gets(self, key: bytes | None = None) -> None:
        """Be given a certificate as certbot leaves it: links to what it keeps."""
        archive = self.lineage.parent.parent / "archive"
        archive.mkdir(parents=True, exist_ok=True)
        self.lineage.mkdir(parents=True, exist_ok=True)
        for name, data in zip(("privkey.pem", "fullchain.pem"), keys.make_key_and_certificate(key), strict=True):
            (archive / name).write_bytes(data)
            (archive / name).chmod(0o600 if name == "privkey.pem" else 0o644)
            (self.lineage / name).unlink(missing_ok=True)
            (self.lineage / name).symlink_to(archive / name)

    def runs_the_hook(self) -> tuple[int, str]:
        """Run it with what certbot gives, and return how it ended, and what it said."""
        done = subprocess.run(
            ["/bin/sh", str(HOOK)], capture_output=True, text=True, timeout=60, check=False,
            env={**self.environment, "RENEWED_LINEAGE": str(self.lineage), "RENEWED_DOMAINS": NAME},
        )  # fmt: skip
        return done.returncode, done.stderr

    def names_it(self) -> None:
        """Have the relay take what the hook hands over."""
        path = self.etc / "parley-relay.toml"
        text = path.read_text().replace('"relay.crt"', '"acme.crt"').replace('"relay.key"', '"acme.key"')
        path.write_text(text)

    def has(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.etc.glob("acme.*")}

    def reloaded(self) -> int:
        return self.reloads.read_text().count("try-reload-or-restart parley-relay\n") if self.reloads.exists() else 0


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def shown(port: int) -> bytes:
    """Return the certificate that who comes is shown."""
    with BareClient(port, tls=True).join() as guest:
        return guest.sock.getpeercert(binary_form=True) or b""  # type: ignore[attr-defined]


def test_key_and_certificate_are_handed_over_with_the_rights_they_need(owner: Owner) -> None:
    owner.gets()
    assert owner.runs_the_hook() == (0, "")
    assert {path.name: path.stat().st_mode & 0o777 for path in owner.etc.glob("acme.*")} == {
        "acme.key": 0o640,
        "acme.crt": 0o644,
    }
    assert (owner.etc / "acme.key").stat().st_gid == os.getegid()
    assert owner.has() == {
        "acme.key": (owner.lineage / "privkey.pem").read_bytes(),
        "acme.crt": (owner.lineage / "fullchain.pem").read_bytes(),
    }
    assert owner.reloaded() == 1


def test_a_new_one_for_the_same_key_is_served_and_nobody_has_to_go(owner: Owner) -> None:
    owner.gets()
    assert owner.runs_the_hook()[0] == 0
    owner.names_it()
    with Process(owner.etc, "--port", "0") as relay:
        owner.pid.write_text(str(relay.process.pid))
        with BareClient(relay.port, tls=True).join() as alice:
            first = shown(relay.port)
            owner.gets((owner.etc / "acme.key").read_bytes())
            assert owner.runs_the_hook() == (0, "")
            until(lambda: shown(relay.port) != first, "the new certificate is shown")
            assert keys.pin_of_der(shown(relay.port)) == keys.pin_of_der(first)
            alice.send(b"")
        owner.pid.unlink()
        relay.end(signal.SIGTERM)


def _another_key(owner: Owner) -> str:
    owner.gets()
    return "another key than the relay, whose invites would lead nowhere; nothing was changed"


def _damaged(owner: Owner) -> str:
    (owner.lineage / "fullchain.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return "acme.crt: is not a PEM certificate"


def _of_another(owner: Owner) -> str:
    _, certificate = keys.make_key_and_certificate()
    (owner.lineage / "fullchain.pem").write_bytes(certificate)
    return "is not the key of acme.crt"


def _a_mistake_beside_it(owner: Owner) -> str:
    path = owner.etc / "parley-relay.toml"
    path.write_text(path.read_text().replace("port =", "prot ="))
    return "'prot' is not known"


@pytest.mark.parametrize("wrong", [_another_key, _damaged, _of_another, _a_mistake_beside_it])
def test_what_cant_be_used_is_refused_and_the_old_stays(owner: Owner, wrong: Callable[[Owner], str]) -> None:
    owner.gets()
    assert owner.runs_the_hook()[0] == 0
    owner.names_it()
    before = owner.has()
    owner.gets(before["acme.key"])
    sentence = wrong(owner)
    status, said = owner.runs_the_hook()
    assert (status, sentence in said, "Traceback" in said) == (1, True, False), said
    assert owner.has() == before
    assert owner.reloaded() == 1


def test_the_first_one_that_cant_be_used_leaves_nothing(owner: Owner) -> None:
    owner.gets()
    owner.names_it()
    _of_another(owner)
    assert owner.runs_the_hook()[0] == 1
    assert owner.has() == {}


def test_without_certbot_it_says_what_it_lacks(owner: Owner) -> None:
    done = subprocess.run(
        ["/bin/sh", str(HOOK)], env=owner.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "RENEWED_LINEAGE: is set by certbot" in done.stderr) == (2, True)
    assert owner.has() == {}


# -- with a real certbot, and an authority on this computer ------------------------------------------------------------


@contextmanager
def authority(home: Path) -> Iterator[tuple[str, Path, int]]:
    """Run one; yield its directory's address, whose word counts for that, and the port on which it looks who asks."""
    key, certificate = home / "authority-key.pem", home / "authority.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    front, back, http, names, talk = (free_port() for _ in range(5))
    settings = {
        "listenAddress": f"127.0.0.1:{front}", "managementListenAddress": f"127.0.0.1:{back}", "httpPort": http,
        "tlsPort": free_port(), "certificate": str(certificate), "privateKey": str(key),
    }  # fmt: skip
    (home / "pebble.json").write_text(json.dumps({"pebble": settings}))
    commands = (
        ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{names}", "-management", f"127.0.0.1:{talk}", "-defaultIPv6", "",
         "-http01", "", "-https01", "", "-tlsalpn01", ""],
        ["pebble", "-config", str(home / "pebble.json"), "-dnsserver", f"127.0.0.1:{names}"],
    )  # fmt: skip
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with (home / "authority.log").open("wb") as log:
        running = [subprocess.Popen(command, env=environment, stdout=log, stderr=log) for command in commands]
    try:
        until(lambda: _answers(front), "the authority answers")
        yield f"https://127.0.0.1:{front}/dir", certificate, http
    finally:
        for process in running:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with BareClient(port, tls=False) as guest:
            any_certificate().wrap_socket(guest.tcp).close()
    except OSError:
        return False
    return True


@needs_acme
def test_certbot_gets_one_for_a_relay_that_runs_and_then_the_next(owner: Owner, tmp_path: Path) -> None:
    options = re.findall(
        rf"^    certbot certonly --standalone -d {NAME} (.*) \\$", PAPER.read_text("utf-8"), re.MULTILINE
    )
    assert len(options) == 1
    with authority(tmp_path) as (server, trusted, port):

        def certbot(word: str, *more: str) -> str:
            places = [f"--{what}-dir={tmp_path / what}" for what in ("config", "work", "logs")]
            done = subprocess.run(
                ["certbot", word, "--non-interactive", *places, *more],
                env={**owner.environment, "REQUESTS_CA_BUNDLE": str(trusted), "NO_PROXY": "127.0.0.1"},
                capture_output=True, text=True, timeout=110, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        ask = [f"--server={server}", "--agree-tos", "--register-unsafely-without-email", "--standalone"]
        ask += [
            "--http-01-address=127.0.0.1",
            f"--http-01-port={port}",
            "-d",
            NAME,
            *options[0].split(),
            f"--deploy-hook={HOOK}",
        ]
        certbot("certonly", *ask)
        owner.names_it()
        with Process(owner.etc, "--port", "0") as relay:
            owner.pid.write_text(str(relay.process.pid))
            first, pin = shown(relay.port), keys.pin_of(owner.etc / "acme.crt")
            certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
            until(lambda: shown(relay.port) != first, "the new certificate is shown")
            assert keys.pin_of_der(first) == keys.pin_of_der(shown(relay.port)) == pin
            owner.pid.unlink()
            relay.end(signal.SIGTERM)
        assert owner.reloaded() == 2
