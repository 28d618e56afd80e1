"""The tree of errors; each says whose fault it was.  And what the doctors say.  Imports nothing of ours.

ParleyError
├── StateError        the caller's: this can't be done now
├── TextError         the person's: a message or a name that can't be used; its text is shown to them as it is
├── InviteError       the person's: what was pasted is not a usable invite or relay line; shown as it is
├── ProxyError        the person's: the address of a proxy that can't be used; shown as it is
├── ProfileError      the disk's: an identity or profile that can't be read or written; shown as it is
│   ├── PassphraseError   the passphrase doesn't open it
│   └── VaultError        the file itself can't be read or written
├── ConfigError       the operator's: a configuration that can't be used (relay); names file and line
├── WireError         the peer's: bytes that are no frame, no body, no statement
├── CryptoError       the peer's: not for me, or damaged.  OAEP makes the two look the same, and so do we
└── RelayError        the network's or the relay's: not reachable, refused, lost
    ├── PinError      the relay's key isn't the one in the invite; nothing was sent to it
    └── NoWayError    as things are set there is no way to this relay, and none was tried
"""

from __future__ import annotations

from dataclasses import dataclass


class ParleyError(Exception):
    """Root of all errors that Parley raises on purpose."""


class StateError(ParleyError):
    """The caller asked for something that is illegal in the present state."""


class TextError(ParleyError):
    """A message or a name that can't be used.  The text is one sentence for the person who typed it."""


class InviteError(ParleyError):
    """An invite or relay line that can't be used.  The text is one sentence for the person who pasted it."""


class ProxyError(ParleyError):
    """The address of a proxy that can't be used.  The text is one sentence for the person who typed it."""


class ProfileError(ParleyError):
    """A profile that can't be read or written.  The text is one sentence for its owner."""


class PassphraseError(ProfileError):
    """The passphrase doesn't open the profile."""


class VaultError(ProfileError):
    """The file of a profile can't be read or written.  The text is one sentence for its owner."""


class ConfigError(ParleyError):
    """A relay configuration that can't be used.  The text names the file, the line and the cure."""


class WireError(ParleyError):
    """Bytes that break the wire format (docs/PROTOCOL.md).  Never carries the bytes."""


class CryptoError(ParleyError):
    """A block or signature that doesn't open or verify.  Deliberately without a reason."""


class RelayError(ParleyError):
    """The relay can't be reached, refused us or went away.  The text is one sentence for a person."""


class PinError(RelayError):
    """The relay presented another key than the one pinned in the invite."""


class NoWayError(RelayError):
    """As things are set there is no way to this relay; trying again doesn't help.  The text says what does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how bad ("ok", "warn", "bad"), about what, and a sentence that says what to do unless all is well."""

    grade: str
    about: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.grade:<5} {self.about}: {self.sentence}"
