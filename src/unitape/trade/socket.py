"""Sends private requests over a WebSocket that is kept open, and finds the answers to them, in whatever order.

What a connection took with it when it broke may have been executed: it is lost as a lost HTTP answer is. While there
is no connection nothing is sent here, and the caller takes HTTP instead.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

import anyio

from unitape.clock import Clock
from unitape.errors import TransportError, UnitapeError, Unsupported, WireError
from unitape.feed.client import RestClient
from unitape.spi import (
    ApiSocket,
    Credentials,
    Endpoint,
    HttpRequest,
    HttpResponse,
    SocketFrame,
    SocketTrading,
    TradingSettings,
)
from unitape.trade.secrets import Hidden
from unitape.trade.timing import VenueClock
from unitape.transport.base import Connection, Ended, WsOptions, WsTransport

__all__ = ["OrderSocket", "order_socket"]

CONNECT_WITHIN: Final = 5.0
"""Seconds that a request waits for the first connection before it goes over HTTP."""
LOGON_WITHIN: Final = 10.0
"""Seconds in which a logon must be answered."""
FIRST_PAUSE: Final = 0.5
"""Seconds before connecting again, doubled each time, jittered."""
LONGEST_PAUSE: Final = 30.0
LEAVE_BEFORE: Final = 0.97
"""Part of a connection's lifetime after which the next one is made."""
OK: Final = 200
NANOS: Final = 1_000_000_000

Spawn = Callable[[Callable[[], Awaitable[None]]], None]


class _Answer:
    """Waits for one answer."""

    __slots__ = ("event", "failure", "response")

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.response: HttpResponse | None = None
        self.failure = "no answer"


class _Owner(Protocol):
    def mono(self) -> int: ...

    def opened(self, link: _Link) -> None: ...

    def heard(self, link: _Link, data: bytes) -> None: ...


class _Link:
    """One connection, as its transport's receiver."""

    def __init__(self, owner: _Owner) -> None:
        self._owner = owner
        self.connection: Connection | None = None
        self.pending: dict[str, _Answer] = {}
        self.logon: str | None = None
        self.logged_on = False
        self.usable = False
        self.retired = False
        self.opened_at: int | None = None
        self.heard_at = 0

    def opened(self, connection: Connection) -> None:
        self.connection = connection
        self.opened_at = self.heard_at = self._owner.mono()
        self._owner.opened(self)

    def frame(self, data: bytes, text: bool, /) -> None:
        self.heard_at = self._owner.mono()
        self._owner.heard(self, data)

    def ping(self) -> None:
        self.heard_at = self._owner.mono()

    def flush(self) -> None:
        pass

    def fail(self, why: str) -> None:
        """Tell everybody who waits that no answer will come."""
        self.usable, self.connection = False, None
        for answer in self.pending.values():
            answer.failure = why
            answer.event.set()
        self.pending.clear()

    def leave(self) -> None:
        """Close; what still waits is lost."""
        self.usable = False
        if self.connection is not None:
            self.connection.close()


class OrderSocket:
    """One account's socket for requests on one market, connected from its first request on.

    ``spawn`` starts a task beside everything else; all of them end with whoever owns it.
    """

    def __init__(
        self,
        api: ApiSocket,
        transport: WsTransport,
        endpoint: Endpoint,
        credentials: Credentials,
        venue_clock: VenueClock,
        clock: Clock,
        rng: random.Random,
        spawn: Spawn,
    ) -> None:
        self._api = api
        self._transport = transport
        self._url = endpoint.ws[api.spec.route]
        self._headers = endpoint.headers
        self._credentials = credentials
        self._venue_clock = venue_clock
        self._clock = clock
        self._rng = rng
        self._spawn = spawn
        self._hidden = Hidden(credentials.hidden())
        self._link: _Link | None = None
        self._changed = anyio.Event()
        self._running = False
        self._failing = False
        self._numbers = 0
        self.unreadable = 0
        """Messages that could not be understood."""

    def configure(self, api: ApiSocket) -> None:
        """Write requests by other settings from now on."""
        self._api = api

    def __repr__(self) -> str:
        return f"OrderSocket(connected={self.connected})"

    @property
    def connected(self) -> bool:
        """True when requests leave at once."""
        return self._link is not None and self._link.usable

    def carries(self, request: HttpRequest) -> bool:
        """Tell whether the market takes this request over its socket."""
        return request.auth == "signed" and self._api.carries(request)

    async def ready(self) -> bool:
        """Wait for a connection; False when there is none, and a request had better take HTTP."""
        if not self._running:
            self._running = True
            self._spawn(self._keep)
        with anyio.move_on_after(CONNECT_WITHIN):
            while not self.connected and not self._failing:
                await self._changed.wait()
        return self.connected

    async def request(self, request: HttpRequest, timeout: float) -> tuple[HttpResponse, Hidden]:
        """Send a request and return its answer, and what of the request must not be shown.

        A connection that has brought nothing at all since the request left is given up.

        Raises:
            TransportError: no answer came; ``sent`` tells whether the request had left.
            ConfigError: it cannot be signed.
        """
        link = self._link
        if link is None or not link.usable or link.connection is None:
            raise TransportError("there is no connection", sent=False)
        number = self._number()
        credentials = None if link.logged_on else self._credentials
        frame = self._api.frame(request, number, credentials, self._venue_clock.now())
        hidden = Hidden((*self._credentials.hidden(), *frame.hidden))
        answer = link.pending[number] = _Answer()
        left = self._clock.mono()
        try:
            link.connection.send(frame.data, True)
            with anyio.move_on_after(timeout):
                await answer.event.wait()
        except UnitapeError as error:
            raise TransportError(hidden.scrub(str(error)), sent=True) from None
        finally:
            link.pending.pop(number, None)
        if answer.response is not None:
            return answer.response, hidden
        if answer.event.is_set():
            raise TransportError(answer.failure, sent=True)
        if link.heard_at <= left:
            link.leave()
        raise TransportError(f"no answer in {timeout:g} s", sent=True)

    # What links tell -------------------------------------------------------------------------------------------------

    def mono(self) -> int:
        """Return the monotonic clock."""
        return self._clock.mono()

    def opened(self, link: _Link) -> None:
        """Log a new connection on or, where the key cannot, use it as it is."""
        frame = self._logon(link)
        if frame is None or link.connection is None:
            self._use(link)
            return
        link.connection.send(frame.data, True)

    def heard(self, link: _Link, data: bytes) -> None:
        """Hand an answer to whoever waits for it."""
        try:
            told = self._api.read(data)
        except WireError:
            self.unreadable += 1
            return
        if told is None:
            return
        if told.number is None:
            # Refused as a whole, for example because the key was revoked: what was asked meanwhile is open.
            if told.response.status != OK:
                link.leave()
            return
        if told.number == link.logon:
            # Refused or not, every request can still be signed by itself, and says what is wrong.
            link.logged_on = told.response.status == OK
            self._use(link)
            return
        answer = link.pending.pop(told.number, None)
        if answer is not None:
            answer.response = told.response
            answer.event.set()

    def _logon(self, link: _Link) -> SocketFrame | None:
        if self._venue_clock.estimate is None:
            return None
        link.logon = self._number()
        try:
            frame = self._api.logon(link.logon, self._credentials, self._venue_clock.now())
        except UnitapeError:
            # Every request will be signed by itself, and tells what is wrong with the key.
            frame = None
        if frame is None:
            link.logon = None
        return frame

    def _use(self, link: _Link) -> None:
        former, self._link = self._link, link
        link.usable = True
        self._failing = False
        self._tell()
        if former is not None and former is not link:
            self._retire(former)

    def _retire(self, link: _Link) -> None:
        """Leave a connection once its last answer has come."""
        link.retired = True
        link.usable = False
        if not link.pending:
            link.leave()

    # Keeping a connection --------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Hold one connection at a time, and make the next one when it ends or grows old."""
        pause = FIRST_PAUSE
        while True:
            link = _Link(self)
            over = anyio.Event()
            self._spawn(partial(self._run, link, over))
            await self._watch(link, over)
            if link.opened_at is not None:
                pause = FIRST_PAUSE
            if link.retired or link.usable:
                continue
            if self._link is link:
                self._link = None
            self._failing = True
            self._tell()
            await anyio.sleep(pause * (0.5 + self._rng.random() / 2))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _run(self, link: _Link, over: anyio.Event) -> None:
        why = "the connection ended"
        try:
            await self._know_time()
            ended: Ended = await self._transport.run(self._url, link, WsOptions(headers=self._headers))
            why = f"the connection ended: {ended.text}"
        except Exception as error:  # noqa: BLE001 - whatever breaks a connection leads to the next one
            why = str(error) if isinstance(error, UnitapeError) else f"{type(error).__name__}: {error}"
        finally:
            link.fail(self._hidden.scrub(why))
            over.set()

    async def _know_time(self) -> None:
        try:
            await self._venue_clock.ready()
        except UnitapeError:
            return

    async def _watch(self, link: _Link, over: anyio.Event) -> None:
        """Return when a connection is over, or so old that the next one must be made."""
        heartbeat, lifetime = self._api.spec.heartbeat, self._api.spec.lifetime
        while not over.is_set():
            with anyio.move_on_after(1.0):
                await over.wait()
            now = self._clock.mono()
            if link.opened_at is None:
                continue
            unanswered = not link.usable and now - link.opened_at > LOGON_WITHIN * NANOS
            if unanswered or now - link.heard_at > heartbeat.silence * NANOS:
                link.leave()
            elif lifetime is not None and now - link.opened_at > lifetime * LEAVE_BEFORE * NANOS:
                self._spawn(partial(self._drain, link, over))
                return

    async def _drain(self, link: _Link, over: anyio.Event) -> None:
        """Close an old connection when its successor serves and nothing waits on it any more."""
        while not over.is_set():
            with anyio.move_on_after(0.2):
                await over.wait()
            if link.retired and not link.pending:
                link.leave()

    def _number(self) -> str:
        self._numbers += 1
        return f"r{self._numbers}"

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def order_socket(
    rest: RestClient,
    settings: TradingSettings,
    credentials: Credentials | None,
    venue_clock: VenueClock,
    clock: Clock,
    rng: random.Random,
    spawn: Spawn,
) -> OrderSocket | None:
    """Return a market's socket for requests; None without credentials.

    Raises:
        Unsupported: the market, or this environment of it, takes requests over HTTP only.
    """
    market = rest.market
    if not isinstance(market, SocketTrading):
        raise Unsupported(f"{market.venue} {market.name} takes orders over HTTP only: order_transport must be 'rest'")
    api = market.api_socket(settings)
    if api.spec.route not in rest.endpoint.ws:
        raise Unsupported(f"{rest.endpoint.rest} has no socket for orders: order_transport must be 'rest'")
    if credentials is None:
        return None
    return OrderSocket(api, rest.transport, rest.endpoint, credentials, venue_clock, clock, rng, spawn)
