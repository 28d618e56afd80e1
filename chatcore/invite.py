"""What a person pastes: the invite to a room and the line of a relay, to and from text, and what an invite gives.

Pure; knows no sockets and no members.  The room secret is in here and nowhere else in text form, so no repr shows it.
People paste what mail programs left of a line: wrapped, quoted, percent-encoded, with text around it.  All of that is
undone; a line that is then still wrong gets one sentence that says what is wrong with it and what helps.
docs/PROTOCOL.md, "Room" and "The invite and the relay line".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import itertools
import re
import unicodedata
from dataclasses import dataclass, replace
from enum import IntEnum

from chatcore.errors import InviteError
from chatcore.seal import FP_SIZE, LABEL, digest, expand, extract

INVITE_VERSION = 1
SECRET_SIZE = 32
PIN_SIZE = 32
PASS_SIZE = 32
MAX_PINS = 2  # the relay's key, and the spare one in its operator's drawer
MAX_TITLE_BYTES = 64
CHECK_SIZE = 8
MAX_EPOCH = 2**32 - 1
MAX_PASTE_CHARS = 65_536  # a mail with its whole thread; more is no invite
MAX_TRIES = 16
SHORTEST_LINE_CHARS = 16  # no mail program wraps at less, few words are as long

_PINS_AT = 1 + 2 + SECRET_SIZE + FP_SIZE + 4 + 1  # 72: version, length, secret, owner, epoch, mode
_HEAD_SIZE = 3  # version u8, length u16: the first four characters

NOT_AN_INVITE = "This is not a Parley invite. Look for a line that starts with parley:join."
CUT_SHORT = "This link is cut off at the end. Copy the whole line from the message and paste it again."
ALTERED = (
    "This link has changed on its way: a part of it is not what it was. Copy it again, or ask for it over another way."
)
OTHER_VERSION = "This invite is for another version of Parley. Bring Parley up to date, or ask for a new invite."
TOO_MUCH_TEXT = "This is too much text for an invite. Paste only the line that starts with parley:join."
RELAY_INSTEAD = "This is the line of a relay, not an invite. Look for a line that starts with parley:join."
TITLE_TOO_LONG = "This room name is too long. Use at most 64 bytes, which is 64 plain letters or 16 emoji."
TITLE_UNSAFE = (
    "This room name has characters that can't be seen or that turn the text around. Use letters and signs only."
)

NOT_A_RELAY = "This is not the line of a relay. Look for a line that starts with parley:relay."
RELAY_CUT_SHORT = (
    "This relay line is cut off at the end. Copy the whole line that the relay printed and paste it again."
)
RELAY_ALTERED = "This relay line is damaged. Copy the whole line that the relay printed and paste it again."
RELAY_TOO_MUCH_TEXT = "This is too much text for a relay line. Paste only the line that starts with parley:relay."
INVITE_INSTEAD = "This is an invite, not the line of a relay. Look for a line that starts with parley:relay."
BAD_HOST = "The address of this relay can't be right. It is a name such as chat.example.org, or an IP address."
BAD_PORT = "The port of this relay can't be right. It is a number from 1 to 65535."
PLAIN_ELSEWHERE = (
    "This line has no key to know the relay by, which is allowed only for a relay on this computer. "
    "Ask the relay's operator for the whole line."
)

_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u115f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_PERCENT = re.compile("%(2B|2F|3A|5B|5D)", re.IGNORECASE)  # + / : [ ]; nothing else in our lines is ever encoded
_QUOTING = re.compile(r"=?\r?\n[ \t]*(?:>[ \t]*)*")  # a line break, soft (quoted-printable) or hard, and mail quoting
_JOIN = re.compile("parley:join/", re.IGNORECASE | re.ASCII)
_RELAY = re.compile("parley:relay/", re.IGNORECASE | re.ASCII)
_JOINER_CHARACTERS = "\u200c\u200d"  # needed by Persian, Hindi and many emoji

_NAME = r"[A-Za-z0-9._-]"
_SIX = r"[0-9A-Fa-f:.]"
_PLACE = re.compile(rf"({_NAME}+|\[{_SIX}+\]):([0-9]{{1,5}})/")
_PLACE_BEGUN = re.compile(rf"(?:{_NAME}*|\[{_SIX}*|\[{_SIX}+\])(?::[0-9]{{0,5}})?[^\w/:-]*")  # and a full stop, or dots
_JOIN_BEGUN = re.compile(r"parley:(?:j|jo|joi|join)?[^\w/:-]*", re.IGNORECASE | re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9_-]*")
_KEYS = re.compile(r"(plain|[A-Za-z0-9_-]{43}(?:\+[A-Za-z0-9_-]{43})?)(?:/([A-Za-z0-9_-]{43}))?")
_LABEL_OF_A_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def _to_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes:
    """Decode base64url without padding.  Raises ValueError unless it is exactly what `_to_base64` writes."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _to_base64(data) != text:  # bits that no byte holds: two texts for the same bytes
        raise binascii.Error
    return data


def _undo_mail(text: str) -> tuple[str, set[int]]:
    """Return pasted text without white space, quoting, percent-encoding and what can't be seen.

    The numbers say before which of its characters there was white space.
    """
    text = _PERCENT.sub(lambda found: chr(int(found[1], 16)), text)
    tokens = _INVISIBLE.sub("", _QUOTING.sub("\n", text)).split()
    return "".join(tokens), set(itertools.accumulate(map(len, tokens)))


def is_loopback(host: str) -> bool:
    """Say whether this is an address of the computer itself, by number or by its fixed name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_onion(host: str) -> bool:
    """Say whether this is the name of an onion service, which no name server may be asked for (RFC 7686)."""
    return host.lower().rpartition(".")[2] == "onion"


def is_host(host: str) -> bool:
    """Say whether this is an IP address or a DNS name (with underscores, as some private networks have them)."""
    try:
        return "%" not in str(ipaddress.ip_address(host))
    except ValueError:
        labels = host.split(".")
        return (
            len(host) <= 253
            and all(_LABEL_OF_A_NAME.fullmatch(label) for label in labels)
            and not labels[-1].isdigit()  # 1.2.3 and 300.1.1.1 are no names
        )


@dataclass(frozen=True, slots=True, repr=False)
class RelayAddress:
    """Where a relay is and how it is known: `pins` are up to two SHA-256 of its public key (32 bytes each).

    Without a pin the connection is plain TCP, which is for loopback only.  `relay_pass` is 32 bytes, or empty for none.
    Raises InviteError, with a sentence for the person who typed it, for a host or port that can't be, or a missing pin.
    """

    host: str
    port: int
    pins: tuple[bytes, ...] = ()
    relay_pass: bytes = b""

    def __post_init__(self) -> None:
        if len(self.pins) > MAX_PINS or any(len(pin) != PIN_SIZE for pin in self.pins):
            raise ValueError("a pin is 32 bytes, and there are at most two")
        if len(self.relay_pass) not in (0, PASS_SIZE):
            raise ValueError("a relay pass is 32 bytes")
        if not is_host(self.host):
            raise InviteError(BAD_HOST)
        if not 1 <= self.port <= 65535:
            raise InviteError(BAD_PORT)
        if not self.pins and not is_loopback(self.host):
            raise InviteError(PLAIN_ELSEWHERE)

    def __repr__(self) -> str:
        return f"RelayAddress({len(self.pins)} pins)"  # an address is nobody's business in a log

    @property
    def is_here(self) -> bool:
        """Whether only programs on this computer can reach it."""
        return is_loopback(self.host)

    @property
    def place(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def to_text(self) -> str:
        """Return the relay line, `parley:relay/HOST:PORT/PIN[+PIN2][/PASS]`."""
        keys = "+".join(map(_to_base64, self.pins)) or "plain"
        tail = f"/{_to_base64(self.relay_pass)}" if self.relay_pass else ""
        return f"parley:relay/{self.place}/{keys}{tail}"

    @classmethod
    def parse(cls, text: str) -> RelayAddress:
        """Read a relay line as people paste it.  Raises InviteError with one sentence."""
        if len(text) > MAX_PASTE_CHARS:
            raise InviteError(RELAY_TOO_MUCH_TEXT)
        line, breaks = _undo_mail(text)
        start = _RELAY.search(line)
        if start is None:
            raise InviteError(INVITE_INSTEAD if _JOIN.search(line) else NOT_A_RELAY)
        place = _PLACE.match(line, start.end())
        if place is None:
            begun = _PLACE_BEGUN.fullmatch(line, start.end())
            raise InviteError(RELAY_CUT_SHORT if begun else RELAY_ALTERED)
        keys = _KEYS.match(line, place.end())
        if keys is None:
            only_begun = _BASE64.fullmatch(line, place.end()) and len(line) - place.end() < 43
            raise InviteError(RELAY_CUT_SHORT if only_begun else RELAY_ALTERED)
        after = line[keys.end() : keys.end() + 1] if keys.end() not in breaks else ""
        if after in ("+", "/"):
            raise InviteError(RELAY_CUT_SHORT)
        if _BASE64.fullmatch(after) and after:
            raise InviteError(RELAY_ALTERED)
        try:
            pins = tuple(map(_from_base64, keys[1].split("+"))) if keys[1] != "plain" else ()
            relay_pass = _from_base64(keys[2]) if keys[2] else b""
        except ValueError:
            raise InviteError(RELAY_ALTERED) from None
        return cls(place[1].strip("[]"), int(place[2]), pins, relay_pass)


class Mode(IntEnum):
    """Who may come in: everybody who has the invite, or those whom the owner lets in."""

    OPEN = 0
    ASK = 1


def _check_title(title: str) -> None:
    """Refuse, with a sentence, a title that is too long or can't be shown as it is."""
    try:
        size = len(title.encode())
    except UnicodeEncodeError:  # a lone surrogate
        raise InviteError(TITLE_UNSAFE) from None
    if size > MAX_TITLE_BYTES:
        raise InviteError(TITLE_TOO_LONG)
    for character in title:
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") and character not in _JOINER_CHARACTERS:
            raise InviteError(TITLE_UNSAFE)


@dataclass(frozen=True, slots=True, repr=False)
class Invite:
    """All that one needs to join a room.  Whoever has it can join (`OPEN`) or knock (`ASK`).

    `secret` 32 bytes, `owner_fp` the 32-byte fingerprint of the owner's identity, `epoch` 0..2^32-1, `title` at most 64
    bytes of UTF-8, without control, invisible or direction-turning characters: InviteError otherwise.
    """

    secret: bytes
    owner_fp: bytes
    epoch: int
    mode: Mode
    relay: RelayAddress
    title: str

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_SIZE or len(self.owner_fp) != FP_SIZE or not 0 <= self.epoch <= MAX_EPOCH:
            raise ValueError("a secret and a fingerprint are 32 bytes, an epoch fits in 32 bits")
        _check_title(self.title)

    def __repr__(self) -> str:
        return f"Invite({self.mode.name}, epoch {self.epoch})"

    def at(self, relay: RelayAddress) -> Invite:
        """Return the invite to the same room on another relay."""
        return replace(self, relay=relay)

    def _room_value(self, label: bytes) -> bytes:
        context = self.owner_fp + self.epoch.to_bytes(4) + bytes((self.mode,))
        return expand(extract(LABEL + b"room", self.secret), LABEL + label + context, 32)

    @property
    def room_id(self) -> bytes:
        """The 32 bytes by which the relay knows the room; another owner, epoch or mode is another room."""
        return self._room_value(b"room id")

    @property
    def room_key(self) -> bytes:
        """The 32 bytes that key everything in the room (secret)."""
        return self._room_value(b"room key")

    def to_text(self) -> str:
        """Return the invite line, `parley:join/HOST:PORT/BASE64URL` (secret)."""
        title, relay = self.title.encode(), self.relay
        rest = b"".join(
            (
                self.secret,
                self.owner_fp,
                self.epoch.to_bytes(4),
                bytes((self.mode, len(relay.pins))),
                *relay.pins,
                bytes((bool(relay.relay_pass),)),
                relay.relay_pass,
                bytes((len(title),)),
                title,
            )
        )
        size = _HEAD_SIZE + len(rest) + CHECK_SIZE
        payload = bytes((INVITE_VERSION,)) + size.to_bytes(2) + rest
        return f"parley:join/{relay.place}/{_to_base64(payload + _check(relay.place, payload))}"

    @classmethod
    def parse(cls, text: str) -> Invite:
        """Read an invite as people paste it.  Raises InviteError with one sentence: what is wrong, and what helps."""
        if len(text) > MAX_PASTE_CHARS:
            raise InviteError(TOO_MUCH_TEXT)
        line, breaks = _undo_mail(text)
        error = RELAY_INSTEAD if _RELAY.search(line) else NOT_AN_INVITE
        if _JOIN_BEGUN.fullmatch(line, max(0, line.rfind(":") - len("parley"))):
            error = CUT_SHORT
        # The text around an invite may speak of "parley:join/" too; not a hundred times.
        for start in itertools.islice(_JOIN.finditer(line), MAX_TRIES):
            try:
                return _parse_at(line, breaks, start.end())
            except InviteError as failure:
                error = str(failure)
        raise InviteError(error)


def _check(place: str, payload: bytes) -> bytes:
    """Return the 8 bytes that tell an altered invite; they cover the address as well.  Against accidents only."""
    return digest(b"invite check", place.encode() + payload)[:CHECK_SIZE]


def _parse_at(line: str, breaks: set[int], at: int) -> Invite:
    """Read the invite whose address begins at `at`: cut short, then altered, then of another version, then good."""
    place = _PLACE.match(line, at)
    if place is None:
        until = min((b for b in breaks if b > at), default=len(line))
        raise InviteError(CUT_SHORT if _PLACE_BEGUN.fullmatch(line, at, until) else ALTERED)
    at = place.end()
    run = _BASE64.match(line, at)
    assert run is not None  # it matches the empty string
    characters, end = run[0], run.end()
    goes_on = end not in breaks and end + 1 not in breaks and _BASE64.match(line, end + 1)
    lacks = ALTERED if goes_on and goes_on[0] else CUT_SHORT  # a foreign sign inside of it, or nothing more
    if len(characters) < 4:
        raise InviteError(lacks)
    size = int.from_bytes(_from_base64(characters[:4])[1:])
    wanted = (size * 4 + 2) // 3
    if len(characters) < wanted:
        whole = _from_base64_lax(characters)
        raise InviteError(ALTERED if _implied_size(whole) == len(whole) else lacks)
    try:
        payload = _from_base64(characters[:wanted])
    except ValueError:
        payload = b""
    body, check = payload[:-CHECK_SIZE], payload[-CHECK_SIZE:]
    if size < _HEAD_SIZE + CHECK_SIZE or check != _check(line[place.start() : place.end() - 1], body):
        raise InviteError(CUT_SHORT if _words_taken(at, at + wanted, breaks) else ALTERED)
    if body[0] != INVITE_VERSION:
        raise InviteError(OTHER_VERSION)
    return _read(body, place[1].strip("[]"), int(place[2]))


def _words_taken(start: int, end: int, breaks: set[int]) -> bool:
    """Say whether the words behind a link that was cut were taken for the rest of it.

    A mail program wraps into long lines and the link ends with one of them; words are short, and it ends inside of one.
    """
    inside = sorted(b for b in breaks if start < b < end)
    lines = [after - before for before, after in itertools.pairwise(inside)]
    return bool(inside) and (end not in breaks or any(line < SHORTEST_LINE_CHARS for line in lines))


def _from_base64_lax(characters: str) -> bytes:
    """Decode as many whole bytes as there are; the bits that are left over don't matter."""
    characters = characters[: len(characters) - (len(characters) % 4 == 1)]
    return base64.urlsafe_b64decode(characters + "=" * (-len(characters) % 4))


def _implied_size(payload: bytes) -> int:
    """Return the size that counts and flags inside a payload lead to, or 0 when it ends before them.

    A length that was altered says "cut short" of an invite that is all there; this tells the two apart.
    """
    at = _PINS_AT
    try:
        at += 1 + PIN_SIZE * payload[at]
        at += 1 + PASS_SIZE * payload[at]
        return at + 1 + payload[at] + CHECK_SIZE
    except IndexError:
        return 0


def _read(body: bytes, host: str, port: int) -> Invite:
    """Read a payload whose check was right.  What doesn't fit then was made by a program that knows more."""
    pin_count = body[_PINS_AT] if len(body) > _PINS_AT else MAX_PINS + 1
    pass_at = _PINS_AT + 1 + PIN_SIZE * pin_count
    if pin_count > MAX_PINS or _implied_size(body) != len(body) + CHECK_SIZE or body[pass_at] > 1:
        raise InviteError(OTHER_VERSION)
    pins = tuple(body[at : at + PIN_SIZE] for at in range(_PINS_AT + 1, pass_at, PIN_SIZE))
    title_at = pass_at + 1 + PASS_SIZE * body[pass_at]
    secret_at, owner_at = _HEAD_SIZE, _HEAD_SIZE + SECRET_SIZE
    try:
        mode, title = Mode(body[_PINS_AT - 1]), body[title_at + 1 :].decode()
    except ValueError:
        raise InviteError(OTHER_VERSION) from None
    return Invite(
        secret=body[secret_at:owner_at],
        owner_fp=body[owner_at : owner_at + FP_SIZE],
        epoch=int.from_bytes(body[_PINS_AT - 5 : _PINS_AT - 1]),
        mode=mode,
        relay=RelayAddress(host, port, pins, body[pass_at + 1 : title_at]),
        title=title,
    )


def new_invite(owner_fp: bytes, mode: Mode, relay: RelayAddress, title: str, *, secret: bytes) -> Invite:
    """Make the invite of a new room (epoch 0) from 32 fresh random bytes.  Raises InviteError for a title."""
    return Invite(secret, owner_fp, 0, mode, relay, " ".join(title.split()))
