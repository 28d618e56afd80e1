"""What the pages of a room say: pure functions from what is known to what is shown.

Names, never pronouns.  Nothing is claimed that the protocol doesn't hold: no expiry of invites, no read receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from chatcore.events import AlarmKind, Connection, ConnectionChanged, Member, Presence, SealedBlocks, Waiting
from chatcore.invite import Mode
from chatcore.profile import Loss
from chatcore.wire import BLOCK_SIZE
from gui import events, wording
from gui.events import CLEAR_CLIPBOARD_S
from gui.history import Message, NameOf
from gui.news import RoomOpened
from gui.safetext import safe_name
from gui.shown import (
    Banner,
    Composer,
    ConfirmState,
    Delivery,
    Header,
    InviteState,
    KnockState,
    Quiet,
    Quote,
    Reader,
    ReadersState,
    SealedLine,
    Status,
    Tick,
    Tone,
    WaitingState,
)

HEX_BYTES = 7  # of the first block; enough to compare, and it fits on one line
PREVIEW_CHARS = 200  # of a message, where rooms are listed: more than fits
NOBODY = "Somebody"
UNHEARD_OWNER = "The owner"  # of an open room, whom nobody here has heard yet
NO_INVITE = "Paste the invite that you were sent first: a line that starts with parley:join."

COPIED = "Copied."
UNTOLD = "There is no connection, so the others can't be told: they see you as away"
COPIED_FOR_NOW = f"Copied. Parley takes it off the clipboard in {CLEAR_CLIPBOARD_S} seconds."
ON_THIS_COMPUTER = "On this computer"
CONNECTING, NOT_CONNECTED = "Connecting…", "Not connected"
STOPPED, NOT_OPENED = "Can't connect", "Can't be opened"  # why is said when the room is chosen
ONLY_HERE = "The relay of this room can be reached from this computer only."
BLOCKS_COMING = "One moment: fetching the sealed blocks."
BLOCKS_GONE = "The sealed blocks of this message are no longer kept."


def room_title(title: str) -> str:
    """Return a room's title as it is shown; a room without one is called so."""
    return safe_name(title) if title.strip() else "Room without a name"


# -- the profile -------------------------------------------------------------------------------------------------------


def loss(lost: Loss) -> str:
    """Say what a profile lacks whose file was damaged."""
    parts = [f"{wording.count(lines, 'line')} of “{room_title(title)}”" for title, lines in lost.lines]
    if lost.rooms:
        parts.append(wording.count(lost.rooms, "room") + ", to enter again with the invite")
    if lost.people:
        parts.append(wording.count(lost.people, "person", "people") + " you knew")
    if lost.nick:
        parts.append("your name")
    if lost.newest:
        parts.append("perhaps what was written last")
    what = "; ".join(parts) or "nothing that can be named"
    return f"The file of your profile was damaged. What can be read was kept; lost: {what}."


def damaged(lines: int) -> str:
    """Say what a room lacks of what was kept of it."""
    lost = f"{wording.count(lines, 'line')} can't be read any more" if lines else "no line of it is lost"
    return f"What was kept of this room was damaged: {lost}."


# -- the room page -----------------------------------------------------------------------------------------------------


def header(members: tuple[Member, ...], compared: int = 0, period_s: int = 0) -> Header:
    """Say how many belong to the room, how many are here, with how many words were compared, and the rhythm."""
    steady = f" · steady, every {period_s} s" if period_s else ""
    if len(members) < 2:
        return Header(f"Only you so far{steady}")
    here = sum(1 for m in members if m.presence in (Presence.SELF, Presence.HERE))
    checked = f" · {compared} of {len(members) - 1} compared" if compared else ""
    brief = f" · steady, {period_s} s" if period_s else f" · {compared} compared" if compared else ""
    return Header(
        f"{wording.count(len(members), 'person', 'people')} · {here} here{checked}{steady}",
        brief=f"{here} of {len(members)} here{brief}",
    )


def rhythm_set(name: str, period_s: int) -> str:
    """Say that the owner has set a rhythm, or ended it."""
    if not period_s:
        return f"{name} ended the steady rhythm: from now on the relay can tell talk from silence"
    return f"{name} set a steady rhythm: everyone sends everyone one block every {period_s} s, talk or silence"


def status(state: ConnectionChanged, going: int, waiting: int, sent: bool, trouble: bool) -> Status:
    """Say who can read what is written here, how the connection stands, and what waits for it.

    `going` counts one's own messages on their way to somebody here, `waiting` those that wait for the absent; `sent`:
    the last of them has arrived at everybody; `trouble`: it isn't sure who is here.
    """
    privacy, privacy_brief, privacy_tone = _privacy(state.state is Connection.STOPPED, trouble)
    text, brief, tone = _connection(state.state, going, waiting, sent)
    return Status(privacy, privacy_tone, text, tone, privacy_brief, brief)


def _connection(state: Connection, going: int, waiting: int, sent: bool) -> tuple[str, str, Tone]:
    stuck = going + waiting
    held = f" · {wording.count(stuck, 'message')} {'waits' if stuck == 1 else 'wait'}" if stuck else ""
    match state:
        case Connection.CONNECTED if going:
            return f"Connected · sending {wording.count(going, 'message')}", "", Tone.GOOD
        case Connection.CONNECTED if waiting:
            return f"Connected{held} for people who are away", f"Connected{held}", Tone.GOOD
        case Connection.CONNECTED:
            return "Connected · everything sent" if sent else "Connected", "", Tone.GOOD
        case Connection.CONNECTING:
            return f"Connecting…{held}", "", Tone.WARN
        case Connection.RECONNECTING:
            return f"Not connected{held} · trying again", f"Not connected{held}", Tone.WARN
        case Connection.STOPPED:
            return f"Not connected{held}", "", Tone.BAD


def _privacy(stopped: bool, trouble: bool) -> tuple[str, str, Tone]:
    if trouble:
        return "Check who is in this room", "", Tone.WARN
    if stopped:
        return "Nothing goes out from this window now", "Nothing goes out now", Tone.WARN
    return "Only the people in this room can read this", "Only this room can read this", Tone.PLAIN


def newest(message: Message | None, name_of: NameOf) -> tuple[str, int]:
    """Say where rooms are listed what was said last, and when; nothing of what nobody got."""
    if message is None:
        return "", 0
    if message.spared and not message.gone:
        return "You took your message back", message.received_ms
    author = "You" if message.own else name_of(message.sender)
    return f"{author}: {_one_line(message.text)}", message.received_ms


def draft(text: str) -> str:
    """Say where rooms are listed what one was writing there."""
    return f"Draft: {_one_line(text)}"


def _one_line(text: str) -> str:
    return " ".join(text[:PREVIEW_CHARS].split())


def window_title(page: str, unread: int) -> str:
    """Return what stands in the bar of the window: how much there is to read, and what is shown."""
    return f"{f'({unread}) ' if unread else ''}{f'{page} — ' if page else ''}Parley"


def composer(title: str, alone: bool, stopped: bool) -> Composer:
    """Say whether one may write, and why not."""
    if stopped:
        return Composer(False, "You can't write here now", "Parley has stopped connecting to this room's relay.")
    if alone:
        return Composer(
            False, "You can write as soon as somebody is here", "What you write is for the people in the room then."
        )
    return Composer(True, f"Message {title}")


def compare_first(name: str) -> str:
    """Say what to do about a known name with another key."""
    return f"Compare words with {name} before you tell {name} anything."


def delivery(
    message: Message | None, name_of: NameOf, here: Collection[bytes], connected: bool, now_ms: int
) -> Delivery | None:
    """Say how far one's last message has come, and offer to take it back while it waits; `here` is who could get it."""
    if message is None or not message.readers or not (message.arrived or message.missing):
        return None
    missing = message.missing
    absent = [fp for fp in missing if fp not in here]
    late, away = (sorted(map(name_of, fps)) for fps in (missing, absent))
    never = len(message.failed | message.spared)
    text = wording.delivery(len(message.arrived), late, away, never, connected)
    turn_s = message.goes_s - (now_ms - message.time_ms) / 1000
    turn = message.goes_s and turn_s > 0 and connected and len(absent) < len(missing)
    if turn and not message.arrived:
        text = f"Goes out in about {wording.span(turn_s)}"
    waits = not message.arrived and bool(turn or not connected or len(absent) == len(missing))
    return Delivery(message.mid, tuple(message.arrived), text, may_take_back=waits)


def gap(name: str, number: int, before_visit: bool) -> str:
    """Say that messages are missing, without blaming anybody."""
    if before_visit:
        earlier = wording.count(number, "earlier message")
        return f"{earlier} from {name} can't be shown: this computer has nothing of what {name} wrote before"
    return f"{wording.count(number, 'message')} from {name} went missing and can't be fetched again"


def not_delivered(name: str, number: int, left: bool) -> str:
    """Say what somebody will never get, and why."""
    lost = f"{wording.count(number, 'message')} will not reach {name}"
    if left:
        return f"{lost}, who left the room"
    return f"{lost}: {'it' if number == 1 else 'they'} waited for two weeks, or too much was waiting"


def came_meanwhile(names: Iterable[str]) -> str:
    """Say why a text wasn't taken: it would go to somebody whom its writer hadn't seen on the list."""
    return f"Not sent: {wording.listed(sorted(names))} came in just now. Press Enter again to send it to them, too."


def taken_back(message: Message, spared: tuple[bytes, ...], name_of: NameOf) -> str:
    """Answer somebody who takes a message back."""
    gone = wording.listed(sorted(map(name_of, message.gone)))
    if not spared:
        return f"It is too late to take this back: it has gone out to {gone}" if gone else "This was taken back already"
    if not gone:
        return "You took a message back before it went to anyone"
    return f"You took a message back from {wording.listed(sorted(map(name_of, spared)))}; it has gone out to {gone}"


def other_list(name: str, theirs: Iterable[str], ours: Iterable[str]) -> str:
    """Say that a sender's people aren't ours, by name if the sender says who they are."""
    difference = wording.difference(name, theirs, ours)
    if difference:
        return f"{name} wrote this for other people than you see here: {difference}"
    return f"{name} wrote this for other people than you see here. Ask {name} who is in the room"


def lists_differ(name: str, theirs: Iterable[str], ours: Iterable[str]) -> str:
    """Say that somebody goes on having another list of people."""
    difference = wording.difference(name, theirs, ours, begins=True)
    return difference or f"{name} has another list of people than you, and doesn't say which. Ask {name} who is on it"


def lists_agree(name: str) -> str:
    """Say that a difference is over."""
    return f"{name} has the same list of people as you again"


def other_version(name: str, author: str, away: bool = False) -> str:
    """Say that a reply quotes what isn't here, without blaming anybody; no `author`: it is said to be one's own."""
    if author and away:
        return f"{name} answers a message from {author} that hasn't come to you yet: {author} isn't here"
    if not author:
        return f"{name} answers another version of your message, or one that isn't yours. Ask {name} what it said"
    return f"{name} answers another version of {author}'s message, or one that you don't have. Ask {name} what it said"


def alarm(kind: AlarmKind, name: str) -> Banner:
    """Say what can't happen unless somebody cheats or an identity was copied."""
    match kind:
        case AlarmKind.OWN_IDENTITY_ELSEWHERE:
            return Banner(
                f"alarm {kind.value}",
                Tone.BAD,
                "Your identity is in use elsewhere, too",
                "If that is you, close Parley in one of the two places: what others write reaches only one of them. "
                "If it isn't, leave this room, and ask for a new invite with a new identity.",
            )
        case AlarmKind.ACKNOWLEDGED_ELSEWHERE:
            return Banner(
                f"alarm {kind.value}",
                Tone.BAD,
                f"Messages from {name} were taken by somebody else in your name",
                "A copy of your identity may be in use. Tell the others, and leave this room with this identity.",
            )


def quiet(opened: RoomOpened) -> Quiet:
    """Say what to do in an empty room."""
    if opened.own_fp != opened.owner_fp:
        return Quiet(
            "Nobody else is here yet",
            "As soon as somebody of the room is here, you can talk.",
            (),
            opened.invite_text,
            can_invite=False,
        )
    if opened.mode is Mode.ASK:
        text = "Invite the people you want to talk to. Nobody gets in without you."
        steps = (
            ("Send the link", "over a chat you trust"),
            ("They knock", "you see who it is"),
            ("You let them in", "after comparing words"),
        )
    else:
        text = "Invite the people you want to talk to. Whoever has the link comes in."
        steps = (
            ("Send the link", "over a chat you trust"),
            ("They paste it", "and are in the room"),
            ("You see who is here", "in the list of people"),
        )
    if opened.only_here:
        text += f" {ONLY_HERE}"
    code = "" if opened.only_here else opened.invite_text  # a telephone that scans it wouldn't get there
    return Quiet("It is still quiet in here", text, steps, code)


def leave_question(title: str, opened: RoomOpened, connected: bool) -> ConfirmState:
    """Ask whether to leave for good; nobody is told of it without a connection, as none is made for that later."""
    seen = "The others see that you left" if connected else UNTOLD
    text = f"{seen}, and nothing more reaches you. This can't be undone without a new way in."
    if opened.own_fp == opened.owner_fp and opened.mode is Mode.ASK:
        text = f"You made this room: without you nobody new can be let in. {seen}."
    return ConfirmState(f"Leave “{title}” for good?", text, "Leave the room", events.LeaveRoom(sure=True), danger=True)


# -- invite, knock, door -----------------------------------------------------------------------------------------------


def invite_state(opened: RoomOpened, title: str, keeper: str, copied: str) -> InviteState:
    """Say what an invite gives away."""
    if opened.mode is Mode.OPEN:
        note = "Whoever has this link can come in and read what is written from then on."
    elif opened.own_fp == opened.owner_fp:
        note = "Whoever has this link can knock. They can read nothing until you let them in."
    else:
        note = f"Whoever has this link can knock. They can read nothing until {keeper} lets them in."
    if opened.only_here:
        note += f" {ONLY_HERE}"
    return InviteState(title, opened.invite_text, note, copied)


def copied(clear: bool) -> str:
    """Say that the invite is on the clipboard, and for how long."""
    return COPIED_FOR_NOW if clear else COPIED


def knock_state(fp: bytes, name: str, title: str, at_ms: int, words: tuple[str, ...], warning: str = "") -> KnockState:
    """Say who is at the door."""
    return KnockState(
        fp,
        f"{name} would like to come in",
        f"{title} · knocked at {wording.clock(at_ms)} with the invite",
        f"Ask {name} on the phone.",
        f"Until you let {name} in, nothing that is written here is encrypted to {name}.",
        words,
        warning,
    )


def knocker_gone(state: KnockState, name: str) -> KnockState:
    """Say that who was at the door has gone, in the sheet that is open: it isn't taken out of one's hands."""
    ask = f"{name} isn't at the door any more."
    return replace(state, ask=ask, promise=f"If {name} knocks again, you can answer here.", gone=True)


def waiting_state(
    opened: RoomOpened,
    title: str,
    waiting: Waiting | None,
    keeper: str,
    words: tuple[str, ...],
    state: ConnectionChanged,
) -> WaitingState:
    """Say what the one who knocks waits for."""
    connected = state.state is Connection.CONNECTED
    trouble = "" if connected else state.reason or "Connecting to the relay…"
    if state.state is Connection.STOPPED:
        text = f"Parley has stopped trying to reach “{title}”."
    elif not connected:
        text = f"On the way to the door of “{title}”."
    elif waiting is not None and waiting.keeper_here and keeper:
        text = f"{keeper} is here, and can let you in to “{title}”."  # being turned away is silent: claim no more
    elif waiting is not None and keeper:
        text = f"{keeper}, who can let you in to “{title}”, isn't here now. Parley knocks again by itself."
    else:
        text = f"Who made “{title}” can let you in, and isn't here now. Parley knocks again by itself."
    caller = keeper or "the one who made the room"
    return WaitingState(
        opened.own_fp,
        "Waiting to be let in",
        text,
        f"When {caller} calls, read the words to each other. If they differ, stop waiting and ask for a new invite.",
        words,
        trouble,
        opened.room_id,
    )


# -- who could read this -----------------------------------------------------------------------------------------------


def readers_state(
    message: Message,
    own_fp: bytes,
    name_of: NameOf,
    away: set[bytes],
    blocks: SealedBlocks | None,
    unfolded: bool,
    compared: Callable[[bytes], bool],
    now_ms: int,
) -> ReadersState:
    """Say who could read a message and who has it, and on request show its sealed blocks.

    `away` are those who are away now; `compared` says with whom words were compared.
    """
    quote = Quote(
        message.sender,
        name_of(message.sender),
        wording.message_clock(message.time_ms, message.received_ms),
        message.text,
    )
    people = tuple(
        sorted(
            (fp for fp in message.readers or () if fp != message.sender),
            key=lambda fp: (fp != own_fp, message.arrived.get(fp, now_ms + 1), name_of(fp).casefold()),
        )
    )
    readers = tuple(
        replace(_reader(message, fp, own_fp, name_of, fp in away, now_ms), compared=compared(fp)) for fp in people
    )
    number = len(people)
    heading = _for_whom(message, people, own_fp, name_of)
    note = (
        f"Encrypted separately for {number} people, in blocks of {BLOCK_SIZE} bytes that look alike to the relay."
        if number > 1
        else f"Encrypted for one person, in blocks of {BLOCK_SIZE} bytes that look alike to the relay."
    )
    if not message.own and number > 1:
        note += f" When it reached the others, only {quote.name} knows."
    tone = Tone.GOOD
    if message.readers is None:
        heading = "Other people than you see here"
        note = f"{quote.name} has another list of people than you. Ask {quote.name} who is in the room."
        tone = Tone.WARN
    elif message.theirs or message.ours:
        theirs, ours = (map(name_of, fps) for fps in (message.theirs, message.ours))
        note, tone = wording.difference(quote.name, theirs, ours, begins=True) + ".", Tone.WARN
    sealed, sealed_note = _sealed(blocks, name_of) if unfolded else (None, "")
    return ReadersState(message.mid, quote, heading, readers, note, tone, sealed, sealed_note)


def _for_whom(message: Message, people: Sequence[bytes], own_fp: bytes, name_of: NameOf) -> str:
    """Say for whom a message was sealed; of somebody else's that is their word, for one can seal for others, too."""
    if not people:
        return "Nobody else"
    several = len(people) > 1
    if message.own:
        return f"{f'These {len(people)} people' if several else name_of(people[0])}, and nobody else"
    who = f"these {len(people)} people" if several else "you" if people[0] == own_fp else name_of(people[0])
    return f"By {name_of(message.sender)}'s list {who}, and nobody else"


def _reader(message: Message, fp: bytes, own_fp: bytes, name_of: NameOf, away: bool, now_ms: int) -> Reader:
    if fp == own_fp:
        return Reader(fp, "You", f"Came {wording.moment(message.received_ms, now_ms)}", False, Tick.ALL)
    name = name_of(fp)
    if not message.own:
        return Reader(fp, name, "Away now" if away else "", away)
    state, was_away = message.state_for(fp), fp in message.away
    if state is Tick.ALL:
        detail = f"Arrived {wording.moment(message.arrived[fp], now_ms)}" + (" · was away" if was_away else "")
    elif state is Tick.FAILED:
        detail = "Not delivered"
    elif state is Tick.TAKEN_BACK:
        detail = "Taken back before it went"
    else:
        detail = "Away: it waits on this computer" if away else "Was away, on its way now" if was_away else "On its way"
    return Reader(fp, name, detail, away, state)


def _sealed(blocks: SealedBlocks | None, name_of: NameOf) -> tuple[tuple[SealedLine, ...], str]:
    if blocks is None:
        return (), BLOCKS_COMING
    lines = tuple(
        SealedLine(name_of(fp), sealed[0][:HEX_BYTES].hex(" ") + " …", _size(len(sealed)))
        for fp, sealed in blocks.blocks
        if sealed
    )
    return lines, "" if lines else BLOCKS_GONE


def _size(number: int) -> str:
    return f"{BLOCK_SIZE} bytes" if number == 1 else f"{number} × {BLOCK_SIZE} bytes"
