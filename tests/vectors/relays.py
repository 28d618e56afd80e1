"""Vectors of what relays say to each other."""

from __future__ import annotations

from collections.abc import Iterator

from relay.across import EVERYBODY, RECORD, About, Message, digest_of, token_of

from .material import Record, stream

BOOT = stream("boot", 8)
SEATS = tuple(RECORD.pack(1_800_000_000_000 + at, stream(f"far seat {at}", 8)) for at in range(4))


def between_relays() -> Iterator[Record]:
    room_id = stream("room id", 32)
    yield "what stands for a room in a subject", {"room-id": room_id, "token": token_of(room_id)}
    said = {
        "LIST of three seats": Message(About.LIST, BOOT, 7, come=SEATS[:3]),
        "LIST of none": Message(About.LIST, BOOT, 9),
        "CHANGE: the first in a room, one has come": Message(About.CHANGE, BOOT, 7, 0, come=SEATS[:1]),
        "CHANGE: one has gone, two have come": Message(About.CHANGE, BOOT, 8, 7, gone=SEATS[:1], come=SEATS[1:3]),
        "BEAT, with the digest of three seats": Message(About.BEAT, BOOT, 8, digest=digest_of(SEATS[:3])),
        "ASK everybody, anew": Message(About.ASK, BOOT, whom=EVERYBODY, anew=True),
        "ASK one relay": Message(About.ASK, BOOT, whom=stream("another boot", 8)),
        "HERE": Message(About.HERE, BOOT),
        "BYE": Message(About.BYE, BOOT),
    }
    for comment, message in said.items():
        fields: dict[str, object] = {"kind": message.about.value, "boot": message.boot, "number": message.number}
        match message.about:
            case About.LIST:
                fields |= {"come": b"".join(message.come)}
            case About.CHANGE:
                fields |= {
                    "before": message.before,
                    "gone": b"".join(message.gone),
                    "come": b"".join(message.come),
                }
            case About.BEAT:
                fields |= {"seats": b"".join(SEATS[:3]), "digest": message.digest}
            case About.ASK:
                fields |= {"whom": message.whom, "anew": int(message.anew)}
        yield comment, fields | {"message": message.to_bytes(), "expect": "success"}
    here, listed = Message(About.HERE, BOOT).to_bytes(), said["LIST of three seats"].to_bytes()
    for comment, bad in {
        "version 2": b"\2" + here[1:],
        "kind 7": here[:1] + b"\7" + here[2:],
        "a boot of zeros": here[:2] + bytes(8) + here[10:],
        "HERE with a byte too many": here + b"\0",
        "records in another order": listed[:18] + SEATS[1] + SEATS[0],
        "a record twice": listed[:18] + SEATS[0] * 2,
        "a record cut short": listed[:-1],
        "a record of no address": listed[:18] + bytes(16),
        "ASK with anew = 2": said["ASK one relay"].to_bytes()[:-1] + b"\2",
        "CHANGE with more that are gone than there are": Message(About.CHANGE, BOOT, 8, 7).to_bytes()[:-2] + b"\0\1",
    }.items():
        yield comment, {"message": bad, "expect": "refuse"}
