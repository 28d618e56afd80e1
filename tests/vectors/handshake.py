"""Vectors of a handshake: Bob was there, Alice comes.  Built step by step from the text of docs/PROTOCOL.md."""

from __future__ import annotations

from collections.abc import Iterator

from chatcore.content import ContentKind
from chatcore.delivery import Ack, Ready
from chatcore.engines.reference import ReferencePublicKey
from chatcore.hello import HELLO_COUNTER, HELLO_PARTS, hello_keys, hello_signed_bytes, link_keys, transcript
from chatcore.members import pack_nick
from chatcore.seal import CONTENT_SIZE, Body, SealKeys, seal

from .material import NOW, Record, fp, key, modulus, stream
from .rooms import room_invite

NICKS = {"alice": "Alice", "bob": "Bob \U0001f41f"}
OTHER = {"alice": "bob", "bob": "alice"}
READY = {
    "alice": Ready(b"alicelog", 5, 3, b"bob-log-", 2, 4, bytes(range(32)), NOW.ms),
    "bob": Ready(clock_ms=NOW.ms + 1),
}
ACK = Ack(b"bob-log-", 0, 5, bytes(range(32)))


def _nonce(name: str) -> bytes:
    return stream(f"nonce of {name}", 32)


def _hello(name: str, room_id: bytes) -> bytes:
    identity, sender, receiver = (modulus(f"{who} {kind}") for who, kind in _ends(name))
    unsigned = identity + _nonce(name) + bytes(2) + pack_nick(NICKS[name]) + bytes(37)
    return unsigned + key(f"{name} identity").sign(hello_signed_bytes(room_id, sender, receiver, unsigned))


def _ends(name: str) -> tuple[tuple[str, str], ...]:
    return (name, "identity"), (name, "session"), (OTHER[name], "session")


def _block(name: str, keys: SealKeys, counter: int, body: Body) -> bytes:
    """A block from `name` to the other, with an OAEP seed of its own."""
    receiver = ReferencePublicKey(modulus(f"{OTHER[name]} session"))
    return receiver.encrypt_with_seed(seal(keys, counter, body.to_bytes()), stream(f"{name} block {counter}", 32))


def links() -> Iterator[Record]:
    """HELLO of both, what follows from them, READY of both, and the first block of a link that is up."""
    invite = room_invite(fp("alice identity"))
    room_id, room_key = invite.room_id, invite.room_key
    common: dict[str, object] = {"room-id": room_id, "room-key": room_key}
    hellos = {name: _hello(name, room_id) for name in NICKS}
    for name, hello in hellos.items():
        fields: dict[str, object] = {
            "sender": f"{name} session",
            "receiver": f"{OTHER[name]} session",
            "identity": f"{name} identity",
            "nonce": _nonce(name),
            "nick": NICKS[name].encode(),
            "hello": hello,
        }
        keys = hello_keys(room_key, modulus(f"{name} session"), modulus(f"{OTHER[name]} session"))
        for index in range(HELLO_PARTS):
            content = hello[CONTENT_SIZE * index : CONTENT_SIZE * (index + 1)]
            body = Body(ContentKind.HELLO, index + 1, HELLO_PARTS, content)
            fields[f"block-{index + 1}"] = _block(name, keys, HELLO_COUNTER + index, body)
        yield f"the HELLO of {name}: 648 bytes, signed, in four blocks under the hello keys", common | fields
    ends = {modulus(f"{name} session"): hello for name, hello in hellos.items()}
    sending = link_keys(room_key, room_id, ends)
    low, high = sorted(NICKS, key=lambda name: modulus(f"{name} session"))
    yield (
        "the transcript of both, and the keys that each end sends with",
        common
        | {"low": f"{low} session", "high": f"{high} session", "hello-low": hellos[low], "hello-high": hellos[high]}
        | {"transcript": transcript(room_id, ends)}
        | {
            f"{side}-{use}-key": getattr(sending[modulus(f"{name} session")], use)
            for side, name in (("low", low), ("high", high))
            for use in ("tag", "mask")
        },
    )
    for comment, name, kind, counter, content in (
        ("the READY of alice", "alice", ContentKind.READY, 0, READY["alice"].to_bytes()),
        ("the READY of bob, to somebody who isn't a member", "bob", ContentKind.READY, 0, READY["bob"].to_bytes()),
        ("an ACK of alice: the link is up", "alice", ContentKind.ACK, 1, ACK.to_bytes()),
    ):
        block = _block(name, sending[modulus(f"{name} session")], counter, Body(kind, 1, 1, content))
        numbers: dict[str, object] = {"kind": kind.value, "counter": counter}
        yield (
            comment,
            {"sender": f"{name} session", "receiver": f"{OTHER[name]} session"}
            | numbers
            | {"content": content, "block": block},
        )
