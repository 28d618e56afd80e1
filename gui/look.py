"""Where it is kept whether the window is dark: a word in a file beside the profile.  A shell; no toolkit.

Beside the profile, not in it: the page that unlocks it has a look, too.  And for each profile, not for the computer:
two windows with two profiles can be told apart at a glance.  A look that can't be read or kept isn't worth a sentence.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from chatcore import ownfile
from chatcore.errors import ProfileError

FILE_NAME = "look.txt"
DARK = "dark\n"


def is_dark(directory: Path) -> bool:
    """Return whether the look that is kept in a directory is the dark one; where none is, it is light."""
    with contextlib.suppress(ProfileError):
        return ownfile.read(directory / FILE_NAME, len(DARK) + 1, others=True) == DARK.encode()
    return False


def keep(directory: Path, *, dark: bool) -> None:
    """Keep a look in a directory that is there; the light one is that of no file."""
    with contextlib.suppress(ProfileError):
        ownfile.keep_text(directory / FILE_NAME, DARK if dark else "")
