"""Why can't I get in?  Looks at the way to a relay as a client goes it, step by step; each finding with its cure.

`parley-doctor [--proxy HOST:PORT] [--profile DIR] < file`, or paste when it asks: a relay line or an invite.  Never an
argument, because it may hold a pass or a room's secret.  It goes through a proxy where the window would.  It joins a
room of 32 random bytes that nobody else can know, and leaves; of an invite it uses the relay alone.  Nothing that it
prints names the relay, so what it prints can be shown to others.  Shell.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from chatcore import dial as ways
from chatcore import proxyfile
from chatcore.cable import NO_ANSWER, Cable, End, Loop, Timing
from chatcore.dial import dial, way_to
from chatcore.errors import Finding, InviteError, NoWayError, ParleyError, RelayError
from chatcore.invite import MAX_PASTE_CHARS, Invite, RelayAddress
from chatcore.profile import usual_directory
from chatcore.proxy import Proxy
from chatcore.wire import NO_PASS, ROOM_ID_SIZE, Frame, Kind, Refusal, join_block

PINGS = 5
SLOW_MS = 1000
DAY_S = 86_400
PATIENCE = Timing(dial_s=15.0, welcome_s=10.0)

USAGE = (
    "Paste the relay's line or an invite and press Enter, or hand it over on standard input: parley-doctor < file. "
    "As an argument it could be read by every program on this computer. "
    "--proxy HOST:PORT goes through a SOCKS5 proxy, --profile DIR through the one that is set there in the window."
)

# What `dial` says, and what it means here: how far the way was good, and what to do.
_BROKEN = {
    ways.RELAY_OFF: (
        "port",
        "nobody listens there: see that the relay runs, on the port that stands in the line, and that its firewall "
        "lets that port in.",
    ),
    NO_ANSWER: (
        "port",
        "there is no answer: a firewall on the way (yours, the relay's or its provider's) may swallow it, so try "
        "another network, and let the relay's owner look whether the port is open.",
    ),
    ways.HUNG_UP: (
        "port",
        "it hung up at once: the relay may be full or may have seen too much of this address; wait a minute, and let "
        "its owner look at the log.",
    ),
    ways.NO_WAY: ("network", "there is no way to it from here: check the network connection of this computer."),
    ways.NO_TLS: (
        "tls",
        "what answers speaks no TLS 1.3: another program has that port, or something on the way interferes; let the "
        "relay's owner run `doctor` there, and try another network.",
    ),
    ways.NOT_THE_RELAY: (
        "pin",
        "what answers has another key than the line says, and was sent nothing: ask the relay's owner whether the key "
        "was changed, for the line as it is now; if it wasn't, somebody is in between.",
    ),
    ways.ONLY_BY_TOR: (
        "name",
        "it is an onion service, which is reached through Tor alone, and wasn't looked up: start Tor, then try again "
        "with --proxy 127.0.0.1:9050.",
    ),
    ways.PROXY_OFF: (
        "proxy",
        "it can't be reached, and nothing is tried without it: start it, and see that its address is right "
        "(Tor: 127.0.0.1:9050; Tor Browser: 127.0.0.1:9150).",
    ),
    ways.PROXY_MUTE: ("proxy", "what answers there is no SOCKS5 proxy: another program has that port."),
    ways.PROXY_HUNG_UP: ("proxy", "it hung up: see that it is a SOCKS5 proxy, and look at its log."),
    ways.PROXY_ASKS: (
        "proxy",
        "it asks for a name and a password, which Parley doesn't have: use one that asks for none, such as Tor.",
    ),
    ways.PROXY_LATE: (
        "proxy",
        "nothing came back in time: see that it has a network (Tor's log says how far it is), and let the relay's "
        "owner look whether the relay runs.",
    ),
    ways.PROXY_FAILED: (
        "proxy",
        "it found no way to the relay: see that it has a network (Tor's log says how far it is), and let the relay's "
        "owner look whether the relay runs.",
    ),
    ways.PROXY_FORBIDS: ("proxy", "its rules don't allow this relay: change them, or use another."),
    ways.PROXY_NO_NET: ("proxy", "it has no network: look at its log."),
    ways.PROXY_NO_HOST: (
        "name",
        "the proxy can't find it: an onion service may be off, so ask its owner; any other name is misspelt or gone.",
    ),
    ways.PROXY_RELAY_OFF: (
        "port",
        "the proxy found the computer, but nobody listens there: see that the relay runs, on the port that stands in "
        "the line.",
    ),
    ways.PROXY_NO_KIND: ("proxy", "it can't take the relay's kind of address: use another, such as Tor."),
}

_REFUSED = {
    Refusal.VERSION: "it speaks another version: whoever is older, this Parley or the relay, needs an update.",
    Refusal.RELAY_PASS: "the pass in this line isn't the relay's: ask its owner for the line as it is now.",
    Refusal.ROOM_FULL: "it takes nobody into any room: let its owner raise max_seats_per_room.",
    Refusal.RELAY_FULL: "it is full: try later, or let its owner raise max_connections.",
    Refusal.TOO_FAST: "it has seen too many connections from this address: try again in a minute.",
    Refusal.SHUTTING_DOWN: "it is being restarted: try again in a minute.",
    Refusal.MALFORMED: "it didn't understand what was said: this Parley or the relay needs an update.",
}


def relay_in(text: str) -> RelayAddress:
    """Return the relay of a relay line, or of an invite.  Raises InviteError with one sentence."""
    try:
        return RelayAddress.parse(text)
    except InviteError as error:
        if "parley:join" not in text.lower():
            raise error from None
        return Invite.parse(text).relay


class _Guest:
    """Owns a cable, and wants only to know whether there is a seat."""

    def __init__(self) -> None:
        self.seated = asyncio.Event()

    def frames_came(self, cable: Cable) -> None:
        """Nothing is awaited but the seat."""

    def seat_given(self) -> None:
        """That is it."""
        self.seated.set()

    def writable_again(self) -> None:
        """Nothing waits to be written."""

    def round_trip(self, seconds: float) -> None:
        """How long isn't asked here."""


async def examine(relay: RelayAddress, timing: Timing = PATIENCE, proxy: Proxy | None = None) -> AsyncIterator[Finding]:
    """Go the way to a relay (to be run on a `Loop`); the first finding that is bad about the way is the last of it."""
    yield _clock(time.time())
    try:
        way = way_to(relay, proxy)
    except NoWayError as error:
        yield Finding("bad", *_BROKEN[str(error)])
        return
    name = await _name(relay, timing, way)
    yield name
    if name.grade == "bad":
        return
    guest = _Guest()
    try:
        cable = await dial(relay, lambda: Cable(relay.pins, guest), timing, proxy)
    except RelayError as error:
        yield Finding("bad", *_BROKEN.get(str(error), ("port", str(error))))
        return
    secured = "TLS 1.3, and the key that the line names" if relay.pins else "plain text, which stays on this computer"
    yield Finding("ok", "port", f"it answers{' through the proxy' if way else ''} with {secured}.")
    watch = asyncio.create_task(cable.watch(timing))
    try:
        yield await _seat(cable, guest, relay, timing)
        if guest.seated.is_set() and not cable.ended:
            yield await _round_trip(cable, timing)
    finally:
        cable.drop(End())
        await watch
        await cable.gone.wait()


def first_trouble(relay: RelayAddress, proxy: Proxy | None = None) -> str:
    """Go the way to a relay, and return in one sentence what is wrong with it, or nothing.  Takes seconds."""

    async def go() -> str:
        async for finding in examine(relay, proxy=proxy):
            if finding.grade == "bad" and finding.about != "clock":
                return f"The relay can't be used. Its {finding.about}: {finding.sentence}"
        return ""

    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(go())


def _clock(now_s: float) -> Finding:
    day, made_s = time.strftime("%Y-%m-%d", time.gmtime(now_s)), Path(__file__).stat().st_mtime
    if now_s < made_s - DAY_S:
        return Finding(
            "bad", "clock", f"it says {day}, before this program was written: set it; messages show its time."
        )
    return Finding(
        "ok", "clock", f"it says {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now_s))} UTC; look at another."
    )


async def _name(relay: RelayAddress, timing: Timing, way: Proxy | None) -> Finding:
    try:
        ipaddress.ip_address(relay.host)
        return Finding("ok", "name", "the line has an address, so no name needs to be found.")
    except ValueError:
        pass
    if way is not None:
        return Finding("ok", "name", "the proxy looks it up, and this computer doesn't.")
    try:
        async with asyncio.timeout(timing.dial_s):
            found = await asyncio.get_running_loop().getaddrinfo(relay.host, relay.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return Finding(
            "bad",
            "name",
            "it can't be found: check the network connection; if other names work, this one is misspelt or gone.",
        )
    many = len({item[4][0] for item in found})
    return Finding("ok", "name", f"it leads to {many} {'address' if many == 1 else 'addresses'}.")


async def _seat(cable: Cable, guest: _Guest, relay: RelayAddress, timing: Timing) -> Finding:
    block = join_block(secrets.token_bytes(ROOM_ID_SIZE), relay.relay_pass or NO_PASS)
    cable.write(Frame(Kind.JOIN, block=block).to_bytes())
    seated = asyncio.create_task(guest.seated.wait())
    first: list[asyncio.Future[Any]] = [seated, cable.lost]
    await asyncio.wait(first, timeout=timing.welcome_s, return_when=asyncio.FIRST_COMPLETED)
    seated.cancel()
    if guest.seated.is_set():
        return Finding("ok", "seat", "the relay would let you in.")
    if not cable.lost.done():
        return Finding("bad", "seat", "the relay doesn't answer: let its owner run `doctor` there.")
    end = cable.lost.result()
    if not end.refusal:
        return Finding("bad", "seat", "the relay hung up without a word: let its owner look at the log.")
    known = Refusal(end.refusal) if end.refusal in set(Refusal) else None
    sentence = _REFUSED[known] if known else "it refused for a reason that this Parley doesn't know: update it."
    return Finding("bad", "seat", sentence)


async def _round_trip(cable: Cable, timing: Timing) -> Finding:
    times_ms: list[float] = []
    try:
        async with asyncio.timeout(timing.welcome_s):
            for _ in range(PINGS):
                begin_s = time.perf_counter()
                await cable.settled()
                times_ms.append((time.perf_counter() - begin_s) * 1000)
    except TimeoutError:
        pass
    if len(times_ms) < PINGS or cable.ended:
        return Finding("bad", "round trip", "the relay stopped answering: the connection breaks; try another network.")
    middle_ms = sorted(times_ms)[PINGS // 2]
    if middle_ms > SLOW_MS:
        return Finding("warn", "round trip", f"{middle_ms:.0f} ms, which is slow: try another network.")
    return Finding("ok", "round trip", f"{middle_ms:.1f} ms.")


def _pasted() -> str:
    """Read what a person pastes, up to the line with which it is whole, or an empty one: mail programs break lines."""
    text = ""
    while len(text) < MAX_PASTE_CHARS and (line := sys.stdin.readline(MAX_PASTE_CHARS)).strip():
        text += line
        with contextlib.suppress(InviteError):
            relay_in(text)
            break
    return text


async def _print(relay: RelayAddress, proxy: Proxy | None) -> int:
    status = 0
    async for finding in examine(relay, proxy=proxy):
        print(finding, flush=True)
        status |= finding.grade == "bad"
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Read a line, print one line for each finding; return 0 if none is bad, 1 if one is, 2 if nothing can be read."""
    parser = argparse.ArgumentParser(prog="parley-doctor", usage=USAGE, add_help=False, allow_abbrev=False)
    parser.add_argument("--proxy")
    parser.add_argument("--profile", type=Path)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["-h"], ["--help"]):
        print(USAGE, file=sys.stderr)
        return 0
    options, unknown = parser.parse_known_args(words)
    if unknown:
        print(USAGE, file=sys.stderr)
        return 2
    if sys.stdin.isatty():
        print("Paste the relay's line or an invite, and press Enter:", file=sys.stderr)
        text = _pasted()
    else:
        text = sys.stdin.buffer.read(4 * MAX_PASTE_CHARS).decode("utf-8", "replace")
    try:
        relay = relay_in(text)
    except InviteError as error:
        print(Finding("bad", "line", str(error)))
        return 1
    pins = {0: "no pin", 1: "a pin", 2: "two pins"}[len(relay.pins)]
    print(Finding("ok", "line", f"it is whole, with {pins} and {'a' if relay.relay_pass else 'no'} pass."))
    try:
        proxy = proxyfile.wanted(options.proxy, options.profile or usual_directory())
    except ParleyError as error:
        print(Finding("bad", "proxy", str(error)))
        return 1
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(_print(relay, proxy))
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(main())
