"""The configuration: a commented TOML file, read strictly.  Every mistake is one sentence with file, line and cure."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import socket
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatcore.errors import ConfigError
from chatcore.wire import DEFAULT_PORT, NO_PASS, PASS_SIZE
from relay import across, engine, keys
from relay.limits import Limits, Network
from relay.template import configuration_text

CONFIG_NAME = "parley-relay.toml"
MAX_FILE_BYTES = 65_536
MAX_LINE = 4096  # characters: the standard library takes half a minute for a file that is one key with many dots
MAX_SEARCHES = 64  # for the line of a mistake; more only where a value has more lines than that
MAX_SOCKET_PATH_BYTES = 100  # the system's own limit is 104 or 108, with a zero
LOOPBACK = "127.0.0.1"
PACKAGED = Path("/etc/parley-relay") / CONFIG_NAME  # where the Debian package keeps it
SERVICE_CONTROL = Path("/run/parley-relay/control.sock")  # where the relay of deploy/parley-relay.service is asked

Place = Path | tuple[str, int]  # a unix socket, or a host of this computer and a port

_METRICS_EXAMPLES = '"127.0.0.1:9256", "[::1]:9256" or "unix:/run/parley-relay/metrics.sock"'
_MAY_BE_ZERO = {
    "max_connections_per_address",
    "max_joins_per_minute_per_address",
    "max_bytes_per_second_per_seat",
    "max_bytes_per_second_per_reader",
}
_ENDLESS = 2**40
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_MOST = {"max_seats_per_room": 65_535, "max_connections": 1_000_000}  # the welcome counts seats in 16 bits


@dataclass(frozen=True)
class Config:
    """All that a relay needs to know.  Paths are absolute; `host` is what people dial, `listen` where we do."""

    host: str = LOOPBACK
    listen: tuple[str, ...] = (LOOPBACK,)
    port: int = DEFAULT_PORT
    public_port: int = 0  # what people dial, where that is another port; 0: it isn't
    certificate: Path | None = None  # None: plain TCP
    key: Path | None = None
    spare_pin: bytes = b""
    relay_pass: bytes = field(default=NO_PASS, repr=False)
    behind_tls_terminator: bool = False
    proxy_from: tuple[Network, ...] = ()
    event_loop: str = "auto"
    log: str = "info"
    log_format: str = "text"
    control: Path | None = None  # a unix socket; None: where `default_control` says
    metrics: Place | None = None
    engine: engine.Settings | None = None  # None: this relay is alone
    limits: Limits = field(default_factory=Limits)


def default_state() -> Path:
    """Return where a relay keeps its files unless told otherwise.

    systemd names the directory it made for a service in STATE_DIRECTORY; else it is the platform's usual place.
    """
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "parley-relay"


def default_config() -> Path:
    """Return where a relay's configuration is unless told otherwise."""
    if not os.environ.get("STATE_DIRECTORY") and PACKAGED.exists():
        return PACKAGED
    return default_state().absolute() / CONFIG_NAME


def default_control() -> Path | None:
    """Return where a relay is asked for its counts unless told otherwise: where systemd made a place for it."""
    given = os.environ.get("RUNTIME_DIRECTORY")
    return Path(given.split(":")[0]) / SERVICE_CONTROL.name if given else None


def asked_at(config: Config) -> Path:
    """Return where a relay with this configuration is asked by somebody outside of its service."""
    if found := config.control or default_control():
        return found
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere") / "parley-relay" / SERVICE_CONTROL.name
    return own if own.exists() else SERVICE_CONTROL  # somebody's own service, or the system's


def is_loopback(host: str) -> bool:
    """Tell whether a server on this host name or address is reached from this computer only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_wildcard(host: str) -> bool:
    """Tell whether this stands for all addresses of the computer."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""


def is_host(host: str) -> bool:
    """Tell whether this is a name or an IP address (IPv6 perhaps with a zone), without port and brackets.

    What clients take for the host of a line, they take by the same rules.
    """
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        labels = host.split(".")
        return len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def is_dialable(host: str) -> bool:
    """Tell whether people can dial this: not with a zone, which means something on one computer only."""
    return is_host(host) and "%" not in host and not is_wildcard(host)


def init_state(state: Path, host: str = LOOPBACK, certificate: Path | None = None) -> Path:
    """Make key, certificate and configuration in a directory and return the configuration's path.

    A relay that others can reach gets a spare key, too.

    `certificate` is where the certificate goes, if not there: the relay must be able to write it anew.

    Raises ConfigError when something is in the way, and replaces nothing.
    """
    if not is_host(host):
        raise ConfigError(f"--host {host!r} is neither a name nor an IP address; give it without port and brackets.")
    if not is_dialable(host):
        raise ConfigError(f"--host {host} is nothing that people can dial; give this computer's name or IP address.")
    path = state / CONFIG_NAME
    if path.exists():
        raise ConfigError(
            f"{path} exists and is not replaced; run the relay with it, or choose another directory with --state."
        )
    listen = [host] if is_loopback(host) else ["0.0.0.0", "::"]  # noqa: S104 - a relay is there to be reached
    beside, spare_pin = {}, ""
    if not is_loopback(host):
        beside[keys.SPARE_NAME], spare = keys.make_key_and_certificate()
        spare_pin = keys.to_base64url(keys.pin_of_pem(spare.decode("ascii")))
    shown = str(certificate.absolute()) if certificate is not None else keys.CERTIFICATE_NAME
    text = configuration_text(host, listen, str(SERVICE_CONTROL), certificate=shown, spare_pin=spare_pin)
    beside[CONFIG_NAME] = text.encode()
    keys.init_keys(state, beside, certificate)
    return path


def load(path: Path) -> Config:
    """Read a configuration.  Raises ConfigError with one sentence that names file, line (if there is one) and cure."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: is larger than {MAX_FILE_BYTES} bytes, so it is no relay configuration.")
        text = data.decode("utf-8-sig")  # a byte order mark is how some editors begin
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read ({error.strerror}); name the right file with --config, or make one with `init`."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; write it anew with `init` in another directory.") from None
    return parse(path, text)


def parse(path: Path, text: str) -> Config:
    """Read what stands, or would stand, in this file.  Raises ConfigError as `load` does."""
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            raise ConfigError(f"{path}, line {number}: a line has at most {MAX_LINE} characters; write it as several.")
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also for a number of too many digits, and for brackets without end
        found = re.search(r"\(at line (\d+)", str(error))
        where = f", line {found[1]}" if found else ""
        raise ConfigError(
            f"{path}{where}: this is not valid TOML; strings need quotes, each key stands once."
        ) from None
    return _Reader(path, text).read(tables)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:59] + "…")


class _Reader:
    """Turns tables into a Config and knows where in the file each key stands."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.split("\n")

    def fail(self, sentence: str, *keys: str) -> ConfigError:
        """Return the error, with the line at which a table, or a key in one, begins."""
        number = self._line_of(keys)
        return ConfigError(f"{self.path}, line {number}: {sentence}" if number else f"{self.path}: {sentence}")

    def _line_of(self, keys: tuple[str, ...]) -> int:
        """Return where the statement begins after which `keys` lead to something; 0 if that can't be found.

        The reader of TOML itself looks, so quoted, dotted and inline keys and values of many lines are found, too.  It
        reads the first lines, ever more closely; lines that end in the middle of a value tell nothing.
        """
        without, within, open_from = 0, len(self.lines), len(self.lines)  # the first so many lines: not there, there
        tries = 0
        while open_from - without > 1:
            middle = end = (without + open_from) // 2
            while end < within and (found := self._leads(keys, end)) is None:
                end += 1
                if (tries := tries + 1) > MAX_SEARCHES:
                    return 0
            if end == within or found:
                within, open_from = end, middle
            else:
                without = end
        return without + 1 if self._leads(keys, within) else 0

    def _leads(self, keys: tuple[str, ...], lines: int) -> bool | None:
        """Tell whether `keys` lead to something in the first lines; None when these end in the middle of a value."""
        try:
            found: Any = tomllib.loads("\n".join(self.lines[:lines]))
        except ValueError:
            return None
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found is not None

    def read(self, tables: dict[str, Any]) -> Config:
        for name, content in tables.items():
            if name not in ("relay", "limits", "metrics", "engine"):
                tables_are = "the tables are [relay], [limits], [metrics] and [engine]."
                raise self.fail(f"{_shown(name)} is not known here; {tables_are}", name)
            if not isinstance(content, dict):
                raise self.fail(f"[{name}] must be a table, written in brackets on a line of its own.", name)
        relay = self._relay(tables.get("relay", {}))
        limits = self._limits(tables.get("limits", {}))
        metrics = self._metrics(tables.get("metrics", {}))
        return Config(**relay, limits=limits, metrics=metrics, engine=self._engine(tables.get("engine", {}), limits))

    def _engine(self, content: dict[str, Any], limits: Limits) -> engine.Settings | None:
        self._known("engine", content, engine.KEYS)
        if not content:
            return None
        if limits.max_seats_per_room > across.MAX_RECORDS:
            raise self.fail(
                f"max_seats_per_room must be at most {across.MAX_RECORDS} where rooms reach over several relays.",
                "limits",
                "max_seats_per_room",
            )
        try:
            return engine.read(content, self._path)
        except engine.Mistake as mistake:
            where = ("engine", mistake.key) if mistake.key in content else ("engine",)
            raise self.fail(mistake.sentence, *where) from None

    def _known(self, table: str, content: dict[str, Any], known: set[str]) -> None:
        for key in content:
            if key not in known:
                choices = ", ".join(sorted(known))
                raise self.fail(f"{_shown(key)} is not known in [{table}]; the keys are {choices}.", table, key)

    def _limits(self, content: dict[str, Any]) -> Limits:
        self._known("limits", content, {item.name for item in dataclasses.fields(Limits)})
        for key, value in content.items():
            least, most = int(key not in _MAY_BE_ZERO), _MOST.get(key, _ENDLESS)
            if type(value) is not int or not least <= value <= most:
                raise self.fail(f"{key} must be a whole number from {least} to {most}.", "limits", key)
        limits = Limits(**content)
        if limits.silence_s <= limits.ping_after_s:
            sentence = "silence_s must be more than ping_after_s: who is silent is asked for a sign of life before."
            raise self.fail(sentence, "limits", "silence_s" if "silence_s" in content else "ping_after_s")
        return limits

    def _metrics(self, content: dict[str, Any]) -> Place | None:
        self._known("metrics", content, {"listen"})
        if "listen" not in content:
            return None
        value = content["listen"]
        if type(value) is not str or "\0" in value:
            value = ""
        if value.startswith("unix:/"):
            return self._socket("metrics", "listen", Path(value.removeprefix("unix:")))
        found = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})", value)
        if not found or not 0 < int(found[2]) < 65_536:
            raise self.fail(f"listen must be {_METRICS_EXAMPLES}.", "metrics", "listen")
        if not is_loopback(host := found[1].strip("[]")):
            raise self.fail(
                f"metrics are for this computer alone, so listen must be {_METRICS_EXAMPLES}.", "metrics", "listen"
            )
        return host, int(found[2])

    def _socket(self, table: str, key: str, path: Path) -> Path:
        if not hasattr(socket, "AF_UNIX"):
            raise self.fail("Python has no unix sockets on this system; leave this key out.", table, key)
        if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            sentence = f"the path of a socket has at most {MAX_SOCKET_PATH_BYTES} bytes; choose another."
            raise self.fail(sentence, table, key)
        return path

    def _read_control(self, key: str, value: Any) -> Path:
        return self._socket("relay", key, self._path(self._read_text(key, value)))

    def _relay(self, content: dict[str, Any]) -> dict[str, Any]:
        self._known(
            "relay", content, {item.name for item in dataclasses.fields(Config)} - {"limits", "metrics", "engine"}
        )
        ready: dict[str, Any] = {"certificate": self._path(keys.CERTIFICATE_NAME), "key": self._path(keys.KEY_NAME)}
        for key, value in content.items():
            ready[key] = getattr(self, f"_read_{key}", self._read_text)(key, value)
        return ready

    def _path(self, name: str) -> Path:
        return (self.path.parent / name).absolute()

    def _read_text(self, key: str, value: Any) -> str:
        if type(value) is not str or not value or "\0" in value:  # no path can have a NUL in it
            raise self.fail(f"{key} must be a text in quotes.", "relay", key)
        return value

    def _read_host(self, key: str, value: Any) -> str:
        host = self._read_text(key, value)
        if not is_dialable(host):
            raise self.fail(
                "host must be a name or IP address that people can dial, without port and brackets.", "relay", key
            )
        return host

    def _read_listen(self, key: str, value: Any) -> tuple[str, ...]:
        if type(value) is not list or not value or not all(type(item) is str and is_host(item) for item in value):
            raise self.fail('listen must be a list of addresses, such as ["0.0.0.0", "::"].', "relay", key)
        return tuple(value)

    def _read_port(self, key: str, value: Any) -> int:
        if type(value) is not int or not 0 < value < 65_536:
            raise self.fail(f"{key} must be a whole number from 1 to 65535.", "relay", key)
        return value

    _read_public_port = _read_port

    def _read_behind_tls_terminator(self, key: str, value: Any) -> bool:
        if type(value) is not bool:
            raise self.fail(f"{key} must be true or false, without quotes.", "relay", key)
        return value

    def _read_proxy_from(self, key: str, value: Any) -> tuple[Network, ...]:
        try:
            if type(value) is not list or not all(type(item) is str for item in value):
                raise ValueError
            return tuple(map(ipaddress.ip_network, value))
        except ValueError:
            raise self.fail(
                'proxy_from must be a list of IP addresses or networks, such as ["127.0.0.1", "10.0.0.0/8"].',
                "relay",
                key,
            ) from None

    def _read_certificate(self, key: str, value: Any) -> Path:
        return self._path(self._read_text(key, value))

    _read_key = _read_certificate

    def _read_secret(self, key: str, value: Any) -> bytes:
        try:
            data = keys.from_base64url(self._read_text(key, value))
        except ValueError:
            data = b""
        if len(data) != PASS_SIZE or data == NO_PASS:
            raise self.fail(f"{key} must be 43 characters of base64url, as `init` writes it.", "relay", key)
        return data

    _read_spare_pin = _read_secret
    _read_relay_pass = _read_secret

    def _choice(self, key: str, value: Any, choices: tuple[str, ...]) -> str:
        if value not in choices:
            raise self.fail(f"{key} must be one of {', '.join(map(repr, choices))}.", "relay", key)
        return str(value)

    def _read_event_loop(self, key: str, value: Any) -> str:
        return self._choice(key, value, ("auto", "asyncio", "uvloop"))

    def _read_log(self, key: str, value: Any) -> str:
        return self._choice(key, value, ("off", "info", "debug"))

    def _read_log_format(self, key: str, value: Any) -> str:
        return self._choice(key, value, ("text", "json"))
