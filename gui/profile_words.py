"""What the page about one's profile says.  Pure."""

from __future__ import annotations

from chatcore.lock import Guard
from gui import news
from gui.events import EraseProfile, ForgetRecent
from gui.shown import ConfirmState, ProfileState, Tone

STANDING = {
    Guard.NOBODY: (
        "Your profile isn't protected",
        "Whoever has this disk can read all that is kept of you, and speak as you.",
        Tone.WARN,
    ),
    Guard.PASSPHRASE: (
        "Protected by your passphrase",
        "Without it nobody can open what is kept of you, you included: it can't be reset. A short one can be guessed.",
        Tone.GOOD,
    ),
    Guard.KEYRING: (
        "Protected by the keyring of this system",
        "It opens when you are logged in. Who has only the disk has to get past that keyring first.",
        Tone.GOOD,
    ),
}
CHANGED = {
    Guard.NOBODY: "The protection is removed.",
    Guard.PASSPHRASE: "Your new passphrase holds from now on.",
    Guard.KEYRING: "The keyring of this system has the key from now on.",
}
KEYRING_ASKED = "Waiting for the keyring of this system…"
COPIED = "The copy is written: {}"
ONE_PLACE = (
    "Use a copy in one place only. Where it and the profile it was made of are both open, messages reach only one of "
    "them, and Parley warns that somebody uses your identity elsewhere."
)
NO_FILE = "Choose the file first."


def profile(name: str, known: news.ProfileKnown) -> ProfileState:
    """Return what the page shows."""
    standing, detail, tone = STANDING[known.guard]
    return ProfileState(
        name,
        standing,
        detail,
        tone,
        known.guard is Guard.PASSPHRASE,
        known.guard is not Guard.NOBODY,
        known.keyring and known.guard is not Guard.KEYRING,
        known.copy_path,
        known.done,
        known.at_start,
    )


ERASE = ConfirmState(
    "Erase everything?",
    "Your identity, your rooms and all that was said in them are overwritten and taken off this disk; Parley can't "
    "bring them back. Flash disks and backups may keep traces, and copies stay. To the others in your rooms you are "
    "away: leave the rooms first if they should know.",
    "Erase",
    EraseProfile(sure=True),
    danger=True,
)


def erase_room(room_id: bytes, title: str) -> ConfirmState:
    """Ask whether to erase all that is kept of a room."""
    return ConfirmState(
        f"Erase “{title}”?",
        "What was said there, and what still waits to be sent, is overwritten and taken off this disk; Parley can't "
        "bring it back. Flash disks and backups may keep traces, and your profile still knows the people. To the "
        "others you are away: open the room and leave it if they should know. To come in again you need its invite.",
        "Erase",
        ForgetRecent(room_id, sure=True),
        danger=True,
    )
