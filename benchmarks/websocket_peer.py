"""A server of WebSockets with the `websockets` package: what it gets for an address it hands to whoever has that one.

For benchmarks/peers.py.  The path of the first request is the room; the first 8 bytes of a message are the address of
its reader, and are replaced by the sender's.
"""

from __future__ import annotations

import asyncio
import logging

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def main() -> None:
    """Serve until ended."""
    logging.disable()
    rooms: dict[str, dict[bytes, ServerConnection]] = {}
    count = 0

    async def talk(member: ServerConnection) -> None:
        nonlocal count
        assert member.request is not None
        room = rooms.setdefault(member.request.path, {})
        count += 1
        address = count.to_bytes(8)
        room[address] = member
        try:
            await member.send(address)
            async for data in member:
                if isinstance(data, bytes) and (reader := room.get(data[:8])) is not None:
                    await reader.send(address + data[8:])
        except ConnectionClosed:
            pass
        finally:
            del room[address]

    async with serve(talk, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
