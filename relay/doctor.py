"""What could be wrong with a relay, looked at one by one from its own computer: each finding with its cure.

It looks at files, asks the running relay for its counts, and goes in as a guest would: through TLS, with the pass, into
a room that nobody else can know, and out again.  It changes nothing and may be asked at any time.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import shutil
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chatcore.errors import ConfigError, Finding, RelayError, WireError
from chatcore.wire import FRAME_SIZE, ROOM_ID_SIZE, Frame, Kind, Refusal, join_block, parse_frame
from relay import config as configuration
from relay import keys, monitor, proxy
from relay.config import Config
from relay.engine_doctor import examine_engine
from relay.limits import Limits, is_among
from relay.renewal import made_s
from relay.server import check, connections_within, files_for, listener, why_not_listening
from relay.system import clock_is_kept, hypervisors_clock_s, open_file_limit, remark_on

PATIENCE_S = 10.0
LITTLE_DISK_BYTES = 64 * 2**20
ALMOST_FULL = 0.9
AGREE_S = 2  # a hardware's clock shows whole seconds
DAY_S = 86_400
SOON_S = 30 * DAY_S
_REFUSED = {
    Refusal.RELAY_PASS: "it asks for another pass than the configuration has; reload it.",
    Refusal.RELAY_FULL: "it is full; raise max_connections (and LimitNOFILE=), or put up a second relay.",
    Refusal.TOO_FAST: "it has seen too many connections from this computer; ask again in a minute.",
    Refusal.SHUTTING_DOWN: "it is about to stop; ask again when it is back.",
    Refusal.VERSION: "it speaks another version than these files; restart it.",
}


def examine(path: Path, *, now_s: float | None = None) -> Iterator[Finding]:
    """Look at the relay with this configuration.  The first finding is about the configuration; if bad, it is alone."""
    try:
        config = configuration.load(path)
        check(config)
    except ConfigError as error:
        yield Finding("bad", "configuration", str(error))
        return
    yield Finding("ok", "configuration", f"{path} can be used.")
    now_s = time.time() if now_s is None else now_s
    begin_s = 0
    if config.certificate is not None and config.key is not None and not config.behind_tls_terminator:
        yield _secrecy(config.key, config.spare_pin)
        begin_s, end_s = keys.validity(config.certificate)
        yield _dates(config.certificate, end_s, now_s)
    yield _clock(begin_s, now_s)
    yield _name(config)
    places = {path.parent, *(file.parent for file in (config.certificate, config.key) if file is not None)}
    yield _disk(places)
    running = False
    for host in config.listen:
        finding, runs = _port(config, host)
        running = running or runs
        if finding is not None:
            yield finding
    if config.engine is not None:
        yield from examine_engine(config.engine)
    stats: dict[str, Any] = {}
    if running:
        stats, finding = _counts(config)
        yield finding
    yield _files(config, stats)


def _secrecy(key: Path, spare_pin: bytes) -> Finding:
    found = key.stat()
    # Of root's key the group may be the relay's own: then it can read its key, and not change it.
    if sys.platform != "win32" and found.st_mode & (0o037 if found.st_uid == 0 else 0o077):
        return Finding(
            "warn", "key", f"others on this computer may read {key}, and could pretend to be this relay; chmod 600 it."
        )
    spare = key.with_name(keys.SPARE_NAME)
    if spare.exists() and not _is_spare(spare, spare_pin):
        return Finding(
            "warn",
            "key",
            f"{spare} isn't the spare key that the line for invites names, but of another installation; delete it, and "
            "never copy it over yours.",
        )
    if spare.exists():
        return Finding(
            "warn", "key", f"{spare} lies beside it, and would be stolen with it; move it to another computer."
        )
    return Finding("ok", "key", "it belongs to the certificate, and is its owner's alone.")


def _is_spare(spare: Path, spare_pin: bytes) -> bool:
    """Tell whether this is the key that `spare_pin` names; True too where that can't be found out."""
    try:
        _, certificate = keys.make_key_and_certificate(spare.read_bytes())
        return not spare_pin or keys.pin_of_pem(certificate.decode("ascii")) == spare_pin
    except OSError:
        return True
    except (ConfigError, ValueError, IndexError):
        return False


def _day(time_s: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time_s))


def _dates(certificate: Path, end_s: float, now_s: float) -> Finding:
    if now_s + SOON_S <= end_s:
        return Finding("ok", "certificate", f"it holds until {_day(end_s)}.")
    cure = "get a new one from where it came, for the same key, and reload."
    if keys.is_self_made(certificate):
        cure = (
            "a relay that runs makes a new one within the hour, or when it is reloaded; if this one stays, see that it "
            "may write there."
        )
    return Finding(
        "warn",
        "certificate",
        f"it {'ended' if now_s > end_s else 'ends'} on {_day(end_s)}; Parley's clients look at its key alone, but "
        f"other programs may complain: {cure}",
    )


def _clock(begin_s: float, now_s: float) -> Finding:
    cure = "timedatectl set-ntp true"
    if now_s < made_s() - DAY_S:
        sentence = f"it says {_day(now_s)}, before this relay was made ({_day(made_s())}); set it: {cure}"
        return Finding("bad", "clock", sentence)
    if now_s < begin_s - DAY_S:
        return Finding(
            "warn",
            "clock",
            f"it says {_day(now_s)}, and the certificate holds from {_day(begin_s)} on, so it is wrong, or was: set it "
            f"({cure}); if it is right now, a relay that runs makes a new certificate within the hour, or when it is "
            "reloaded.",
        )
    now = f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(now_s))} UTC"
    if not clock_is_kept():
        beneath_s = hypervisors_clock_s()
        if beneath_s is not None and abs(now_s - beneath_s) <= AGREE_S:
            return Finding("ok", "clock", f"{now}, and its hypervisor's says the same; compare it with yours.")
        return Finding(
            "warn", "clock", f"{now}, and nothing here keeps it right; compare it with yours, or have it kept: {cure}"
        )
    return Finding("ok", "clock", f"{now}; compare it with yours.")


def _onion(config: Config) -> Finding:
    """Look at a relay behind Tor, whose name nobody may be asked for (RFC 7686)."""
    if config.limits.max_connections_per_address == Limits().max_connections_per_address:
        return Finding(
            "warn",
            "name",
            f"{config.host} is an onion service: all who come by it seem to come from this computer, and count as one "
            "address; set max_connections_per_address and max_joins_per_minute_per_address for all of them together, "
            "or to 0.",
        )
    return Finding("ok", "name", f"{config.host} is an onion service: Tor leads there, and nothing was looked up.")


def _name(config: Config) -> Finding:
    if config.host.lower().endswith(".onion"):
        return _onion(config)
    found: list[str] = []

    def look() -> None:
        with contextlib.suppress(OSError):
            found.extend({str(item[4][0]) for item in socket.getaddrinfo(config.host, None, type=socket.SOCK_STREAM)})

    thread = threading.Thread(target=look, daemon=True)  # a name server that is silent can take minutes
    thread.start()
    thread.join(PATIENCE_S)
    if not found:
        return Finding(
            "bad",
            "name",
            f"{config.host} leads nowhere, so nobody can come; set what they dial "
            "(`parley-relay host NAME-OR-IP`), or its DNS record.",
        )
    if any(map(configuration.is_loopback, found)) and not all(map(configuration.is_loopback, config.listen)):
        return Finding(
            "warn",
            "name",
            f"{config.host} leads to this computer itself, at least here; see that it leads others to it, too.",
        )
    if remarks := list(filter(None, map(remark_on, found))):
        return Finding("warn", "name", remarks[0])
    return Finding("ok", "name", f"{config.host} leads to {', '.join(sorted(found))}.")


def _disk(places: Iterable[Path]) -> Finding:
    free, state = min((shutil.disk_usage(place).free, place) for place in places)
    if free < LITTLE_DISK_BYTES:
        return Finding(
            "warn", "disk", f"{free // 2**20} MiB are left where {state} is; make room before the system fails."
        )
    return Finding("ok", "disk", f"{free // 2**20} MiB are left.")


def _port(config: Config, host: str) -> tuple[Finding | None, bool]:
    """Look who serves there; also return whether it is this relay."""
    about = f"port {config.port} on {host or 'all addresses'}"
    here = ("::1" if ":" in host else "127.0.0.1") if configuration.is_wildcard(host) else host
    try:
        tcp = socket.create_connection((here, config.port), PATIENCE_S)
    except OSError:  # nobody answers
        return _free(about, host, config.port), False
    with tcp:
        try:
            return Finding("ok", about, f"this relay gives a seat, and answers in {_visit(config, tcp):.1f} ms."), True
        except RelayError as error:
            return Finding("bad", about, str(error)), True
        except ssl.SSLError:
            sentence = "what serves there speaks no TLS 1.3; stop it, or a relay that was started with --plaintext."
        except WireError:
            sentence = "what serves there is no relay of this version; stop it, or choose another port."
        except OSError as error:
            sentence = f"what serves there doesn't answer as a relay ({error.strerror or 'silence'}); look at its log."
    return Finding("bad", about, sentence), False


def _free(about: str, host: str, port: int) -> Finding | None:
    """Look whether a relay could listen there; None if this computer has no such kind of address, and needs none."""
    try:
        listener(host, port).close()
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and configuration.is_wildcard(host):
            return None
        return Finding("bad", about, why_not_listening(error, host, port))
    return Finding("warn", about, "it is free, so the relay isn't running; start it.")


def _visit(config: Config, tcp: socket.socket) -> float:
    """Go in as a guest, and out again; return how long the relay took to answer a ping, in milliseconds.

    Raises RelayError with one sentence when it is this relay and something is wrong with it; ssl.SSLError, WireError or
    OSError when it isn't.
    """
    tcp.settimeout(PATIENCE_S)
    if is_among(tcp.getsockname()[0], config.proxy_from):
        tcp.sendall(proxy.LOCAL_HEADER)
    if config.behind_tls_terminator or config.certificate is None:
        return _sit(config, tcp)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin says who it is
    with context.wrap_socket(tcp) as sock:
        pin = b""
        with contextlib.suppress(ValueError, IndexError):  # whatever another program shows
            pin = keys.pin_of_der(sock.getpeercert(binary_form=True) or b"")
        if pin != keys.pin_of(config.certificate):
            raise RelayError(
                "what serves there has another key than the configuration names; reload the relay, or stop what it is."
            )
        return _sit(config, sock)


def _sit(config: Config, sock: socket.socket) -> float:
    join = Frame(Kind.JOIN, block=join_block(secrets.token_bytes(ROOM_ID_SIZE), config.relay_pass))
    sock.sendall(join.to_bytes())
    answer = _frame(sock)
    if answer.kind is Kind.REFUSED:
        cure = _REFUSED.get(Refusal(answer.argument)) if answer.argument in set(Refusal) else None
        raise RelayError(cure or "it refuses a guest for a reason that makes no sense; restart it.")
    if answer.kind is not Kind.WELCOME:
        raise WireError("no welcome")
    begin_s = time.perf_counter()
    sock.sendall(Frame(Kind.PING, number=1).to_bytes())
    while _frame(sock).kind is not Kind.PONG:
        pass
    return (time.perf_counter() - begin_s) * 1000


def _frame(sock: socket.socket) -> Frame:
    data = b""
    while len(data) < FRAME_SIZE:
        piece = sock.recv(FRAME_SIZE - len(data))
        if not piece:
            raise WireError("the connection ended")
        data += piece
    return parse_frame(data)


def _counts(config: Config) -> tuple[dict[str, Any], Finding]:
    place = configuration.asked_at(config)
    if config.control is None and not place.exists():
        return {}, Finding("ok", "room", "for one at least; set `control`, and it can be asked how many more.")
    try:
        stats = monitor.ask(place)
        here, most = int(stats["connections"]), int(stats["max_connections"])
    except RelayError as error:
        return {}, Finding("warn", "room", str(error))
    except (KeyError, TypeError, ValueError):
        return {}, Finding("warn", "room", f"{place} is answered by a relay of another version; restart it.")
    sentence = f"{here} of {most} connections are taken"
    if here >= most * ALMOST_FULL:
        return stats, Finding("warn", "room", f"{sentence}; raise max_connections, or put up a second relay.")
    return stats, Finding("ok", "room", f"{sentence}.")


def _files(config: Config, stats: dict[str, Any]) -> Finding:
    files, whose = stats.get("process_max_fds"), "the running relay"
    if not isinstance(files, int):
        files, whose = open_file_limit(), "a relay started from here"
    most = config.limits.max_connections
    within = connections_within(most, files)
    if within < most:
        return Finding(
            "warn",
            "descriptors",
            f"{most} connections need {files_for(most)}, and {whose} may open {files}, so it lets in {within}; raise "
            "LimitNOFILE= (or `ulimit -n`), or lower max_connections.",
        )
    return Finding("ok", "descriptors", f"{most} connections need {files_for(most)}, and {whose} may open enough.")
