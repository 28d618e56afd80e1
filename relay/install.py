"""The units of `deploy/` for a relay that no package of the system brought: from pipx, `uv tool`, or a checkout.

`system_units` is the package's service with another way to the program; `user_units` what is left of it for somebody
without root: a service of their own may not take from itself what only root may give.  Both are text in, text out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from chatcore.errors import ConfigError
from relay import config as configuration

SERVICE, SOCKET, USERS = "parley-relay.service", "parley-relay.socket", "sysusers.d/parley-relay.conf"
PACKAGED = Path("usr/lib/systemd/system", SERVICE)
_HOMES = ("/home", "/root", "/run/user")  # which ProtectHome= hides
_FOR_USERS = {
    "Description", "Documentation", "Requires", "After", "StartLimitIntervalSec", "StartLimitBurst",
    "Type", "ExecStart", "ExecReload", "RuntimeDirectory", "RuntimeDirectoryMode", "UMask", "StandardOutput",
    "StandardError", "Restart", "RestartSec", "RestartPreventExitStatus", "WatchdogSec", "TimeoutStopSec", "TasksMax",
    "NoNewPrivileges", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality",
    "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "MemoryDenyWriteExecute",
    "RestrictAddressFamilies", "WantedBy",
}  # fmt: skip


def units() -> Path:
    """Return where the units are: in a checkout, or where an installation put them.  Raises ConfigError."""
    for place in (Path(__file__).resolve().parent.parent / "deploy", Path(sys.prefix) / "share" / "parley-relay"):
        if (place / SERVICE).exists():
            return place
    raise ConfigError("the units came with no file of this installation; take them from deploy/ in the sources.")


def system_units(service: str, start: str, paths: list[str]) -> str:
    """Return the service with another program, which may execute what lies in these paths, too."""
    service = re.sub(r"^ExecStart=.*? run ", lambda _: f"ExecStart={start} run ", service, flags=re.MULTILINE)
    return re.sub(r"^ExecPaths=.*", lambda found: " ".join([found[0], *paths]), service, flags=re.MULTILINE)


def user_units(service: str, start: str, config: Path) -> str:
    """Return the service for somebody's own service manager."""
    lines = []
    for line in service.splitlines():
        key = line.split("=", 1)[0]
        if line.startswith("[") or (key in _FOR_USERS and not line.startswith("#")):
            lines.append(line)
        elif not line and lines[-1:] != [""]:
            lines.append("")
    text = "\n".join(lines) + "\n"
    text = re.sub(r"^ExecStart=.*", lambda _: f"ExecStart={start} run --config {config}", text, flags=re.MULTILINE)
    text = text.replace("ExecReload=+/bin/sh", "ExecReload=/bin/sh")
    return text.replace("WantedBy=multi-user.target", "WantedBy=default.target")


def install(user: bool, root: Path = Path("/")) -> list[str]:
    """Write units that start this relay, and return what is left to do, as commands.  Raises ConfigError.

    `root` is the system in which they are written, if it isn't this one; the relay has to be in the same place there.
    """
    if (root / PACKAGED).exists():  # units of ours would hide its own, and an upgrade change nothing
        raise ConfigError(
            "the Debian package has put its units in place already (systemctl status parley-relay), so nothing was "
            "written; for those of another installation remove it first: apt-get remove parley-relay"
        )
    found, program = units(), Path(__file__).resolve().parent.parent
    service, socket = (found / SERVICE).read_text("utf-8"), (found / SOCKET).read_text("utf-8")
    start = f"{sys.executable} -BI -m relay_server"
    if (program / "deploy").is_dir():  # a checkout, which is no package that the interpreter finds
        start = f"{sys.executable} -BEs {program / 'relay_server.py'}"
    try:
        if user:
            config = configuration.default_config()
            place = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
            place.mkdir(parents=True, exist_ok=True)
            (place / SERVICE).write_text(user_units(service, start, config), "utf-8")
            (place / SOCKET).write_text(socket, "utf-8")
            return [
                *([] if config.exists() else ["parley-relay init --public"]),
                "systemctl --user daemon-reload && systemctl --user enable --now parley-relay.socket parley-relay",
                "loginctl enable-linger  # so that it runs while you are away",
            ]
        paths = sorted({str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix, program)})
        hidden = [path for path in paths if any(Path(path).is_relative_to(home) for home in _HOMES)]
        if hidden:
            raise ConfigError(
                f"{hidden[0]} lies in somebody's home, which the service can't see; install the relay for all "
                "(pipx install --global, or with PIPX_HOME=/opt/pipx), or take --user."
            )
        place = root / "etc" / "systemd" / "system"
        (place / SERVICE).write_text(system_units(service, start, [p for p in paths if p != "/usr"]), "utf-8")
        (place / SOCKET).write_text(socket, "utf-8")
        users = root / "etc" / USERS
        users.parent.mkdir(exist_ok=True)
        users.write_text((found / USERS).read_text("utf-8"), "utf-8")
        make = ["/usr/bin/systemd-sysusers", f"--root={root}", str(users)]
        subprocess.run(make, check=True, capture_output=True)  # noqa: S603
    except subprocess.CalledProcessError:
        raise ConfigError("systemd-sysusers could not make the user parley-relay; make it, and ask again.") from None
    except OSError as error:
        raise ConfigError(
            f"{error.filename or 'systemd'}: can't be written or run ({error.strerror}); ask as root, or take --user."
        ) from None
    init = "parley-relay init --public --state /etc/parley-relay --group parley-relay "
    init += "--certificate /var/lib/parley-relay/relay.crt"
    return [
        *(
            []
            if configuration.PACKAGED.exists()
            else ["install -d -o parley-relay -g parley-relay /var/lib/parley-relay", init]
        ),
        "systemctl daemon-reload && systemctl enable --now parley-relay.socket parley-relay",
    ]
