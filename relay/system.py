"""What the relay asks of the system it runs on, and what it tells the service manager."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import subprocess
from pathlib import Path

from chatcore.errors import ConfigError
from relay.limits import is_among

FIRST_PASSED = 3  # where the sockets begin that a service manager hands over (sd_listen_fds(3))
CLOCK_IS_NOT_KEPT = 5  # TIME_ERROR of adjtimex(2): nothing has compared the clock with others of late, or it was set
TIMEX_BYTES = 512  # struct timex has 208, and nothing asked of the kernel where all are 0
HARDWARE_CLOCK = Path("/sys/class/rtc/rtc0/since_epoch")  # in seconds since 1970, if it is set to UTC
ANSWER_S = 5.0
MANAGER_S = 0.2  # a service manager that doesn't take what it is told must not hold up the relay

# Addresses that mean something in one network only (RFC 1918, 3927, 4193, 4291, 6598).
NOT_THE_WORLD = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"),
    )
)


def open_file_limit() -> int | None:
    """Raise the limit on open descriptors as far as we may, and return it; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return None if soft == resource.RLIM_INFINITY else soft


def clock_is_kept() -> bool:
    """Tell whether something on this computer keeps its clock right (NTP); True too where that can't be found out."""
    import ctypes  # which the service never needs, and wants memory that it may not have

    try:
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError, TypeError):  # not Linux
        return True
    return answer != CLOCK_IS_NOT_KEPT


def hypervisors_clock_s() -> float | None:
    """Return what time the hypervisor says it is, in seconds since 1970; None where there is none, or it doesn't say.

    To a virtual computer its hardware's clock is the hypervisor's, which goes right as long as that one's does.  To any
    other it is a clock that nothing keeps right, and from which its own was set: that the two agree means nothing.
    """
    try:
        subprocess.run(["systemd-detect-virt", "--quiet", "--vm"], check=True, timeout=ANSWER_S)  # noqa: S607
        return float(HARDWARE_CLOCK.read_text())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def notify_service_manager(state: str) -> None:
    """Tell systemd how we are (sd_notify(3)); nothing happens where there is none."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(MANAGER_S)
        sock.sendto(state.encode(), "\0" + place[1:] if place.startswith("@") else place)


def passed_sockets() -> list[socket.socket]:
    """Return the listening sockets that the service manager opened for us (sd_listen_fds(3)), or none.

    They stay open there while we restart, and keep who comes meanwhile.  May be asked once.  Raises ConfigError for a
    socket on which no relay could serve.
    """
    ours = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not ours or not count.isdecimal():
        return []
    passed = []
    for number in range(FIRST_PASSED, FIRST_PASSED + int(count)):
        try:
            os.set_inheritable(number, False)
            sock = socket.socket(fileno=number)
            fits = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
            listens = fits and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            listens = 0
        if not listens:
            raise ConfigError(
                "the service manager handed over something that is no listening TCP socket; look at ListenStream= in "
                "the socket unit."
            )
        sock.setblocking(False)
        passed.append(sock)
    return passed


def own_address() -> str:
    """Return the address with which this computer would speak to the world, or "" if it has no way there.

    Nothing is sent: connecting a datagram socket only asks the system for the way (RFC 5737 and RFC 3849 name the
    addresses, at which nobody is).
    """
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((somewhere, 9))
            return str(sock.getsockname()[0])
    return ""


def remark_on(host: str) -> str:
    """Return a sentence about an address at which only some can reach this computer, or ""."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if not is_among(str(address), NOT_THE_WORLD):
        return ""
    return (
        f"{host} can only be dialled from the same network; for all others set what they dial (`parley-relay host "
        "NAME-OR-IP`), and let the router pass the port on."
    )
