"""The relay as a service and as a package: what its unit allows, and that its papers say what it does.

That it does so in a running system is shown by `make test-vm`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from relay_help import counted
from typed import dead_links

import relay_server
from relay import config as configuration
from relay.config import Config
from relay.journal import MOODS
from relay.limits import Limits
from relay.server import STOP_S, files_for

ROOT = Path(__file__).resolve().parent.parent
(_SUBPARSERS,) = (one for one in relay_server.parser()._actions if isinstance(one, argparse._SubParsersAction))
COMMANDS: dict[str, argparse.ArgumentParser] = dict(_SUBPARSERS.choices)
DEPLOY = ROOT / "deploy"
SERVICE = DEPLOY / "parley-relay.service"
SOCKET = DEPLOY / "parley-relay.socket"


def settings(unit: Path) -> dict[str, list[str]]:
    """Return what a unit sets, each as often as it stands there."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in unit.read_text("utf-8").splitlines():
        if match := re.fullmatch(r"([A-Z]\w+)=(.*)", line):
            found[match[1]].append(match[2])
    return found


SAID = settings(SERVICE)


# -- the unit ----------------------------------------------------------------------------------------------------------


def test_the_unit_gives_the_relay_what_it_counts_on() -> None:
    assert Path("/run") / SAID["RuntimeDirectory"][0] == configuration.SERVICE_CONTROL.parent
    assert SAID["Type"] == ["notify"]
    assert int(SAID["WatchdogSec"][0]) > 10  # it gives a sign of life each second
    assert int(SAID["TimeoutStopSec"][0]) > 2 * STOP_S
    assert int(SAID["LimitNOFILE"][0]) > files_for(Limits().max_connections)
    assert int(SAID["RestartPreventExitStatus"][0]) == relay_server.EXIT_CONFIG
    assert SAID["ExecStart"][0].endswith(f" run --config {configuration.PACKAGED}")
    assert settings(SOCKET)["ListenStream"] == [str(Config().port)]


def test_the_traps_are_avoided() -> None:
    assert "MemoryHigh" not in SAID  # without swap it holds the relay up instead of ending it
    assert "LoadCredential" not in SAID  # no reload would see a new certificate
    assert SAID["ExecReload"] == ["+/bin/sh -c 'kill -HUP $MAINPID'"]  # a small system has no kill program
    assert {"/", "/tmp", "/var/tmp", "/dev/shm"} == set(SAID["NoExecPaths"][0].split())  # PrivateTmp mounts over /
    assert "/usr/bin" not in SAID["ExecPaths"][0].split()  # or it could run every program there is
    assert (SAID["PrivateNetwork"], SAID["RestrictAddressFamilies"]) == (["yes"], ["AF_UNIX"])
    assert SAID["User"] == ["parley-relay"]
    assert "DynamicUser" not in SAID  # its keys have to be somebody's
    assert SAID["Requires"] == ["parley-relay.socket"]
    assert "Also" not in SAID  # the package's scripts would restart the socket with the service


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
@pytest.mark.parametrize(
    ("drop_in", "most"), [(None, 0.3), (DEPLOY / "nats.conf", 0.9)], ids=["alone", "with an engine"]
)
def test_how_exposed_it_is(tmp_path: Path, drop_in: Path | None, most: float) -> None:
    unit = tmp_path / SERVICE.name
    shutil.copy(SERVICE, unit)
    if drop_in:
        (tmp_path / f"{unit.name}.d").mkdir()
        unit.write_text(unit.read_text() + drop_in.read_text())
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", found.stdout)
    assert score, found.stderr
    assert float(score[1]) <= most


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_understands_every_line() -> None:
    units = sorted(map(str, DEPLOY.glob("*.service"))) + sorted(map(str, DEPLOY.glob("*.socket")))
    assert len(units) == 4
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60, check=False
    )
    said = [line for line in found.stderr.splitlines() if "parley" in line and "is not executable" not in line]
    assert said == []


# -- the package -------------------------------------------------------------------------------------------------------


def test_the_package_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert (DEPLOY / "debian" / "changelog").read_text("utf-8").startswith(f"parley-relay ({version}) ")
    assert f"parley-relay_{version}_all.deb" in (ROOT / "docs" / "SELF_HOSTING.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    ["deploy/debian/postinst", "deploy/debian/prerm", "deploy/debian/postrm", "deploy/acme-hook", "tools/make-deb"],
)
def test_its_scripts_are_scripts(name: str) -> None:
    subprocess.run(["/bin/sh", "-n", str(ROOT / name)], check=True, timeout=60)
    if found := shutil.which("shellcheck"):
        subprocess.run([found, "--severity=warning", str(ROOT / name)], check=True, timeout=60)


@pytest.mark.skipif(not Path("/usr/share/perl5/Debian/Debhelper").exists(), reason="debhelper isn't installed")
@pytest.mark.skipif(not Path("/usr/share/doc/dh-python").exists(), reason="dh-python isn't installed")
def test_what_is_in_the_package_makes_keys_and_a_line(tmp_path: Path) -> None:
    """Unpacked and run as it is: a module that was forgotten would show."""
    subprocess.run([ROOT / "tools" / "make-deb"], check=True, capture_output=True, timeout=120)
    (package,) = (ROOT / "build").glob("parley-relay_0*_all.deb")
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True, timeout=60)
    relay: list[str | Path] = [
        "/usr/bin/python3",
        "-B",
        tmp_path / "usr" / "share" / "parley-relay" / "relay_server.py",
    ]

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            [*relay, *words], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    state = tmp_path / "state"
    assert run("init", "--host", "chat.example.org", "--state", state)
    assert run("line", "--config", state / configuration.CONFIG_NAME).startswith("parley:relay/chat.example.org:7256/")
    assert "can be used" in run("check-config", "--config", state / configuration.CONFIG_NAME)

    papers = tmp_path / "usr" / "share" / "doc" / "parley-relay"
    pages = sorted(papers.glob("*.md"))
    assert [page.name for page in pages] == ["CAPACITY.md", "OTHER_WAYS.md", "SELF_HOSTING.md", "THREAT_MODEL.md"]
    assert [dead for page in pages for dead in dead_links(page)] == []


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("papers")
    subprocess.run([sys.executable, str(ROOT / "tools" / "relay_papers.py"), str(place)], check=True, timeout=60)
    return place


def test_the_pages_in_the_package_lead_to_what_is_in_it(papers: Path) -> None:
    """What debian/install puts beside them is put there; a link to anything else has become words."""
    beside = papers / "doc"
    for line in (DEPLOY / "debian" / "install").read_text("utf-8").splitlines():
        name, place = line.split()
        if place.endswith("/examples"):
            (beside / "examples").mkdir(exist_ok=True)
            shutil.copy(DEPLOY / name, beside / "examples")
    assert "doc/*.md usr/share/doc/parley-relay" in (DEPLOY / "debian" / "install").read_text("utf-8").splitlines()
    pages = {page.name: page.read_text("utf-8") for page in beside.glob("*.md")}
    assert [dead for name in pages for dead in dead_links(beside / name)] == []
    assert "[OTHER_WAYS.md](OTHER_WAYS.md)" in pages["SELF_HOSTING.md"]
    assert "[two limits](OTHER_WAYS.md#as-an-onion-service)" in pages["SELF_HOSTING.md"]
    assert "is in `docs/RELIABILITY.md` in Parley's sources under F13" in pages["SELF_HOSTING.md"]
    assert "the README (`README.md` in Parley's sources)" in pages["SELF_HOSTING.md"]
    assert pages["OTHER_WAYS.md"].startswith("# Other ways to a relay\n")


@pytest.mark.parametrize("paper", ["docs/SELF_HOSTING.md", "deploy/README.md"])
def test_what_the_pages_have_one_type_is_what_the_relay_knows(paper: str) -> None:
    text = (ROOT / paper).read_text("utf-8")
    typed = re.findall(r"(?:^ {4}|`|ssh \S+ |&& )parley-relay ([a-z-]+(?: [^`&|;\n]*)?)", text, re.MULTILINE)
    assert len(typed) > 2
    for command in typed:
        relay_server.parser().parse_args(shlex.split(command))  # or it ends the program


def test_the_page_has_five_commands() -> None:
    section = (
        (ROOT / "docs" / "SELF_HOSTING.md").read_text("utf-8").split("## Five commands", 1)[1].split("\n## ", 1)[0]
    )
    block = re.search(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert [shlex.split(line)[0] for line in block[1].splitlines()] == ["make", "scp", "ssh", "apt-get", "parley-relay"]


def test_the_man_pages_name_every_command_option_and_key(papers: Path) -> None:
    page = (papers / "man" / "parley-relay.8").read_text("utf-8").replace("\\-", "-")
    completion = (papers / "bash-completion" / "parley-relay").read_text("utf-8")
    assert len(COMMANDS) > 9
    for word, command in COMMANDS.items():
        assert f"\\fB{word}\\fR" in page
        assert word in completion
        for option in (one for action in command._actions for one in action.option_strings if one.startswith("--")):
            assert option == "--help" or f"\\fB{option}\\fR" in page
            assert option in completion
    page = (papers / "man" / "parley-relay.toml.5").read_text("utf-8").replace("\\-", "-")
    for item in (*dataclasses.fields(Config), *dataclasses.fields(Limits)):
        assert f"\\fB{item.name}\\fR" in page or f".SH [{item.name}]" in page, item.name


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man here")
@pytest.mark.parametrize("name", ["parley-relay.8", "parley-relay.toml.5"])
def test_the_man_pages_are_set_without_a_warning(papers: Path, name: str) -> None:
    found = subprocess.run(
        ["man", "--warnings", "-l", str(papers / "man" / name)],
        env={"MANWIDTH": "80", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert found.stderr == ""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ch"], {"check-config"}),
        (["rotate", "--"], {"--spare", "--config", "--help"}),
        (["nonsense", "--"], set()),
        (["init", "--state", "/et"], {"/etc"}),
    ],
)
def test_the_completion_offers_what_there_is(papers: Path, words: list[str], offered: set[str]) -> None:
    script = (
        f"source {papers}/bash-completion/parley-relay; compopt() {{ :; }}; "
        f"COMP_WORDS=(parley-relay {' '.join(words)}); "
        f"COMP_CWORD={len(words)}; _parley_relay; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert set(found.stdout.split()) == offered


# -- the dashboard -----------------------------------------------------------------------------------------------------


def test_the_dashboard_asks_for_what_the_relay_counts() -> None:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    names = set(re.findall(r"\b(?:parley_relay|process)_\w+", asked))
    assert len(names) > 10
    assert names <= counted()
    (words,) = re.findall(r'event=~"([^"]+)"', asked)
    assert set(words.split("|")) == {word for word, mood in MOODS.items() if mood == "hurt"}
