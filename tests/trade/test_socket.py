"""One socket for requests: which answer belongs to whom, what a break leaves open, and how it is kept."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.trade.bourse import CREDENTIALS, SECRET, Bourse
from unitape.adapter import VenueAdapter
from unitape.clock import LoopClock
from unitape.errors import TransportError, Unsupported, WireError
from unitape.spi import (
    Credentials,
    Endpoint,
    Heartbeat,
    HttpRequest,
    HttpResponse,
    SocketAnswer,
    SocketFrame,
    SocketSpec,
)
from unitape.trade.requests import TradingOptions
from unitape.trade.socket import OrderSocket
from unitape.trade.timing import TimeAnswer, VenueClock
from unitape.transport.memory import MemoryPeer, MemoryTransport

pytestmark = pytest.mark.anyio
PING = HttpRequest("POST", "/order", "n=1", auth="signed", write=True)
SIGNATURE = "signature-of-this-frame"


class Api:
    """A socket whose frames are JSON objects."""

    def __init__(self, *, logs_on: bool = False, silence: float = 60.0, lifetime: float | None = None) -> None:
        self.spec = SocketSpec("api", Heartbeat("protocol", 20.0, silence, 60.0), lifetime)
        self._logs_on = logs_on

    def carries(self, request: HttpRequest) -> bool:
        return request.path == "/order"

    def logon(self, number: str, credentials: Credentials, ts: int) -> SocketFrame | None:
        return SocketFrame(json.dumps({"n": number, "logon": credentials.key}).encode()) if self._logs_on else None

    def frame(self, request: HttpRequest, number: str, credentials: Credentials | None, ts: int) -> SocketFrame:
        signed = {} if credentials is None else {"sig": SIGNATURE}
        data = json.dumps({"n": number, "q": request.query} | signed).encode()
        return SocketFrame(data, tuple(signed.values()))

    def read(self, data: bytes) -> SocketAnswer | None:
        try:
            body = json.loads(data)
        except ValueError as error:
            raise WireError(str(error), data) from error
        if "s" not in body:
            return None
        return SocketAnswer(body.get("n"), HttpResponse(body["s"], body.get("b", "").encode()))


class Far:
    """The venue's end. ``held`` are requests that nobody answers but the test."""

    def __init__(self) -> None:
        self.peers: list[MemoryPeer] = []
        self.left: list[MemoryPeer] = []
        self.heard: list[tuple[MemoryPeer, dict[str, Any]]] = []
        self.answers = True
        self.refusals = 0

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        if self.refusals:
            self.refusals -= 1
            raise TransportError("refused")
        self.peers.append(peer)

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        body = json.loads(data)
        self.heard.append((peer, body))
        if self.answers:
            self.answer(len(self.heard) - 1)

    def answer(self, place: int, status: int = 200) -> None:
        peer, body = self.heard[place]
        peer.send(json.dumps({"n": body["n"], "s": status, "b": body.get("q", "")}).encode())

    def closed(self, peer: MemoryPeer) -> None:
        self.left.append(peer)

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        raise TransportError("no HTTP here")

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [body for _, body in self.heard if "q" in body]


@asynccontextmanager
async def opened(far: Far, api: Api, clock: LoopClock) -> AsyncIterator[OrderSocket]:
    async def tell() -> TimeAnswer:
        return TimeAnswer(clock.mono(), clock.wall(), clock.mono())

    async with anyio.create_task_group() as tasks:

        def spawn(task: Any) -> None:
            async def run() -> None:
                await task()

            tasks.start_soon(run)

        socket = OrderSocket(
            api,
            MemoryTransport(far),
            Endpoint("http://far", {"api": "ws://far/api"}),
            CREDENTIALS,
            VenueClock("far", tell, clock, 0.5, 240.0),
            clock,
            random.Random(1),
            spawn,
        )
        yield socket
        tasks.cancel_scope.cancel()


def asked(number: int) -> HttpRequest:
    return structs.replace(PING, query=f"n={number}")


async def test_answers_find_their_requests_in_whatever_order_they_come(clock: LoopClock) -> None:
    far = Far()
    far.answers = False
    bodies: dict[int, bytes] = {}
    async with opened(far, Api(), clock) as socket:
        assert await socket.ready()

        async def ask(number: int) -> None:
            response, _ = await socket.request(asked(number), 5.0)
            bodies[number] = response.body

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(ask, number)
            await anyio.sleep(0.1)
            for place in (3, 5, 0, 4, 2, 1):
                far.answer(place)
    assert bodies == {number: f"n={number}".encode() for number in range(6)}
    assert len(far.peers) == 1


async def test_a_break_behind_a_request_leaves_it_open_and_the_next_connection_serves(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(), clock) as socket:
        assert await socket.ready()
        far.answers = False

        async def cut() -> None:
            await anyio.sleep(0.1)
            far.peers[0].cut()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cut)
            with pytest.raises(TransportError, match="broke") as lost:
                await socket.request(asked(1), 5.0)
        assert lost.value.sent
        far.answers = True
        # Whoever comes now does not wait for the next connection: HTTP serves meanwhile.
        assert not await socket.ready()
        await anyio.sleep(2)
        assert await socket.ready()
        response, _ = await socket.request(asked(2), 5.0)
        assert response.body == b"n=2"
    assert [body["q"] for body in far.requests] == ["n=1", "n=2"]


async def test_before_it_is_connected_nothing_is_sent(clock: LoopClock) -> None:
    far = Far()
    far.refusals = 2
    async with opened(far, Api(), clock) as socket:
        assert not await socket.ready()
        with pytest.raises(TransportError) as refused:
            await socket.request(asked(1), 5.0)
        assert not refused.value.sent
        await anyio.sleep(5)
        assert await socket.ready()
    assert far.requests == []


async def test_a_silent_connection_is_given_up_after_a_request_without_answer(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(), clock) as socket:
        assert await socket.ready()
        far.answers = False
        with pytest.raises(TransportError, match="no answer in 5 s") as lost:
            await socket.request(asked(1), 5.0)
        assert lost.value.sent
        far.answers = True
        await anyio.sleep(2)
        await socket.ready()
        assert len(far.peers) == 2
        await socket.request(asked(2), 5.0)
    assert far.left == [far.peers[0], far.peers[1]]


async def test_one_slow_answer_does_not_cost_the_connection(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(), clock) as socket:
        assert await socket.ready()
        far.answers = False

        async def others() -> None:
            await anyio.sleep(1)
            far.answers = True
            await socket.request(asked(2), 5.0)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(others)
            with pytest.raises(TransportError, match="no answer"):
                await socket.request(asked(1), 5.0)
        # What comes too late is nobody's.
        far.answer(0)
        await anyio.sleep(0.1)
        assert (await socket.request(asked(3), 5.0))[0].body == b"n=3"
    assert len(far.peers) == 1


async def test_a_connection_without_any_sign_of_life_is_made_anew(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(silence=60.0), clock) as socket:
        assert await socket.ready()
        for _ in range(10):
            await anyio.sleep(20)
            far.peers[0].ping()
        assert len(far.peers) == 1
        await anyio.sleep(70)
        assert len(far.peers) == 2
        assert await socket.ready()


async def test_before_its_lifetime_ends_the_next_connection_takes_over_and_no_answer_is_lost(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(silence=1000.0, lifetime=100.0), clock) as socket:
        assert await socket.ready()
        await anyio.sleep(96)
        far.answers = False
        bodies = []

        async def slow() -> None:
            bodies.append((await socket.request(asked(1), 30.0))[0].body)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow)
            await anyio.sleep(5)
            assert len(far.peers) == 2
            assert far.left == []
            far.answers = True
            await socket.request(asked(2), 5.0)
            assert far.heard[1][0] is far.peers[1]
            far.answer(0)
        await anyio.sleep(1)
        assert bodies == [b"n=1"]
        assert far.left == [far.peers[0]]


async def test_a_logon_comes_first_and_saves_the_signatures(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(logs_on=True), clock) as socket:
        assert await socket.ready()
        assert [body.get("logon") for _, body in far.heard] == [CREDENTIALS.key]
        await socket.request(asked(1), 5.0)
        assert "sig" not in far.requests[0]


async def test_a_refused_logon_leaves_requests_to_sign_themselves(clock: LoopClock) -> None:
    far = Far()
    far.answers = False
    async with opened(far, Api(logs_on=True), clock) as socket:

        async def refuse() -> None:
            await anyio.sleep(0.1)
            far.answer(0, 401)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refuse)
            assert await socket.ready()
        far.answers = True
        _, hidden = await socket.request(asked(1), 5.0)
        assert far.requests[0]["sig"] == SIGNATURE
        assert hidden.scrub(f"{SIGNATURE} {SECRET}") == "*** ***"


async def test_a_refusal_of_the_whole_session_ends_it(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(), clock) as socket:
        assert await socket.ready()
        far.answers = False

        async def revoke() -> None:
            await anyio.sleep(0.1)
            far.peers[0].send(b'{"n":null,"s":401}')

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(revoke)
            with pytest.raises(TransportError) as lost:
                await socket.request(asked(1), 5.0)
        assert lost.value.sent
        await anyio.sleep(2)
        assert len(far.peers) == 2


async def test_what_it_cannot_read_is_counted_and_disturbs_nobody(clock: LoopClock) -> None:
    far = Far()
    async with opened(far, Api(), clock) as socket:
        assert await socket.ready()
        far.peers[0].send(b"nonsense")
        far.peers[0].send(b'{"event":1}')
        assert (await socket.request(asked(1), 5.0))[0].status == 200
        assert socket.unreadable == 1
        assert not socket.carries(structs.replace(PING, path="/book"))
        assert not socket.carries(structs.replace(PING, auth="none"))


async def test_markets_without_such_a_socket_say_so(bourse: Bourse, trader: Any) -> None:
    adapter: VenueAdapter
    async with trader(trading=TradingOptions(order_transport="websocket")) as adapter:
        with pytest.raises(Unsupported, match="HTTP only"):
            await adapter.place("BTC/EUR", "buy", size="1", price="100.5")
    assert [one for one in bourse.seen if one.path.endswith("/order")] == []
