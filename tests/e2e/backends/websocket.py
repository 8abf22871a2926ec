#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""WebSocket backend on python3-websockets: websocket.py PORT. Sends each message back; the text
"close" makes it end the connection, "N bytes" is answered with a message of N bytes."""
import asyncio
import contextlib
import os
import sys

import websockets

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.data import pattern  # noqa: E402


async def serve(socket):
    async for message in socket:
        if message == "close":
            await socket.close(4000, "asked to")
        elif isinstance(message, str) and message.endswith(" bytes"):
            await socket.send(pattern(int(message.split()[0]), 1))
        else:
            await socket.send(message)


async def serve_one(socket):
    with contextlib.suppress(websockets.ConnectionClosed):
        await serve(socket)


async def main():
    async with websockets.serve(serve_one, "127.0.0.1", int(sys.argv[1]), max_size=None,
                                subprotocols=["echo"]):
        await asyncio.Future()

asyncio.run(main())
