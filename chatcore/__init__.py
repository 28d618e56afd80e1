"""What a Parley client knows, without a window.

The core (errors, wire, seal, invite, link, members, delivery, room) is pure: bytes, the time and keys are handed in,
bytes and events come out.  The shells around it (client, profile) own the sockets, the threads, the clock and the
files. This file imports nothing, so a relay host needs no cryptographic library.
"""
