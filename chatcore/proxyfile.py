"""Where it is kept through which proxy relays are reached: a line in a file beside the profile.  A shell.

It isn't in the profile, because it holds for those too who have none, or haven't unlocked it: nobody may connect
directly who has asked not to.  For the same reason a file that can't be read isn't taken for none.
"""

from __future__ import annotations

import os
from pathlib import Path

from chatcore import ownfile
from chatcore.errors import ProfileError, ProxyError
from chatcore.proxy import MAX_CHARS, Proxy

FILE_NAME = "proxy.txt"
VARIABLE = "PARLEY_PROXY"

UNUSABLE = (
    "The file {} says through which proxy relays are reached, and can't be used, so Parley connects to none. "
    "Set the proxy again, or delete the file to connect directly."
)


def kept(directory: Path) -> Proxy | None:
    """Return the proxy that is kept in a directory.  Raises ProfileError when there is something that is none."""
    path = Path(directory) / FILE_NAME
    try:
        os.lstat(path)
        return Proxy.parse(ownfile.read(path, MAX_CHARS + 1, others=True).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ProfileError, ProxyError, UnicodeDecodeError):
        raise ProfileError(UNUSABLE.format(path)) from None


def keep(directory: Path, proxy: Proxy | None) -> None:
    """Keep a proxy in a directory, which is made (0700) if it isn't there; or none.  Raises ProfileError."""
    ownfile.keep_text(Path(directory) / FILE_NAME, f"{proxy.place}\n" if proxy is not None else "")


def wanted(option: str | None, directory: Path) -> Proxy | None:
    """Return the proxy that was given, or else the one that is kept.  Raises ProxyError, ProfileError."""
    return given(option) or kept(directory)


def given(option: str | None) -> Proxy | None:
    """Return the proxy of an option or, if that is None, of the environment.  Raises ProxyError.

    An option with nothing in it is a mistake, of a script perhaps, and isn't taken for none.
    """
    text = os.environ.get(VARIABLE) or None if option is None else option
    return None if text is None else Proxy.parse(text)
