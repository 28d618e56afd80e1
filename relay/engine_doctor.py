"""What could be wrong between this relay and its engine: each server is asked to carry something there and back."""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
import time
from collections.abc import Iterator

from chatcore.errors import Finding, WireError
from chatcore.wire import ROOM_ID_SIZE
from relay import nats
from relay.across import BOOT_SIZE, Subjects, token_of
from relay.engine import Place, Settings
from relay.engine_nats import connect, context_of
from relay.names import Names

PATIENCE_S = 5.0


def examine_engine(settings: Settings) -> Iterator[Finding]:
    """Go to each server of the engine, as a relay would, with a boot and a room that nobody else knows."""
    for place in settings.places:
        yield asyncio.run(_visit(settings, place))


async def _visit(settings: Settings, place: Place) -> Finding:
    about = f"engine {place}"
    try:
        async with asyncio.timeout(PATIENCE_S):
            took_s = await _there_and_back(settings, place)
        return Finding("ok", about, f"it carries what this relay says, in {took_s * 1000:.1f} ms.")
    except PermissionError:
        sentence = (
            "it refuses this relay, or one of its subjects; look at user, password, and its permissions for `name`."
        )
    except ssl.SSLError as error:
        sentence = f"TLS fails ({error.reason or 'no reason given'}); look at ca, certificate and key."
    except TimeoutError:
        sentence = "it doesn't answer; look at the firewall, and whether it runs."
    except WireError as error:
        sentence = f"it is no engine for this relay ({error}); look at nats, and at its own configuration."
    except OSError as error:
        # What asyncio writes there names the address again.
        why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else "no such name"
        sentence = f"it can't be reached ({why}); start it, or correct nats."
    return Finding("bad", about, sentence)


async def _there_and_back(settings: Settings, place: Place) -> float:
    """Say something on each kind of subject; return how long the last took.  Raises what `connect` does."""
    subjects = Subjects(settings.cluster, settings.name, secrets.token_bytes(BOOT_SIZE).hex())
    token = token_of(secrets.token_bytes(ROOM_ID_SIZE))
    reader, writer, said = await connect(place, context_of(settings), Names())
    try:
        heard = [subjects.all_hearts, subjects.room(token), subjects.own_blocks]
        writer.write(b"".join(nats.subscribe(subject, sid) for sid, subject in enumerate(heard, 1)))
        writer.write(nats.publish(subjects.own_heart, b""))  # which means nothing to anybody
        writer.write(nats.publish(subjects.own_words(token), b""))
        begun_s = time.perf_counter()
        writer.write(nats.publish(subjects.blocks(settings.name, subjects.boot, token), b""))
        missing = {1, 2, 3}
        while data := await reader.read(nats.MAX_LINE_BYTES):
            for one in said.receive_data(data):
                if isinstance(one, nats.Trouble):
                    raise PermissionError
                if isinstance(one, nats.Delivery) and not one.payload:
                    missing.discard(one.sid)
            if not missing:
                return time.perf_counter() - begun_s
        raise WireError("it hangs up")
    finally:
        writer.transport.abort()
