"""Simulated venues on loopback sockets, asked by clients that know nothing of us."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl

import aiohttp
import pytest
import trustme
import websockets

from tests.sim.rig import HandClock
from unitape.errors import ConfigError
from unitape.sim import Fault, FaultSchedule, SimServer, SimSettings
from unitape_binance import VENUE

pytestmark = pytest.mark.asyncio


def settings(*faults, **options):
    return SimSettings(rate=300.0, symbols=2, faults={"binance/spot": FaultSchedule(faults)}, **options)


def root(url):
    return "/".join(url.split("/")[:3])


async def drain(socket):
    """Read until the connection ends."""
    async with asyncio.timeout(5):
        while True:
            await socket.recv()


async def test_http_and_websocket_share_a_port_per_market():
    async with SimServer([VENUE], settings()) as sim, aiohttp.ClientSession() as session:
        spot, usdm = sim.endpoint("binance", "spot"), sim.endpoint("binance", "usdm")
        assert spot.rest.startswith("http://127.0.0.1:")
        assert root(spot.ws["public"]) == spot.rest.replace("http", "ws")
        assert spot.rest != usdm.rest
        async with session.get(spot.rest + "/api/v3/depth?symbol=BTCUSDT&limit=5") as answer:
            assert answer.status == 200
            assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "5"
            assert len((await answer.json())["bids"]) == 5
        async with session.get(usdm.rest + "/fapi/v1/depth?symbol=NOPE") as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, -1121)
        async with session.get(usdm.rest + "/nothing") as answer:
            assert answer.status == 404
        async with session.patch(usdm.rest + "/fapi/v1/time") as answer:
            assert answer.status == 405


async def test_the_websockets_library_streams_trades():
    async with SimServer([VENUE], settings()) as sim:
        url = sim.endpoint("binance", "spot").ws["public"] + "?streams=btcusdt@trade"
        async with websockets.connect(url) as socket:
            await socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 1}))
            seen = []
            async with asyncio.timeout(5):
                while {m.get("stream") for m in seen} < {"btcusdt@trade", "ethusdt@trade"}:
                    seen.append(json.loads(await socket.recv()))
        assert {"result": None, "id": 1} in seen
        prices = [float(m["data"]["p"]) for m in seen if m.get("stream") == "btcusdt@trade"]
        assert all(90_000 < price < 103_000 for price in prices)
        async with asyncio.timeout(5):
            while sim.host("binance", "spot").connections:  # noqa: ASYNC110 - the server's end has no event to wait for
                await asyncio.sleep(0.005)


async def test_protocol_pings_are_answered_by_the_client_and_kept_track_of():
    clock = HandClock()
    async with SimServer([VENUE], settings(), clock=clock) as sim:
        url = root(sim.endpoint("binance", "spot").ws["public"]) + "/ws"
        host = sim.host("binance", "spot")
        async with websockets.connect(url) as answering, aiohttp.ClientSession() as session:
            async with session.ws_connect(url, autoping=False) as mute:
                for second in range(1, 100):
                    clock.now = second * 1_000_000_000
                    await asyncio.sleep(0.012)
                ping = await mute.receive()
                assert (ping.type, len(ping.data)) == (aiohttp.WSMsgType.PING, 13)
                pending = [ping]
                while pending[-1].type is aiohttp.WSMsgType.PING:
                    pending.append(await mute.receive())
                assert (pending[-1].data, pending[-1].extra) == (1008, "Pong timeout")
            assert len(host.connections) == 1
            await answering.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            assert json.loads(await answering.recv()) == {"result": [], "id": 1}


async def test_too_many_messages_close_with_1008():
    async with SimServer([VENUE], settings()) as sim:
        url = root(sim.endpoint("binance", "spot").ws["public"]) + "/ws"
        async with websockets.connect(url) as socket:
            for n in range(6):
                await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": n}))
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await drain(socket)
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "Too many requests")


async def test_a_refused_handshake_is_an_http_answer():
    async with SimServer([VENUE], settings()) as sim:
        url = root(sim.endpoint("binance", "usdm").ws["public"])
        with pytest.raises(websockets.InvalidStatus, match="404"):
            await websockets.connect(url + "/nothing")


async def test_faults_reach_the_socket():
    faults = (Fault("close", at=0.05, match="trade"), Fault("lost_reply", at=0.0, match="time", count=2))
    async with SimServer([VENUE], settings(*faults)) as sim, aiohttp.ClientSession() as session:
        spot = sim.endpoint("binance", "spot")
        with pytest.raises(aiohttp.ClientError):  # it repeats a lost GET once by itself
            await session.get(spot.rest + "/api/v3/time")
        async with websockets.connect(spot.ws["public"] + "?streams=btcusdt@trade") as socket:
            with pytest.raises(websockets.ConnectionClosedError) as caught:
                await drain(socket)
        assert caught.value.rcvd is None
        assert [hit.kind for hit in sim.host("binance", "spot").faults.log] == ["lost_reply", "lost_reply", "close"]


async def test_tls():
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with SimServer([VENUE], settings(), tls=server) as sim, aiohttp.ClientSession() as session:
        spot = sim.endpoint("binance", "spot")
        assert spot.rest.startswith("https://")
        async with session.get(spot.rest + "/api/v3/time", ssl=client) as answer:
            assert answer.status == 200
        async with websockets.connect(spot.ws["public"] + "?streams=btcusdt@trade", ssl=client) as socket:
            assert json.loads(await socket.recv())["stream"] == "btcusdt@trade"


async def test_a_client_that_does_not_read_is_cut(monkeypatch):
    monkeypatch.setattr("unitape.sim.server._BACKLOG", 50)
    async with SimServer([VENUE], SimSettings(rate=20_000.0, symbols=2)) as sim:
        host, port = root(sim.endpoint("binance", "spot").ws["public"]).removeprefix("ws://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1)
        names = "btcusdt@trade/btcusdt@depth20@100ms/ethusdt@trade"
        writer.write(
            f"GET /stream?streams={names} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        async with asyncio.timeout(30):
            while not sim.host("binance", "spot").connections:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            while sim.host("binance", "spot").connections:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert (await reader.read(16)).startswith(b"HTTP/1.1 101")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_leaving_closes_every_socket_at_once():
    async with SimServer([VENUE], seed=5, symbols=1, speed=20.0) as sim:
        url = sim.endpoint("binance", "spot").ws["public"] + "?streams=btcusdt@trade"
        socket = await websockets.connect(url)
        await socket.recv()
    with pytest.raises(websockets.ConnectionClosed):
        await drain(socket)
    with pytest.raises(OSError):
        await websockets.connect(url)


async def test_what_the_block_raises_leaves_as_it_was():
    with pytest.raises(LookupError, match="ours"):
        async with SimServer([VENUE], settings()):
            raise LookupError("ours")


async def test_only_chosen_markets_run_and_ports_can_be_given(unused_tcp_port):
    ports = {"binance/spot": unused_tcp_port}
    async with SimServer([VENUE], settings(markets=("binance/spot",)), ports=ports) as sim:
        assert list(sim.endpoints) == ["binance/spot"]
        assert sim.endpoint("binance", "spot").rest == f"http://127.0.0.1:{unused_tcp_port}"
        with pytest.raises(ConfigError, match="is not simulated"):
            sim.endpoint("binance", "usdm")
