"""The page for those who run a relay, to the letter: each command is read out of it, and checked or done on loopback.

A booted Debian does the five commands and what needs root or systemd (`make test-vm`); here is all the rest.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from relay_help import ROOT, BareClient, Process, counted, join_frame, until
from typed import OTHER_WAYS, SELF_HOSTING, blocks, commands, is_typed, words_of

import relay_server
from chatcore import cable, dial, mover
from chatcore import doctor as outside
from chatcore.invite import RelayAddress
from chatcore.wire import Refusal
from relay import config as configuration
from relay import doctor, keys
from relay import server as serving
from relay.config import Config
from relay.template import configuration_text

DEPLOY = ROOT / "deploy"
PAGES = {path.name: path.read_text("utf-8") for path in (SELF_HOSTING, OTHER_WAYS)}
PAGE, OTHERS = PAGES.values()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGE = f"parley-relay_{PROJECT['version']}_all.deb"
LOGIN = "root@203.0.113.5"
PLACES = (f"{configuration.PACKAGED.parent}/", "/etc/nats", "/etc/systemd/system/parley-relay.service.d")
DAY_S = 86_400
on_unix = pytest.mark.skipif(sys.platform == "win32", reason="the server of the page runs Debian")


# -- each command, against what will read it ---------------------------------------------------------------------------


def check(words: list[str]) -> None:
    """Fail if somebody who types this doesn't get what the page says."""
    match words:
        case ["parley-relay", *rest] | ["python3", "-BEs", "/usr/share/parley-relay/relay_server.py", *rest]:
            relay_server.parser().parse_args(rest)  # or it ends the program
        case [".venv/bin/python", "gui_client.py", "move" | "doctor" as tool, *rest]:
            check_tool(tool, rest)
        case ["parley-move" | "parley-doctor" as program, *rest]:
            assert program in PROJECT["scripts"]
            check_tool(program.removeprefix("parley-"), rest)
        case ["systemctl", verb, *units]:
            check_units(verb, units)
        case (
            ["journalctl", "-u", unit] | ["journalctl", "-u", unit, "-p", "err"] | ["systemd-analyze", "security", unit]
        ):
            assert unit_of(unit)
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        case ["scp", source, "."]:
            assert source.startswith(f"{LOGIN}:{configuration.PACKAGED.parent}/")
        case ["rm" | "install", *_, path]:
            assert path.startswith(PLACES)
        case ["man", name]:
            assert re.search(rf"^man/{name}\.\d$", (DEPLOY / "debian" / "manpages").read_text("utf-8"), re.MULTILINE)
        case ["ufw", "allow", port]:
            assert f"ListenStream={port.removesuffix('/tcp')}\n" in unit_of("parley-relay.socket")
        case ["curl", address]:
            place = address.removeprefix("http://").removesuffix("/metrics")
            assert f"ListenStream={place}\n" in unit_of("parley-relay-metrics.socket")
        case ["pipx" | "uv", *verb, what] if "install" in verb:
            extra = re.fullmatch(r"\.(?:\[(\w+)\])?", what)
            assert extra
            assert extra[1] in (None, *PROJECT["optional-dependencies"])
        case ["podman", "build", "-t", _, "-f", recipe, "."]:
            assert (ROOT / recipe).exists()
        case ["certbot", "certonly", *_, hook]:
            installed = (DEPLOY / "debian" / "install").read_text("utf-8").splitlines()
            assert f"{Path(hook).name} {str(Path(hook).parent)[1:]}" in installed
            assert os.access(DEPLOY / Path(hook).name, os.X_OK)
        case _:
            assert " ".join(words) in KNOWN


def test_the_page_and_the_configuration_say_what_needs_a_restart() -> None:
    made = configuration_text("chat.example.org", ["::"], "/run/control.sock", certificate="relay.crt", spare_pin="")
    for text in (PAGE, made):
        said = re.search(r"^(?:# )?Only (.*) need ", text, re.MULTILINE)
        assert said is not None
        assert set(re.findall(r"[a-z_]{4,}", said[1])) == set(serving._UNTIL_RESTART)


# Said as it is: what is done in the five commands, below, in test_relay_engine_doctor.py or in test_ways.py, and
# what is another program's and was tried by hand.
KNOWN = {
    ".venv/bin/python gui_client.py",
    f"ssh {LOGIN}",
    f"scp build/{PACKAGE} {LOGIN}:",
    "apt-get update",
    f"apt-get install -y ./{PACKAGE}",
    "apt-get install nats-server",
    "apt-get install -y nats-server",
    "apt-get install certbot",
    "apt-get remove parley-relay",
    "apt-get purge parley-relay",
    "chmod 600 parley-relay-backup.tar",
    "tar -c -C /etc parley-relay",
    "tar -x -C /etc",
    "nats-server -t -c /etc/nats-server.conf",
    "tor --list-modules",
    "tor --verify-config",
    "systemd-analyze verify",
    "podman exec parley",
    "uv tool",
}


def check_tool(name: str, words: list[str]) -> None:
    """The two that are the client's."""
    known = mover._parser().format_help() if name == "move" else outside.USAGE
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", known))


def unit_of(name: str) -> str:
    return (DEPLOY / (name if "." in name else f"{name}.service")).read_text("utf-8")


def check_units(verb: str, words: list[str]) -> None:
    assert verb in ("start", "restart", "reload", "reset-failed", "edit", "enable", "daemon-reload")
    assert [word for word in words if word.startswith("-")] == (["--now"] if verb == "enable" else [])
    for name in words:
        if not name.startswith("-") and (verb, name) != ("reload", "tor"):
            assert {"reload": "\nExecReload=", "enable": "\n[Install]"}.get(verb, "\n[Unit]") in unit_of(name)


@pytest.mark.parametrize("name", PAGES)
def test_each_command_of_the_pages_is_one_that_its_program_takes(name: str) -> None:
    found = commands(PAGES[name])
    assert len(found) > 15
    for line in found:
        for words in words_of(line):
            if words[:2] in (["podman", "run"], ["openssl", "req"]):
                continue  # below, and in test_relay_engine_doctor.py
            check(words)


@pytest.mark.skipif(shutil.which("podman") is None, reason="there is no podman here")
def test_podman_knows_the_options_of_the_page() -> None:
    runs = [words for line in commands(OTHERS) for words in words_of(line) if words[:2] == ["podman", "run"]]
    known = subprocess.run(["podman", "run", "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    for words in runs:
        *options, image = words[2 : words.index("init")] if "init" in words else words[2:]
        assert image == "parley-relay"
        assert [option for option in options if option.startswith("--") and f"{option} " not in known] == []
        relay_server.parser().parse_args(words[words.index("init") :] if "init" in words else ["run"])


def test_what_is_put_into_a_file_is_what_is_read_from_there(tmp_path: Path) -> None:
    """Every block that nobody types, and every `key = value` in the text."""
    said = [block for text in PAGES.values() for block in blocks(text) if not is_typed(block)]
    tables = {"nats": "", "max_": "[limits]\n", "listen": "[metrics]\n", "log_": "[relay]\n"}
    tables |= {"proxy_from": "[relay]\n", "public_port": "[relay]\n", "certificate": "[relay]\n", "key": "[relay]\n"}
    spans = [span for text in PAGES.values() for span in re.findall(r"`(\w+ = [^`\n]+)`", text)]
    assert len(spans) > 7
    for text in [*spans, *(block for block in said if block.startswith(("[", "max_")))]:
        (table,) = [head for start, head in {**tables, "[": ""}.items() if text.startswith(start)]
        if 'listen = ["' in text:
            table = "[relay]\n"
        path = tmp_path / "parley-relay.toml"
        configuration.parse(path, table + text)
    others = [block.split()[0] for block in said if not block.startswith(("[", "max_"))]
    assert others == ["Made", "-", "HiddenServiceDir"]


# -- done, by somebody with a server -----------------------------------------------------------------------------------


class Owner:
    """Somebody with a server: two directories of this computer, and the page's commands typed in one or the other."""

    def __init__(self, home: Path) -> None:
        self.here, self.there, self.etc = home / "here", home / "there", home / "there" / "etc" / "parley-relay"
        self.pid, self._programs = home / "pid", home / "bin"
        for directory in (self.here, self.there, self._programs):
            directory.mkdir()
        relay = f'STATE_DIRECTORY="{self.etc}" exec "{sys.executable}" "{ROOT / "relay_server.py"}" "$@"'
        self._program("parley-relay", relay)
        self._program("ssh", f'shift; cd "{self.there}" && exec /bin/sh -c "$*"')
        self._program("scp", 'exec cp "${1#*:}" "${2#*:}"')
        self._program("systemctl", f'echo "$@" >>"{home}/asked"; [ "$1" != reload ] || kill -HUP "$(cat "{self.pid}")"')
        self._asked = home / "asked"
        self.made = self.new_server()

    def _program(self, name: str, body: str) -> None:
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def new_server(self) -> str:
        """Set up a server as the package does; return what it says."""
        shutil.rmtree(self.etc, ignore_errors=True)
        return self._run(f"parley-relay init --host 203.0.113.5 --state {self.etc}", self.there)

    def types(self, start: str, *, there: bool = True, page: str = PAGE) -> str:
        """Type the one command line of the page that begins so, and return what came."""
        (line,) = [line for line in commands(page) if line.startswith(start)]
        line = line.replace("/etc", str(self.etc.parent)).replace("-g parley-relay", f"-g {os.getegid()}")
        return self._run(line, self.there if there else self.here)

    def _run(self, line: str, where: Path) -> str:
        environment = {**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=where, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), line
        return done.stdout

    def asked(self) -> list[str]:
        """Return what systemd was asked to do since the last time."""
        text = self._asked.read_text() if self._asked.exists() else ""
        self._asked.unlink(missing_ok=True)
        return text.splitlines()

    def pins(self) -> tuple[bytes, ...]:
        return RelayAddress.parse(self._run("parley-relay line", self.there).strip()).pins

    def files(self) -> dict[str, tuple[int, bytes]]:
        return {path.name: (path.stat().st_mode & 0o777, path.read_bytes()) for path in self.etc.iterdir()}


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


@on_unix
def test_what_the_page_shows_is_what_is_printed(owner: Owner) -> None:
    (shown,) = [block for block in blocks(PAGE) if block.startswith("Made ")]
    line = owner.types("parley-relay line").strip()
    pins = "+".join(keys.to_base64url(pin) for pin in RelayAddress.parse(line).pins)
    assert owner.made.replace(str(owner.etc), "/etc/parley-relay").replace(pins, "PIN+SPARE-PIN") == shown
    assert owner.made.splitlines()[-1] == line


@on_unix
def test_the_spare_key_moves_and_saves_a_relay_whose_key_is_lost(owner: Owner) -> None:
    key, spare = owner.pins()
    owner.types(f"scp {LOGIN}:/etc/parley-relay/spare.key", there=False)
    assert "spare.key" not in owner.files()
    copy = (owner.etc / "parley-relay.toml").read_bytes()

    owner.new_server()
    (owner.there / "parley-relay.toml").write_bytes(copy)
    (owner.there / "spare.key").write_bytes((owner.here / "spare.key").read_bytes())
    owner.types("install -m 640 -g parley-relay parley-relay.toml")
    owner.types("parley-relay rotate --spare spare.key")
    assert owner.asked() == ["restart parley-relay"]
    assert owner.pins()[0] == spare
    assert key not in owner.pins()

    owner.new_server()
    owner.types("install -m 640 -g parley-relay spare.key")
    assert owner.asked() == ["restart parley-relay"]
    assert owner.files()["relay.key"][0] == 0o640
    with Process(owner.etc, "--host", "127.0.0.1", "--port", "0") as relay:
        assert RelayAddress.parse(relay.line).pins[0] == spare


@on_unix
def test_a_backup_is_ones_own_and_makes_another_server_the_same_relay(owner: Owner) -> None:
    owner.types(f"scp {LOGIN}:/etc/parley-relay/spare.key", there=False)
    before, pins = owner.files(), owner.pins()
    owner.types(f"ssh {LOGIN} tar", there=False)
    assert (owner.here / "parley-relay-backup.tar").stat().st_mode & 0o777 == 0o600
    owner.new_server()
    owner.types(f'ssh {LOGIN} "rm -f', there=False)
    assert owner.asked() == ["restart parley-relay"]
    assert (owner.files(), owner.pins()) == (before, pins)


@on_unix
def test_another_name_and_a_pass_are_taken_over_by_a_reload(owner: Owner) -> None:
    with Process(owner.etc, "--host", "127.0.0.1", "--port", "0", RUNTIME_DIRECTORY=str(owner.there)) as relay:
        owner.pid.write_text(str(relay.process.pid))
        assert "parley:relay/chat.example.org:7256/" in owner.types("parley-relay host chat.example.org")
        path = owner.etc / "parley-relay.toml"
        path.write_text(path.read_text().replace("# relay_pass", "relay_pass"))
        assert owner.types("parley-relay check-config", page=PAGE).endswith("can be used.\n")
        assert owner.asked() == ["reload parley-relay"] * 2

        def refused() -> bool:
            with BareClient(relay.port, tls=True) as stranger:
                stranger.send(join_frame())
                return stranger.frame().argument == Refusal.RELAY_PASS

        until(refused, "the pass is asked for")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RUNTIME_DIRECTORY", str(owner.there))
            said = owner.types("parley-relay stats")
        assert re.search(r"^event relay_pass +\d+$", said, re.MULTILINE)
        relay.end(signal.SIGTERM)


# -- what the page says that is said -----------------------------------------------------------------------------------


def said_by_doctors(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have everything go wrong that stands in the table of incidents, and return what each doctor says."""
    path = configuration.init_state(home)
    end_s = 1_795_132_800.0  # 2026-11-20
    said = [
        doctor._clock(end_s + DAY_S, 0.0).sentence,
        doctor._dates(home / keys.CERTIFICATE_NAME, end_s, end_s + DAY_S).sentence,
        doctor._onion(Config(host="abc.onion")).sentence,
        *(outside._BROKEN[cause][1] for cause in (cable.NO_ANSWER, dial.PROXY_OFF)),
    ]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0})())
    said.append(doctor._disk([Path("/var/lib/parley-relay")]).sentence)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = configuration.load(path)
        other = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import socket; s = socket.socket(fileno=0); c, _ = s.accept(); c.sendall(b'HTTP' * 99); c.recv(9999)",
            ],
            stdin=taken.fileno(),
        )
    try:
        finding, _ = doctor._port(Config(port=port, certificate=config.certificate, key=config.key), "127.0.0.1")
        assert finding is not None
        said.append(finding.sentence)
    finally:
        other.kill()
        other.wait()
    free = doctor._free("", "127.0.0.1", port)
    assert free is not None
    return [*said, free.sentence]


def written_in(path: Path) -> list[str]:
    """Return the sentences of a module; what is put into one when it is said is a brace."""
    whole = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            whole.append("".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            whole.append(node.value)
    return whole


@on_unix
def test_the_table_quotes_what_the_doctors_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = PAGE.split("## When something is wrong")[1].split("\n## ")[0]
    quotes = [quote for quote in re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", table) if " " in quote]
    assert len(quotes) > 7
    said = said_by_doctors(tmp_path, monkeypatch)
    known = said + [text for module in (doctor, outside) for text in written_in(Path(str(module.__file__)))]
    for quote in quotes:
        pattern = ".*".join(map(re.escape, quote.split("...")))
        assert [sentence for sentence in known if re.search(pattern, sentence)], quote
    assert [one for one in said if not any(quote.split("...")[0] in one for quote in quotes)] == []


def test_the_window_has_what_the_page_has_one_choose() -> None:
    named = [
        quote for quote in re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", "\n".join(PAGES.values())) if quote[0].isupper()
    ]
    steps = {"Create a room", "A relay on the internet", "Copy link", "Let in"}
    assert set(named) == steps | {"Move to another relay…", "Proxy"}
    words = "".join(path.read_text("utf-8") for path in (ROOT / "gui").rglob("*.py"))
    for name in named:
        assert f'"{name}"' in words, name


def test_the_alarms_are_over_what_is_counted() -> None:
    named = set(re.findall(r"`(parley_relay_\w+)`", PAGE))
    assert len(named) > 4
    assert named <= counted()
