"""What the relay asks of the system it runs on, and what it tells the service manager."""

from __future__ import annotations

import contextlib
import os
import socket

MANAGER_S = 0.2  # a service manager that doesn't take what it is told must not hold up the relay


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


def notify_service_manager(state: str) -> None:
    """Tell systemd how we are (sd_notify(3)); nothing happens where there is none."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(MANAGER_S)
        sock.sendto(state.encode(), "\0" + place[1:] if place.startswith("@") else place)
