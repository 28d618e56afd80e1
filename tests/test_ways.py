"""Other ways to a relay than the package: units for pipx, a proxy in front, a container, a first boot."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from client_help import free_port
from relay_help import DEADLINE_S, ROOM, RelayThread, any_certificate, join_frame, run_relay, until

import relay_server
from chatcore.errors import ConfigError
from chatcore.wire import FRAME_SIZE, Kind, parse_frame
from relay import config as configuration
from relay import install, keys
from relay.config import load
from relay.connection import Connection
from relay.limits import WELCOME, Door

grp = pytest.importorskip("grp")  # a system with groups, and with systemd, perhaps
ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
SERVICE = (DEPLOY / install.SERVICE).read_text("utf-8")


# -- units without a package -------------------------------------------------------------------------------------------


def verified(place: Path, *arguments: str) -> str:
    """Return what systemd has to say against the units in a directory."""
    if shutil.which("systemd-analyze") is None:
        return ""
    units = [str(place / install.SERVICE), str(place / install.SOCKET)]
    found = subprocess.run(
        ["systemd-analyze", *arguments, "verify", "--man=no", *units],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(place)},
    )  # fmt: skip
    return "\n".join(line for line in found.stderr.splitlines() if install.SERVICE in line or install.SOCKET in line)


def test_another_program_in_the_same_sandbox(tmp_path: Path) -> None:
    unit = install.system_units(SERVICE, f"{sys.executable} -BI -m relay_server", ["/opt/pipx/venvs/parley"])
    changed = [new for old, new in zip(SERVICE.splitlines(), unit.splitlines(), strict=True) if old != new]
    assert changed[0] == f"ExecStart={sys.executable} -BI -m relay_server run --config {configuration.PACKAGED}"
    assert changed[1].startswith("ExecPaths=/usr/bin/python3 ")
    assert changed[1].endswith(" /opt/pipx/venvs/parley")
    assert len(changed) == 2
    (tmp_path / install.SERVICE).write_text(unit)
    shutil.copy(DEPLOY / install.SOCKET, tmp_path)
    assert verified(tmp_path) == ""


def test_a_unit_for_somebody_without_root(tmp_path: Path) -> None:
    unit = install.user_units(SERVICE, "/venv/bin/python -BI -m relay_server", tmp_path / "parley-relay.toml")
    start = f"ExecStart=/venv/bin/python -BI -m relay_server run --config {tmp_path}/parley-relay.toml"
    assert start in unit
    assert "\nWantedBy=default.target\n" in unit
    for kept in (
        "NoNewPrivileges=yes",
        "SystemCallFilter=@system-service",
        "RestrictAddressFamilies=AF_UNIX",
        "WatchdogSec=20",
    ):
        assert f"\n{kept}\n" in unit
    for of_root in ("User=", "PrivateNetwork=", "ProtectSystem=", "MemoryMax=", "StateDirectory=", "+/bin/sh"):
        assert of_root not in unit
    (tmp_path / install.SERVICE).write_text(unit.replace("/venv/bin/python", sys.executable))
    shutil.copy(DEPLOY / install.SOCKET, tmp_path)
    assert verified(tmp_path, "--user") == ""


def test_install_unit_for_oneself_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    assert relay_server.main(["install-unit", "--user"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in said[1:]] == [
        "parley-relay init --public",
        "systemctl --user daemon-reload && systemctl --user enable --now parley-relay.socket parley-relay",
        "loginctl enable-linger  # so that it runs while you are away",
    ]
    place = tmp_path / "config" / "systemd" / "user"
    assert {path.name for path in place.iterdir()} == {install.SERVICE, install.SOCKET}
    assert f"run --config {tmp_path}/state/parley-relay.toml" in (place / install.SERVICE).read_text()


@pytest.mark.skipif(not Path("/usr/bin/systemd-sysusers").exists(), reason="there is no systemd here")
def test_install_unit_writes_what_systemd_understands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "etc" / "systemd" / "system"
    place.mkdir(parents=True)
    monkeypatch.setattr(configuration, "PACKAGED", tmp_path / "none.toml")
    monkeypatch.setattr(install, "_HOMES", ())  # wherever this checkout lies
    *first, last = install.install(user=False, root=tmp_path)
    assert last == "systemctl daemon-reload && systemctl enable --now parley-relay.socket parley-relay"
    assert [command.split()[0] for command in first] == ["install", "parley-relay"]
    relay_server.parser().parse_args(first[1].split()[1:])
    assert verified(place) == ""
    assert f"\nExecStart={sys.executable} -BEs {ROOT / 'relay_server.py'} run " in (place / install.SERVICE).read_text()
    assert "parley-relay:" in (tmp_path / "etc" / "passwd").read_text()


@pytest.mark.parametrize("user", [True, False])
def test_beside_the_package_install_unit_writes_nothing(tmp_path: Path, user: bool) -> None:
    brought = tmp_path / install.PACKAGED
    brought.parent.mkdir(parents=True)
    brought.write_text(SERVICE)
    with pytest.raises(ConfigError) as caught:
        install.install(user, root=tmp_path)
    assert str(caught.value) == (
        "the Debian package has put its units in place already (systemctl status parley-relay), so nothing was "
        "written; for those of another installation remove it first: apt-get remove parley-relay"
    )
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {brought}


def test_a_program_in_a_home_is_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home" + "/alice/.local/pipx/venvs/parley")
    monkeypatch.setattr(install, "units", lambda: DEPLOY)
    with pytest.raises(ConfigError, match=r"which the service can't see; install the relay for all .* or take --user"):
        install.install(user=False)


def test_an_installation_brings_its_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["data-files"]
    for place, names in files.items():
        for name in names:
            target = tmp_path / place / Path(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(install, "__file__", str(tmp_path / "lib" / "relay" / "install.py"))
    for name in (install.SERVICE, install.SOCKET, install.USERS):
        assert (install.units() / name).exists()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="take them from deploy/ in the sources"):
        install.units()


def test_the_files_are_handed_over_to_a_group_but_not_the_spare_key(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    status, said = run_relay(tmp_path, "init", "--state", str(tmp_path / "a"), "--host", "192.0.2.7", "--group", group)
    assert (status, said) == (0, "")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()}
    assert modes == {"parley-relay.toml": 0o640, "relay.key": 0o640, "relay.crt": 0o644, "spare.key": 0o600}
    status, said = run_relay(tmp_path, "init", "--state", str(tmp_path / "b"), "--group", "no-such-group")
    assert (status, "handed over to the group no-such-group; make it, and ask as root" in said) == (78, True)


# -- a proxy in front --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="there is no haproxy here")
def test_haproxy_passes_tls_on_and_says_for_whom(tmp_path: Path) -> None:
    config = replace(
        load(configuration.init_state(tmp_path)), port=0, proxy_from=(ip_network("127.0.0.1"),), public_port=443
    )
    with RelayThread(config) as relay:
        front = free_port()
        text = (DEPLOY / "haproxy.cfg").read_text("utf-8")
        text, binds = re.subn(r"bind :443", f"bind 127.0.0.1:{front}", text)
        text, servers = re.subn(r"127\.0\.0\.1:7256", f"127.0.0.1:{relay.port}", text)
        assert (binds, servers) == (1, 1)
        (tmp_path / "haproxy.cfg").write_text(text)
        process = subprocess.Popen(["haproxy", "-q", "-db", "-f", str(tmp_path / "haproxy.cfg")])
        try:
            until(lambda: _listens(front), "haproxy listens")
            tcp = socket.create_connection(("127.0.0.1", front), DEADLINE_S, ("127.0.0.77", 0))
            with any_certificate().wrap_socket(tcp) as sock:
                assert keys.pin_of_der(sock.getpeercert(binary_form=True) or b"") == keys.pin_of(
                    tmp_path / keys.CERTIFICATE_NAME
                )
                sock.sendall(join_frame(ROOM))
                data = b""
                while len(data) < FRAME_SIZE:
                    data += sock.recv(FRAME_SIZE - len(data))
                assert parse_frame(data).kind is Kind.WELCOME
                assert "127.0.0.77" in {
                    seat.port.network for seat in relay.server.switch.seats if isinstance(seat.port, Connection)
                }
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
        assert ":443/" in relay.server.line


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_the_container_takes_what_is_there() -> None:
    recipe = (DEPLOY / "Containerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (.*)$", recipe, re.MULTILINE):
        *sources, _target = line.split()
        for source in sources:
            assert list(ROOT.glob(source)), source
    assert "USER parley-relay\n" in recipe


def test_the_first_boot_installs_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    text = (DEPLOY / "cloud-init.yaml").read_text("utf-8")
    assert text.startswith("#cloud-config\n")
    assert f"/parley-relay_{version}_all.deb\n" in text


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="there is no cloud-init here")
def test_cloud_init_understands_the_file_for_a_first_boot() -> None:
    done = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(DEPLOY / "cloud-init.yaml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, "Valid" in done.stdout) == (0, True), done.stderr


# -- behind Tor --------------------------------------------------------------------------------------------------------


def of_the_onion_paper(key: str) -> list[str]:
    """The lines in a block of that part of the paper, of which the first begins with this."""
    paper = (DEPLOY / "README.md").read_text("utf-8").split("## As an onion service", 1)[1]
    blocks = re.findall(r"(?:^    .*\n)+", paper, re.MULTILINE)
    (block,) = [block for block in blocks if block.strip().startswith(key)]
    return [line.strip() for line in block.splitlines()]


def test_the_limits_for_an_onion_service_let_a_crowd_in_from_one_address(tmp_path: Path) -> None:
    keys.ensure_keys(tmp_path)
    path = tmp_path / "parley-relay.toml"

    def let_in(lines: list[str]) -> int:
        path.write_text("\n".join(("[relay]", "[limits]", *lines)))
        config = load(path)
        door = Door(config.limits, config.limits.max_connections)
        return sum(door.arrive("127.0.0.1", 0.0) == WELCOME for _ in range(2000))

    assert let_in(of_the_onion_paper("max_connections_per_address")) == 1024
    assert let_in([]) == 60, "by default Tor's people would count as one"


@pytest.mark.skipif(shutil.which("tor") is None, reason="no tor here")
def test_tor_takes_the_lines_for_an_onion_service(tmp_path: Path) -> None:
    torrc = tmp_path / "torrc"
    lines = [
        line.replace("/var/lib/tor/parley", f"{tmp_path}/parley") for line in of_the_onion_paper("HiddenServiceDir")
    ]
    torrc.write_text("\n".join([f"DataDirectory {tmp_path}/data", "SocksPort 0", *lines, ""]))
    done = subprocess.run(
        ["tor", "--defaults-torrc", os.devnull, "-f", str(torrc), "--verify-config"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert "Configuration was valid" in done.stdout
    assert [line for line in done.stdout.splitlines() if "[warn]" in line and "as root" not in line] == []
