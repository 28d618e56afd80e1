"""What is looked at before anything is done with it: a name, an invite, a room to be, a link.  No toolkit."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

from chatcore.errors import InviteError, TextError
from chatcore.invite import Invite, Mode, RelayAddress
from chatcore.names import clean_name
from gui import events, sentences
from gui.safetext import safe_name, safe_text
from gui.shown import Check, ConfirmState

LINK_SHOWN = 160  # characters of a link in the question whether to open it
ROOM_NAME_MISSING = "Give the room a name first: it stands in the invite."


def check_name(text: str) -> Check:
    """Say what is wrong with a name while it is typed; an empty field is no fault yet."""
    if not text:
        return Check()
    try:
        clean_name(text)
    except TextError as refusal:
        return Check(False, str(refusal))
    return Check(True)


def check_invite(text: str) -> Check:
    """Say what a pasted invite is, or what is wrong with it and what helps."""
    if not text.strip():
        return Check()
    try:
        invite = Invite.parse(text)
    except InviteError as refusal:
        sentence, _, cure = str(refusal).partition(". ")
        return Check(False, f"{sentence.rstrip('.')}.", cure)
    rule = "you knock first" if invite.mode is Mode.ASK else "you come in at once"
    return Check(True, f"Invite to “{sentences.room_title(invite.title)}” · {rule}")


def check_room(event: events.Create) -> str:
    """Return what is wrong with a room that is to be made, or nothing."""
    if not event.title.strip():
        return ROOM_NAME_MISSING
    try:
        # The relay of this computer isn't there yet: any address will do for the title to be looked at.
        relay = RelayAddress("127.0.0.1", 1) if event.relay_line is None else RelayAddress.parse(event.relay_line)
        Invite(bytes(32), bytes(32), 0, event.mode, relay, " ".join(event.title.split()))
    except InviteError as refusal:
        return str(refusal)
    return ""


def host_of(url: str) -> str:
    """Return where a link leads, as computers write it: letters of other alphabets can look like others of ours."""
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(UnicodeError):
        host = host.encode("idna").decode("ascii")
    return safe_name(host, limit=LINK_SHOWN)


def is_web_link(url: str) -> bool:
    """Say whether a link may be handed to the browser: http or https, with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def link_question(url: str, proxied: bool = False) -> ConfirmState:
    """Ask whether a link is to be opened; `proxied`: relays are reached through a proxy, which isn't the browser's."""
    shown = safe_text(url) if len(url) <= LINK_SHOWN else safe_text(url[:LINK_SHOWN]) + "…"
    aside = " The proxy that you set is for relays: your browser goes its own way." if proxied else ""
    return ConfirmState(
        "Open this page in your browser?",
        f"{shown}\n\nThe page is at {host_of(url)}. It will see that your computer asks for it.{aside}",
        "Open the page",
        events.OpenLink(url, sure=True),
    )
