"""The simulated venues on the event loop that the command line prefers, whose transports are of no asyncio class."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import anyio
import pytest
import websockets

from unitape.sim import Fault, SimServer, SimSettings
from unitape_binance import VENUE

pytest.importorskip("uvloop")


async def drain(socket: websockets.ClientConnection) -> None:
    while True:
        await socket.recv()


async def follow_and_break() -> None:
    settings = SimSettings(rate=300.0, symbols=1, markets=("binance/spot",))
    async with SimServer([VENUE], settings) as sim, aiohttp.ClientSession() as session:
        endpoint, faults = sim.endpoint("binance", "spot"), sim.host("binance", "spot").faults
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        async with websockets.connect(endpoint.ws["public"] + "?streams=btcusdt@trade") as socket:
            async with asyncio.timeout(5):
                numbers = [json.loads(await socket.recv())["data"]["t"] for _ in range(10)]
            assert numbers == list(range(numbers[0], numbers[0] + 10))
            faults.add(Fault("close", at=0.0))
            async with asyncio.timeout(5):
                with pytest.raises(websockets.ConnectionClosedError) as cut:
                    await drain(socket)
            assert cut.value.rcvd is None, "cut without a close frame"
        faults.add(Fault("lost_reply", at=0.0, count=2))
        with pytest.raises(aiohttp.ClientConnectionError):  # it repeats a lost GET once by itself
            await session.get(endpoint.rest + "/api/v3/time")
        async with session.get(endpoint.rest + "/api/v3/time") as answer:
            assert answer.status == 200


def test_streams_cuts_and_lost_replies_on_uvloop() -> None:
    anyio.run(follow_and_break, backend_options={"use_uvloop": True})
