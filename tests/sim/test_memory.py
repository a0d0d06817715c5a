"""Simulated venues in memory: virtual time on trio, real time on asyncio, the same cases."""

from __future__ import annotations

import json

import anyio
import pytest
from trio.testing import MockClock

from unitape.errors import ConfigError, TransportError
from unitape.sim import Fault, FaultSchedule, SimNetwork, SimSettings
from unitape.spi import HttpRequest
from unitape.transport.base import WsOptions
from unitape_binance import VENUE

BACKENDS = [
    pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual"),
    pytest.param(("asyncio", {}), id="real"),
]
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", BACKENDS)]


class Client:
    def __init__(self):
        self.frames = []
        self.flushes = 0
        self.pings = 0
        self.connection = None
        self.ready = anyio.Event()

    def opened(self, connection):
        self.connection = connection
        self.ready.set()

    def frame(self, data, text):
        assert text
        self.frames.append(json.loads(data))

    def ping(self):
        self.pings += 1

    def flush(self):
        self.flushes += 1

    def streams(self):
        return {frame["stream"] for frame in self.frames if "stream" in frame}


def settings(*faults, **options):
    return SimSettings(rate=200.0, symbols=2, faults={"*": FaultSchedule(faults)}, **options)


def spot(network, names):
    return network.endpoint("binance", "spot").ws["public"] + f"?streams={names}"


async def test_a_client_gets_streams_and_answers():
    async with SimNetwork([VENUE], settings()) as network, anyio.create_task_group() as tasks:
        client = Client()
        tasks.start_soon(network.transport.run, spot(network, "btcusdt@trade"), client, WsOptions())
        with anyio.fail_after(5):
            await client.ready.wait()
            client.connection.send(b'{"method":"SUBSCRIBE","params":["ethusdt@bookTicker"],"id":1}', True)
            while client.streams() < {"btcusdt@trade", "ethusdt@bookTicker"}:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            base = network.endpoint("binance", "spot").rest
            answer = await network.transport.request(base, HttpRequest("GET", "/api/v3/time"), 1.0)
        assert {"result": None, "id": 1} in client.frames
        assert abs(json.loads(answer.body)["serverTime"] * 1_000_000 - network.clock.wall()) < 100_000_000
        assert client.flushes <= len(client.frames)
        client.connection.close()
        await anyio.sleep(0.05)
        assert network.host("binance", "spot").connections == ()
        tasks.cancel_scope.cancel()


async def test_a_cut_and_a_slow_answer_reach_the_client():
    faults = (
        Fault("close", at=0.1),
        Fault("slow_snapshot", at=0.0, seconds=3.0),
        Fault("lost_reply", at=0.0, match="time"),
    )
    async with SimNetwork([VENUE], settings(*faults)) as network:
        base = network.endpoint("binance", "usdm").rest
        with pytest.raises(TransportError, match="no answer"):
            await network.transport.request(base, HttpRequest("GET", "/fapi/v1/depth", "symbol=BTCUSDT"), 0.2)
        with pytest.raises(TransportError, match="broke before the answer"):
            await network.transport.request(base, HttpRequest("GET", "/fapi/v1/time"), 0.2)
        with anyio.fail_after(5):
            ended = await network.transport.run(spot(network, "btcusdt@trade"), Client(), WsOptions())
        assert ended.code is None
        assert [hit.kind for hit in network.host("binance", "spot").faults.log] == ["close"]


async def test_refused_handshakes_and_unknown_hosts():
    async with SimNetwork([VENUE], settings(markets=("binance/spot",))) as network:
        with pytest.raises(TransportError, match="the server answers 404"):
            await network.transport.run("ws://binance-spot.sim/nothing", Client(), WsOptions())
        with pytest.raises(TransportError, match="no such host"):
            await network.transport.run("ws://elsewhere.sim/ws", Client(), WsOptions())
        with pytest.raises(ConfigError, match="is not simulated"):
            network.endpoint("binance", "usdm")
        assert list(network.hosts) == ["binance/spot"]


async def test_what_the_block_raises_leaves_as_it_was():
    with pytest.raises(LookupError, match="ours"):
        async with SimNetwork([VENUE], settings()):
            raise LookupError("ours")
    with pytest.raises(ExceptionGroup) as caught:
        async with SimNetwork([VENUE], settings()), anyio.create_task_group():
            raise LookupError("ours")
    assert [type(error) for error in caught.value.exceptions] == [LookupError]


async def test_leaving_ends_everything():
    with anyio.move_on_after(0.2):
        async with SimNetwork([VENUE], settings()) as network:
            await network.transport.run(spot(network, "btcusdt@trade"), Client(), WsOptions())
    assert network.host("binance", "spot").connections == ()
