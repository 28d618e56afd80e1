"""A member of a room as a program of its own, as talkative as logging can make it; see test_secrets.py.

Everything it must know comes as one line of JSON on standard input.  It says "talked" and "back" when it has said and
heard what it should, and after another line on standard input stops, and ends with a crash.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
from pathlib import Path

from client_help import HASTY, Ear
from world import ENGINE

from chatcore.client import Client
from chatcore.engines import PrivateKey
from chatcore.engines.openssl import OpenSSLEngine
from chatcore.errors import ParleyError
from chatcore.events import Connection, LetIn, MessageReceived, MessageSent, RoomEvent
from chatcore.invite import Invite
from chatcore.profile import Profile


class Keeping(OpenSSLEngine):
    """An engine that remembers which keys it made."""

    def __init__(self) -> None:
        self.made: list[PrivateKey] = []

    def generate(self) -> PrivateKey:
        made = super().generate()
        self.made.append(made)
        return made


class Loud(Ear):
    """Fails with all that it was told."""

    def __call__(self, room_id: bytes, event: RoomEvent) -> None:
        super().__call__(room_id, event)
        if isinstance(event, MessageReceived | MessageSent | LetIn):
            raise ValueError(f"{room_id!r} {room_id.hex()} {event!r}")


def main() -> None:
    told = json.loads(sys.stdin.readline())
    logging.basicConfig(level=logging.DEBUG, filename=told["log"])
    invite = Invite.parse(told["invite"])
    identity = ENGINE.private_key(base64.b64decode(told["identity"]))
    engine, ear = Keeping(), Loud()
    profile = Profile.create(Path(told["profile"]), told["nick"], told["passphrase"], engine)
    profile.remember(invite, 1, [b"statement"])
    profile.save()
    profile.close()
    try:
        Profile.open(Path(told["profile"]), told["passphrase"] + "x", engine)
    except ParleyError as error:
        print(error)
    client = Client(ear, engine=engine, timing=HASTY)
    client.start()
    room_id = client.open_room(invite, identity, told["nick"])
    print(invite, invite.relay, profile, profile.rooms, client, client._visit(room_id))

    def heard(texts: list[str]) -> bool:
        return {*texts} <= {text for _, text in ear.texts()}

    ear.until(lambda: bool(ear.here()), "somebody is here")
    for text in told["says"]:
        client.say(room_id, text)
    ear.until(lambda: heard(told["hears"]), "what the other says")
    print("talked", flush=True)
    ear.until_state(Connection.CONNECTED, 2)
    client.say(room_id, told["last"])
    ear.until(lambda: heard([told["hears_last"]]), "the other's last words")
    print("back", flush=True)
    sys.stdin.readline()
    client.leave(room_id)
    client.stop()
    made = [base64.b64encode(key.to_der()).decode() for key in engine.made]
    Path(told["keys"]).write_text(json.dumps(made))
    Invite.parse(told["invite"][:-3])  # the crash


if __name__ == "__main__":
    main()
