"""Vectors of a room: what its invite gives, who belongs to it, what is said in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from chatcore.delivery import Ack, Message
from chatcore.events import Quote
from chatcore.invite import Invite, Mode, RelayAddress
from chatcore.lists import NOW as NOW_LIST
from chatcore.lists import ask_list, tell_list
from chatcore.members import Members, StatementType, make_statement, pack_nick, parse_statement, who_digest
from chatcore.seal import digest
from chatcore.text import pack_text
from chatcore.wordlist import english
from chatcore.words import room_words

from .material import ENGINE, NOW, Record, flip, fp, key, modulus, stream

RELAY = RelayAddress("relay.example", 7256, (stream("pin", 32),))


def room_invite(owner: bytes, secret: str = "room secret", epoch: int = 0, mode: Mode = Mode.ASK) -> Invite:
    return Invite(stream(secret, 32), owner, epoch, mode, RELAY, "Cabin weekend")


def rooms() -> Iterator[Record]:
    owner, other = fp("alice identity"), fp("bob identity")
    for comment, invite in {
        "a room whose owner lets people in": room_invite(owner),
        "the mode makes another room": room_invite(owner, mode=Mode.OPEN),
        "the epoch makes another room": room_invite(owner, epoch=1),
        "the owner makes another room": room_invite(other),
        "the secret makes another room": room_invite(owner, "another room secret"),
        "the largest epoch": room_invite(owner, epoch=2**32 - 1),
    }.items():
        yield (
            comment,
            {
                "secret": invite.secret,
                "owner": invite.owner_fp,
                "epoch": invite.epoch,
                "mode": invite.mode.value,
                "room-id": invite.room_id,
                "room-key": invite.room_key,
            },
        )


def invites() -> Iterator[Record]:
    owner, secret = fp("alice identity"), stream("room secret", 32)
    pin, spare, relay_pass = stream("pin", 32), stream("spare pin", 32), stream("relay pass", 32)
    relays = {
        "one pin": RelayAddress("relay.example", 7256, (pin,)),
        "a spare pin and a relay pass": RelayAddress("192.0.2.7", 443, (pin, spare), relay_pass),
        "an IPv6 address": RelayAddress("2001:db8::7", 7256, (pin,)),
        "a relay on this computer, without a pin": RelayAddress("127.0.0.1", 7256),
    }
    titles = ("Cabin weekend", "\u05e9\u05dc\u05d5\u05dd \U0001f3d4", "x" * 64, "")
    made: list[Invite] = []
    for index, ((comment, relay), title) in enumerate(zip(relays.items(), titles, strict=True)):
        invite = Invite(secret, owner, index, Mode(index % 2), relay, title)
        made.append(invite)
        fields: dict[str, object] = {
            "secret": secret,
            "owner": owner,
            "epoch": invite.epoch,
            "mode": invite.mode.value,
            "host": relay.host,
            "port": relay.port,
        }
        fields |= {f"pin-{number}": one for number, one in enumerate(relay.pins, 1)}
        fields |= {"pass": relay_pass} if relay.relay_pass else {}
        yield comment, fields | {"title": title.encode(), "text": invite.to_text(), "expect": "success"}
    text = made[0].to_text()
    place, _, payload = text.removeprefix("parley:join/").partition("/")
    raw = base64.urlsafe_b64decode(payload + "==")[:-8]
    newer = b"\x02" + raw[1:]
    checked = newer + digest(b"invite check", place.encode() + newer)[:8]
    for comment, expect, bad in (
        ("the last character is missing", "cut short", text[:-1]),
        ("half of it is missing", "cut short", text[: len(text) // 2]),
        ("only the address is left", "cut short", "parley:join/relay.example:7256"),
        ("another character in the payload", "altered", text[:100] + ("A" if text[100] != "A" else "B") + text[101:]),
        ("another character in the length", "altered", text[:34] + "g" + text[35:]),
        ("another port", "altered", text.replace(":7256", ":7257")),
        ("another host", "altered", text.replace("relay.example", "re1ay.example")),
        ("bits that no byte holds are not zero", "altered", text[:-1] + chr(ord(text[-1]) + 1)),
        (
            "version 2, with the right check",
            "other version",
            f"parley:join/{place}/{base64.urlsafe_b64encode(checked).decode().rstrip('=')}",
        ),
        ("a relay line", "not an invite", RELAY.to_text()),
        ("something else", "not an invite", "https://example.org/join"),
    ):
        yield comment, {"text": bad, "expect": expect}


def words() -> Iterator[Record]:
    room_id = room_invite(fp("alice identity")).room_id
    alice, bob = fp("alice identity"), fp("bob identity")
    for comment, epoch, fps in (
        ("two people", 0, (alice, bob)),
        ("one person alone", 0, (alice,)),
        ("the epoch makes other words", 1, (alice, bob)),
        ("a third person", 0, (alice, bob, stream("carol", 32))),
        ("256 people: their number has two bytes", 0, tuple(stream(f"person {n}", 32) for n in range(256))),
    ):
        chosen = " ".join(room_words(english(), room_id, epoch, fps))
        yield comment, {"room-id": room_id, "epoch": epoch, "fps": b"".join(sorted(fps)), "words": chosen}


def statements() -> Iterator[Record]:
    room_id = room_invite(fp("alice identity")).room_id
    alice, bob = key("alice identity"), key("bob identity")
    pins = stream("new relay's key", 32), stream("new relay's spare key", 32)
    elsewhere = RelayAddress("new.relay.example", 443, pins, stream("new relay's pass", 32))
    made = {
        "the owner joins": make_statement(StatementType.JOIN, room_id, alice, fp("alice identity"), 1000, "Alice"),
        "bob joins": make_statement(StatementType.JOIN, room_id, bob, fp("bob identity"), 2000, "Bob \U0001f41f"),
        "the owner lets bob in": make_statement(StatementType.ADMIT, room_id, alice, fp("bob identity"), 3000),
        "bob leaves": make_statement(StatementType.LEAVE, room_id, bob, fp("bob identity"), 4000),
        "the owner sets a rhythm of 5 seconds": make_statement(
            StatementType.STEADY, room_id, alice, fp("alice identity"), 5000, period_s=5
        ),
        "the owner moves the room to another relay": make_statement(
            StatementType.RELAY, room_id, alice, fp("alice identity"), 6000, relay=elsewhere
        ),
    }
    common: dict[str, object] = {"room-id": room_id, "owner": fp("alice identity"), "mode": 1}
    for comment, statement in made.items():
        signer = "alice identity" if statement.signer == fp("alice identity") else "bob identity"
        fields: dict[str, object] = {"signer": signer, "statement": statement.raw, "hash": statement.hash}
        yield comment, common | fields | {"expect": "success"}
    join, admit = made["bob joins"], made["the owner lets bob in"]
    other_room = make_statement(StatementType.JOIN, stream("another room", 32), bob, fp("bob identity"), 2000, "Bob")
    by_bob = make_statement(StatementType.ADMIT, room_id, bob, stream("carol", 32), 3000)
    steady_by_bob = make_statement(StatementType.STEADY, room_id, bob, fp("bob identity"), 5000, period_s=5)
    slow = made["the owner sets a rhythm of 5 seconds"].raw[:73] + b"\x1f"
    slow += alice.sign(b"parley/1 stmt" + room_id + alice.modulus + slow)
    moved = made["the owner moves the room to another relay"].raw[:-256]
    moved_by_bob = make_statement(StatementType.RELAY, room_id, bob, fp("bob identity"), 6000, relay=elsewhere)
    unpinned, unclean = moved[:329] + bytes(65) + moved[394:], moved[:100] + b"x" + moved[101:]
    unpinned += alice.sign(b"parley/1 stmt" + room_id + alice.modulus + unpinned)
    unclean += alice.sign(b"parley/1 stmt" + room_id + alice.modulus + unclean)
    for comment, signer, bad in (
        ("one bit of the time flipped", "bob identity", flip(join.raw, 72)),
        ("one bit of the signature flipped", "bob identity", flip(join.raw, len(join.raw) - 1)),
        ("signed for another room", "bob identity", other_room.raw),
        ("a JOIN with somebody else's key", "bob identity", _swap_key(join.raw, modulus("alice identity"))),
        ("a JOIN in somebody else's name", "bob identity", join.raw[:33] + fp("alice identity") + join.raw[65:]),
        ("an ADMIT by one who isn't the owner", "bob identity", by_bob.raw),
        ("a STEADY by one who isn't the owner", "bob identity", steady_by_bob.raw),
        ("a STEADY of 31 seconds", "alice identity", slow),
        ("a RELAY by one who isn't the owner", "bob identity", moved_by_bob.raw),
        ("a RELAY without a pin", "alice identity", unpinned),
        ("a RELAY with something behind its host", "alice identity", unclean),
        ("an unknown type", "alice identity", b"\x09" + admit.raw[1:]),
        ("one byte too many", "alice identity", admit.raw + b"\0"),
        ("one byte too few", "alice identity", admit.raw[:-1]),
    ):
        yield comment, common | {"signer": signer, "statement": bad, "expect": "refuse"}
    members = Members(ENGINE, room_id, fp("alice identity"), Mode.ASK)
    held: list[bytes] = []
    for comment in (
        "the owner joins",
        "bob joins",
        "the owner lets bob in",
        "bob leaves",
        "the owner sets a rhythm of 5 seconds",
        "the owner moves the room to another relay",
    ):
        members.add(made[comment].raw)
        held.append(parse_statement(made[comment].raw).hash)
        yield (
            f"the set after: {comment}",
            {
                "room-id": room_id,
                "hashes": b"".join(sorted(held)),
                "set": members.set_digest,
                "members": b"".join(sorted(members.fps())),
                "who": who_digest(room_id, members.fps()),
            },
        )


def _swap_key(join: bytes, other: bytes) -> bytes:
    return join[:73] + other + join[73 + 256 :]


def contents() -> Iterator[Record]:
    room_id, sender = room_invite(fp("alice identity")).room_id, fp("alice identity")
    who = who_digest(room_id, (fp("alice identity"), fp("bob identity")))
    quote = Quote(stream("quoted mid", 16), fp("bob identity"), NOW.ms - 5)
    for comment, number, text, answers in (
        ("a message", 1, "Hello", None),
        ("a message of two parts", 2**40, "\u05e9\u05dc\u05d5\u05dd \U0001f3d4 " * 12, None),
        ("a reply", 2, "Hello again", quote),
    ):
        message = Message(stream(f"salt of {comment}", 16), NOW.ms, who, pack_text(text, answers))
        quoted = {"answers": quote.mid, "author": quote.author, "came": quote.came_ms} if answers else {}
        yield (
            comment,
            {
                "room-id": room_id,
                "sender": sender,
                "number": number,
                "salt": message.salt,
                "time": message.time_ms,
                "who": who,
                **quoted,
                "text": text.encode(),
                "content": number.to_bytes(8) + message.to_bytes(),
                "mid": message.mid(room_id, sender),
            },
        )
    ack = Ack(b"bob-log-", 7, 9, stream("set", 32))
    yield (
        "an ACK",
        {"log": ack.log, "cursor": ack.cursor, "head": ack.head, "set": ack.set_digest, "content": ack.to_bytes()},
    )
    nicks = {fp("alice identity"): "Alice", fp("bob identity"): "Bob \U0001f41f"}
    yield "a LIST that asks", {"room-id": room_id, "who": who, "content": ask_list(who)}
    for comment, digest_asked, people in (
        ("a LIST that answers", who, nicks),
        ("a LIST of those who belong now", NOW_LIST, nicks),
        ("a LIST that isn't known any more", who, {}),
    ):
        told = tell_list(digest_asked, people)
        listed = b"".join(fp + pack_nick(nick) for fp, nick in sorted(people.items()))
        yield comment, {"room-id": room_id, "who": digest_asked, "people": listed, "content": told}
