#!/usr/bin/env python3
"""The relay's front door: `relay_server.py init`, `run`, `line`, `check-config`, `stats`, `doctor`, and more.

Everything behind it is in `relay/`.  Standard library only; uvloop is used where it is installed.
Ends with status 0 after a clean stop, 1 when it can't serve (port in use), 2 for a wrong command line, 78 (EX_CONFIG)
when the configuration or the state directory can't be used.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import socket
import sys
from pathlib import Path

from chatcore.errors import ConfigError, RelayError
from chatcore.wire import DEFAULT_PORT
from chatcore.wire import VERSION as WIRE_VERSION
from relay import config as configuration
from relay import doctor, install, keys, monitor, renewal, server, service
from relay.config import Config
from relay.system import own_address, remark_on

EXIT_UNAVAILABLE = 1
EXIT_CONFIG = 78


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status.  Every failure is one sentence on stderr."""
    _open_standard_files()
    options = parser().parse_args(argv)
    try:
        return int(options.command(options))
    except ConfigError as error:
        return _fail(str(error), EXIT_CONFIG)
    except RelayError as error:
        return _fail(str(error), EXIT_UNAVAILABLE)
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        return _fail(
            f"the system refused something the relay needs ({error.strerror or 'no reason given'}).", EXIT_UNAVAILABLE
        )


def _fail(sentence: str, status: int) -> int:
    print(f"parley-relay: {sentence}", file=sys.stderr)
    return status


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; the man page and the completion are made from it, too."""
    whole = argparse.ArgumentParser(
        prog="parley-relay", description="A relay for Parley rooms: it forwards, and can't read."
    )
    commands = whole.add_subparsers(
        required=True,
        metavar="init | run | line | check-config | stats | doctor | host | rotate | install-unit | version",
    )

    init = commands.add_parser("init", help="make key, certificate and configuration")
    init.add_argument("--host", metavar="NAME-OR-IP", help="what people dial to reach this computer")
    init.add_argument(
        "--public", action="store_true", help="without --host: the address this computer has in the world"
    )
    init.add_argument("--state", type=Path, metavar="DIR", help="where to keep the files")
    init.add_argument("--certificate", type=Path, metavar="FILE", help="where to keep the certificate, if not there")
    init.add_argument("--group", metavar="GROUP", help="whom the service runs as: may read the files, but no spare key")
    init.set_defaults(command=_init)

    run = commands.add_parser("run", help="serve, and print the line for invites")
    run.add_argument("--config", type=Path, metavar="FILE", help="the configuration that `init` wrote")
    run.add_argument("--host", type=_host, help="listen on this address instead of the configured ones")
    run.add_argument("--port", type=_port, help=f"listen on this port (default {DEFAULT_PORT})")
    run.add_argument("--plaintext", action="store_true", help="no TLS: loopback only, or behind a TLS terminator")
    run.add_argument(
        "--unlimited", action="store_true", help="no per-address and rate limits: loopback only, for benchmarks"
    )
    run.set_defaults(command=_run)

    line = commands.add_parser("line", help="print the line for invites, and don't serve")
    line.add_argument("--config", type=Path, metavar="FILE", help="the configuration that `init` wrote")
    line.set_defaults(command=_line)

    check = commands.add_parser("check-config", help="say whether the configuration can be used, and don't serve")
    check.add_argument("--config", type=Path, metavar="FILE", help="the configuration that `init` wrote")
    check.set_defaults(command=_check)

    stats = commands.add_parser("stats", help="print what a running relay counts")
    stats.add_argument("--config", type=Path, metavar="FILE", help="the configuration that `init` wrote")
    stats.add_argument("--json", action="store_true", help="for programs: one JSON object")
    stats.set_defaults(command=_stats)

    examine = commands.add_parser("doctor", help="look for what could be wrong, and say what to do")
    examine.add_argument("--config", type=Path, metavar="FILE", help="the configuration that `init` wrote")
    examine.set_defaults(command=_doctor)

    host = commands.add_parser("host", help="change what people dial, in the configuration")
    host.add_argument("host", type=_host, metavar="NAME-OR-IP", help="what people dial to reach this computer")
    host.add_argument("--config", type=Path, metavar="FILE", help="the configuration that `init` wrote")
    host.set_defaults(command=_change_host)

    rotate = commands.add_parser("rotate", help="put the spare key into the place of the key, and make a new spare one")
    rotate.add_argument("--spare", type=Path, metavar="FILE", help="the spare key, if not beside the configuration")
    rotate.add_argument("--config", type=Path, metavar="FILE", help="the configuration that `init` wrote")
    rotate.set_defaults(command=_rotate)

    unit = commands.add_parser("install-unit", help="write units for systemd that start this relay")
    unit.add_argument("--user", action="store_true", help="for your own service manager, without root")
    unit.set_defaults(command=_install_unit)

    version = commands.add_parser("version", help="say which version of the wire this relay speaks")
    version.set_defaults(command=_version)
    return whole


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65_536):
        raise argparse.ArgumentTypeError("a port is a number from 0 (any free one) to 65535")
    return int(text)


def _host(text: str) -> str:
    if not configuration.is_host(text):
        raise argparse.ArgumentTypeError("a host is a name or an IP address, without port and brackets")
    return text


def _init(options: argparse.Namespace) -> int:
    state = (options.state or configuration.default_state()).absolute()
    host = options.host or configuration.LOOPBACK
    if options.public and options.host is None:
        host = own_address() or socket.gethostname()
    path = configuration.init_state(state, host, options.certificate)
    if options.group:
        _hand_over(path, options.group)
    config = configuration.load(path)
    print(f"Made {path}, with a key and a certificate; keep a copy of the key.")
    if config.spare_pin:
        print(f"Made {state / keys.SPARE_NAME}: move it to another computer, for the day on which the key is stolen.")
        print(f"Let TCP port {config.port} in, in the firewall of this computer and in that of its provider.")
    if remark := remark_on(host):
        print(remark)
    print("The line that people need to create rooms on this relay:")
    print(server.line_of(config))
    return 0


def _hand_over(path: Path, group: str) -> None:
    """Let a group read the configuration and the key, and leave all else to us."""
    try:
        for file in (path, path.with_name(keys.KEY_NAME)):
            shutil.chown(file, group=group)
            file.chmod(0o640)
        path.parent.chmod(0o755)
    except (LookupError, OSError):
        raise ConfigError(
            f"{path.parent} can't be handed over to the group {group}; make it, and ask as root."
        ) from None


def _install_unit(options: argparse.Namespace) -> int:
    left = install.install(options.user)
    print("Wrote the units. What is left to do:")
    for command in left:
        print(f"    {command}")
    return 0


def _change_host(options: argparse.Namespace) -> int:
    path = _path(options)
    if not configuration.is_dialable(options.host):
        raise ConfigError(f"{options.host} is nothing that people can dial; give this computer's name or IP address.")
    try:
        renewal.set_key(path, "host", options.host)
    except OSError as error:
        raise ConfigError(f"{path}: can't be written ({error.strerror}); ask as its owner, or as root.") from None
    if remark := remark_on(options.host):
        print(remark)
    print("From the next reload on (systemctl reload parley-relay) the line for new rooms is:")
    print(server.line_of(configuration.load(path)))
    return 0


def _rotate(options: argparse.Namespace) -> int:
    path = _path(options)
    config = renewal.rotate(path, options.spare)
    print("The spare key is the relay's key from the next reload on: systemctl reload parley-relay")
    print("Invites made until now go on working, but they still take the old key for the relay's: replace them.")
    print(f"Made {path.parent / keys.SPARE_NAME}: move it to another computer, for the next time.")
    print("The line for new rooms:")
    print(server.line_of(config))
    return 0


def _line(options: argparse.Namespace) -> int:
    print(server.line_of(configuration.load(_path(options))))
    return 0


def _check(options: argparse.Namespace) -> int:
    path = _path(options)
    server.check(configuration.load(path))
    print(f"{path} can be used.")
    return 0


def _stats(options: argparse.Namespace) -> int:
    found = monitor.ask(_control(_path(options)))
    if options.json:
        print(json.dumps(found, sort_keys=True))
        return 0
    events = found.pop("events", {})
    for name, value in (*found.items(), *((f"event {word}", count) for word, count in events.items())):
        print(f"{name:<32} {value}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    """Print one line for each finding.  Status 1 when one is bad, 78 when that is the configuration."""
    status = 0
    for finding in doctor.examine(_path(options)):
        print(finding, flush=True)
        if finding.grade == "bad":
            status = EXIT_CONFIG if finding.about == "configuration" else EXIT_UNAVAILABLE
    return status


def _control(path: Path) -> Path:
    """Return where the relay with this configuration is asked; without one, where the service would be."""
    config = configuration.load(path) if path.exists() else Config()
    return configuration.asked_at(config)


def _path(options: argparse.Namespace) -> Path:
    given: Path | None = options.config
    return given or configuration.default_config()


def _run(options: argparse.Namespace) -> int:
    path = _first_run(options)
    service.serve(lambda: _effective(path, options), unlimited=options.unlimited, announce=_announce)
    return 0


def _open_standard_files() -> None:
    """Have descriptors 0 to 2 open, whoever started us.

    Else a socket would get one of them, and what a library prints there in its need would go to somebody connected.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    if sys.stderr is None:  # print() would take standard output instead
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the program runs


def _first_run(options: argparse.Namespace) -> Path | None:
    """Return the path of the configuration to run with, or None to run without any.

    Without --config it is that of the default state directory.  If there is none yet, the first `run` on this computer
    alone makes one; a relay for others needs `init --host` first, because nobody but its owner knows what others dial.
    """
    path = _path(options)
    if options.config is not None or path.exists():
        return path
    if options.plaintext:
        return None
    if options.host is not None and not configuration.is_loopback(options.host):
        raise ConfigError(
            f"there is no configuration in {path.parent} yet; make one with: parley-relay init --host NAME-OR-IP "
            "(what people dial to reach this computer)."
        )
    configuration.init_state(path.parent)
    print(f"parley-relay: first run; made a key and {path}.", file=sys.stderr)
    return path


def _effective(path: Path | None, options: argparse.Namespace) -> Config:
    """Read the configuration and let the command line have the last word."""
    config = configuration.load(path) if path is not None else Config()
    if options.host is not None:
        shown = config.host if configuration.is_wildcard(options.host) else options.host
        config = dataclasses.replace(config, listen=(options.host,), host=shown)
    if options.port is not None:
        config = dataclasses.replace(config, port=options.port)
    server.check_exposure(config, plaintext=options.plaintext, unlimited=options.unlimited)
    if options.plaintext:
        config = dataclasses.replace(config, certificate=None, key=None)
    return config


def _announce(line: str) -> None:
    print(line, flush=True)


def _version(_options: argparse.Namespace) -> int:
    print(f"parley-relay, wire version {WIRE_VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
