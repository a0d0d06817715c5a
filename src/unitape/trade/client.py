"""Sends a market's private requests: signed at the last moment, within the budgets, and never twice when they write."""

from __future__ import annotations

import copy
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast

import anyio
from msgspec import structs

from unitape.clock import Clock
from unitape.errors import (
    ConfigError,
    ExchangeUnavailable,
    OutcomeUnknown,
    RateLimited,
    TimestampOutOfWindow,
    TransportError,
    UnitapeError,
    Unsupported,
    VenueError,
    WireError,
)
from unitape.feed.budget import HostBudget
from unitape.feed.client import RestClient
from unitape.guards.guards import CANCELS, MarketGuard
from unitape.spi import (
    Amendment,
    Credentials,
    Endpoint,
    HttpRequest,
    HttpResponse,
    Instruments,
    NewOrder,
    Query,
    SocketTrading,
    Tradable,
    Trading,
    TradingSettings,
)
from unitape.trade.fates import Fates
from unitape.trade.ids import ClientIds
from unitape.trade.requests import TradingOptions
from unitape.trade.secrets import Hidden, added_by_signing
from unitape.trade.socket import OrderSocket, order_socket
from unitape.trade.timing import TimeAnswer, VenueClock

__all__ = ["TradingClient"]

T = TypeVar("T")

WRITES_AT_ONCE: Final = 8
FIRST_PAUSE: Final = 0.25
"""Seconds before a question is asked again; doubled each time."""
LONGEST_PAUSE: Final = 10.0
"""Seconds; a venue that wants us to stay away for longer gets its error raised instead."""
SERVER_ERROR: Final = 500
MOST_PAGES: Final = 200
"""Pages of one list; a venue that gives more has lost its way."""


class TradingClient:
    """One account on one market: ``trading`` makes its requests, ``ids`` its client ids, ``fates`` tracks its orders.

    What is raised holds neither key nor secret, passphrase or signature, and no link to an error that does.
    """

    def __init__(
        self,
        rest: RestClient,
        tradable: Tradable,
        instruments: Instruments,
        credentials: Credentials | None,
        *,
        settings: TradingSettings,
        options: TradingOptions,
        clock: Clock,
        rng: random.Random,
        spawn: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        """Prepare for a market. ``spawn`` starts a task that measures the venue's clock beside everything else."""
        market = rest.market
        self.market = market
        self.settings = settings
        self.trading: Trading = tradable.trading(instruments, settings)
        self.ids = ClientIds(self.trading.spec.client_ids, rng, clock, options.client_id_prefix)
        self._tradable = tradable
        self.instruments = instruments
        self.options = options
        self._rest = rest
        self._credentials = credentials
        self._clock = clock
        self.spawn = spawn
        self._account: HostBudget | None = None
        if credentials is not None:
            self._account = rest.budgets.account(rest.endpoint.rest, credentials.key)
            self._account.add(budget for budget in market.limits.budgets if budget.scope == "account")
        self._time = market.rest(instruments).time()
        self.venue_clock = VenueClock(market.venue, self._ask_time, clock, options.clock_bound, options.clock_refresh)
        self._at_once = anyio.CapacityLimiter(WRITES_AT_ONCE)
        self._socket: OrderSocket | None = None
        if options.order_transport == "websocket":
            self._socket = order_socket(rest, settings, credentials, self.venue_clock, clock, rng, spawn)
        self.fates = Fates(self)
        self._cancels_only = False
        self.guard: MarketGuard | None = None
        """Refuses what must not leave, and is told of every answer."""

    def configure(self, settings: TradingSettings) -> None:
        """Work by other settings from now on."""
        self.settings = settings
        self.trading = self._tradable.trading(self.instruments, settings)
        if self._socket is not None and isinstance(self.market, SocketTrading):
            self._socket.configure(self.market.api_socket(settings))

    def elsewhere(self, url: str) -> TradingClient:
        """Return this account at another host of its venue. It asks and cancels there, and sends nothing else."""
        return copy.copy(self)._moved(url)  # noqa: SLF001 - the copy is not shared yet

    def _moved(self, url: str) -> TradingClient:
        rest, options = self._rest, self.options
        endpoint = structs.replace(rest.endpoint, rest=url.rstrip("/"))
        self._rest = RestClient(self.market, endpoint, rest.transport, rest.budgets, self._clock, options.timeout)
        self.venue_clock = VenueClock(
            self.market.venue, self._ask_time, self._clock, options.clock_bound, options.clock_refresh
        )
        self._cancels_only = True
        # What it answers tells nothing about the endpoints that the kill switch watches.
        self._socket, self.guard = None, None
        return self

    def __repr__(self) -> str:
        return f"TradingClient({self.market.venue} {self.market.name})"

    def check(self, orders: Sequence[NewOrder]) -> None:
        """Refuse orders that must not leave, all if one must not.

        Raises:
            TradingHalted: the kill switch is on.
            RiskRejected: one breaks a limit.
        """
        if self.guard is not None:
            self.guard.check(orders)

    def check_amendment(self, change: Amendment) -> None:
        """Refuse a change that must not leave.

        Raises:
            TradingHalted, RiskRejected: as for orders.
        """
        if self.guard is not None:
            self.guard.check_amendment(change)

    @property
    def endpoint(self) -> Endpoint:
        """Where the market is reached."""
        return self._rest.endpoint

    @property
    def credentials(self) -> Credentials | None:
        """Whose account it is; they never show themselves."""
        return self._credentials

    def mono(self) -> int:
        """Return the monotonic clock in nanoseconds."""
        return self._clock.mono()

    def wall(self) -> int:
        """Return the local wall clock in nanoseconds."""
        return self._clock.wall()

    def venue_now(self) -> int:
        """Return the venue's time as well as it is known, nanoseconds; the local one while it was never measured."""
        clock = self.venue_clock
        return self._clock.wall() if clock.estimate is None else clock.now()

    async def time(self) -> int:
        """Return the venue's time in nanoseconds.

        Raises:
            TransportError: it cannot be had, or not well enough.
        """
        await self._know_time()
        return self.venue_clock.now()

    async def read(self, query: Query[T]) -> T:
        """Ask something, again if the network or the venue fails to answer; a list in pages to its last page.

        Raises:
            VenueError, WireError, TransportError: the last attempt failed so.
            ConfigError: it writes, or there are no credentials.
            Unsupported: the venue goes on giving pages.
        """
        whole: Any = await self._read_page(query)
        following = query.more(whole) if query.more is not None else None
        pages = 1
        while following is not None:
            if pages >= MOST_PAGES:
                raise Unsupported(f"{query.name}: more than {MOST_PAGES} pages")
            page: Any = await self._read_page(following)
            whole, pages = whole + page, pages + 1
            following = following.more(page) if following.more is not None else None
        return cast(T, whole)

    async def _read_page(self, query: Query[T]) -> T:
        if query.request.write:
            raise ConfigError(f"{query.name} changes something and is not asked as a question")
        pause = FIRST_PAUSE
        for attempt in range(1, self.options.read_attempts + 1):
            try:
                return await self._execute(query, urgent=False)
            except (TransportError, ExchangeUnavailable, RateLimited) as error:
                wanted = (error.retry_after if isinstance(error, RateLimited) else None) or pause
                if attempt == self.options.read_attempts or wanted > LONGEST_PAUSE:
                    raise
            await anyio.sleep(wanted)
            pause *= 2
        raise ConfigError("read_attempts must be 1 or more")

    async def write(self, query: Query[T], *, client_id: str | None, urgent: bool = False) -> T:
        """Change something, once. ``urgent`` is for cancels: they pass orders that wait for the rate.

        Raises:
            OutcomeUnknown: it may or may not have happened; ``client_id`` is in it.
            VenueError: the venue refused; it did not happen.
            RateLimited: the budget is used up and the settings say to refuse.
            TradingHalted: the kill switch is on, and this is no cancel.
            TransportError: it was certainly not sent.
            ConfigError: there are no credentials.
        """
        if self.options.dry_run:
            raise ConfigError(f"{query.name} is not sent in a dry run")
        if self._cancels_only and query.name not in CANCELS:
            raise ConfigError(f"{query.name} is not sent to another host than the venue's own")
        return await self._execute(query, urgent=urgent, client_id=client_id)

    async def _execute(self, query: Query[T], *, urgent: bool, client_id: str | None = None) -> T:
        """Send once; once more only after the venue said that it did not even look because of the time."""
        try:
            return await self._once(query, urgent, client_id)
        except TimestampOutOfWindow:
            self.venue_clock.forget()
        return await self._once(query, urgent, client_id)

    async def _once(self, query: Query[T], urgent: bool, client_id: str | None) -> T:
        if query.request.auth == "signed" and self._credentials is not None:
            await self._know_time()
        if urgent or not query.request.write:
            await self._turn(query.request, urgent)
            response, hidden = await self._send(query, client_id, urgent)
        else:
            # What waits here or for the clock is not counted yet: it would leave in a window that forgot it.
            async with self._at_once:
                await self._turn(query.request, urgent)
                response, hidden = await self._send(query, client_id, urgent)
        self._rest.budget.observe(response)
        if self._account is not None:
            self._account.observe(response)
        answer = self._read(query, response, hidden, client_id)
        if self.guard is not None and not isinstance(answer, _Failed):
            self.guard.heard(query, response, answer)
        del response  # a venue may echo what it was sent, and tracebacks may show locals
        if isinstance(answer, _Failed):
            if isinstance(answer.error, RateLimited) and answer.error.retry_after:
                self._rest.budget.pause(answer.error.retry_after)
            raise answer.error
        return answer

    async def _turn(self, request: HttpRequest, urgent: bool) -> None:
        budgets = [self._rest.budget] if self._account is None else [self._rest.budget, self._account]
        pause = self.guard.wait() if self.guard is not None and request.write and not urgent else 0.0
        if request.write and not urgent and self.options.when_limited == "refuse":
            wait = max(pause, *(budget.wait(request) for budget in budgets))
            if wait > 0:
                raise RateLimited(
                    f"the rate budget for {request.path} is used up for another {wait:.3f} s; nothing was sent",
                    venue=self.market.venue,
                    retry_after=wait,
                )
        if pause:
            await anyio.sleep(pause)
        for budget in budgets:
            await budget.take(request, urgent=urgent)

    async def _send(self, query: Query[T], client_id: str | None, urgent: bool) -> tuple[HttpResponse, Hidden]:
        """Sign and send. Errors of the network are made anew: theirs may carry the signed request."""
        if self._socket is not None and self._socket.carries(query.request):
            answered = await self._over_socket(self._socket, query, client_id, urgent)
            if answered is not None:
                return answered
        request = structs.replace(query.request, headers=self._rest.endpoint.headers + query.request.headers)
        credentials = self._credentials
        hidden = Hidden()
        if request.auth != "none":
            if credentials is None:
                raise ConfigError(
                    f"{query.name} needs an API key: set UNITAPE_{self.market.venue.upper()}_KEY and …_SECRET, or give "
                    "the adapter credentials"
                )
            if request.auth == "signed":
                await self.venue_clock.ready()
            signed = structs.replace(self._sign(request, credentials), auth=request.auth)
            hidden = Hidden((*credentials.hidden(), *added_by_signing(request, signed)))
            request = signed
        if self.guard is not None:
            # Everything that waited above may have outlived a halt.
            self.guard.permit(query, urgent=urgent)
        sent = True
        try:
            response = await self._rest.transport.request(self._rest.endpoint.rest, request, self.options.timeout)
        except TransportError as error:
            sent, failure = error.sent, hidden.scrub(str(error))
        except Exception as error:  # noqa: BLE001 - whatever breaks under a write leaves it open whether it happened
            failure = hidden.scrub(f"{type(error).__name__}: {error}")
        else:
            return response, hidden
        raise self._lost(query, client_id, failure, sent)

    async def _over_socket(
        self, socket: OrderSocket, query: Query[T], client_id: str | None, urgent: bool
    ) -> tuple[HttpResponse, Hidden] | None:
        """Send over the market's socket; None while it is not connected: nothing was sent, and HTTP serves."""
        if not await socket.ready():
            return None
        await self.venue_clock.ready()
        if self.guard is not None:
            self.guard.permit(query, urgent=urgent)
        try:
            return await socket.request(query.request, self.options.timeout)
        except TransportError as error:
            if not error.sent:
                return None
            failure = str(error)
        raise self._lost(query, client_id, failure, sent=True)

    def _lost(self, query: Query[T], client_id: str | None, failure: str, sent: bool) -> UnitapeError:
        """Return what it means that no answer came."""
        if query.request.write and sent:
            text = f"no answer to {query.name}: {failure}"
            return OutcomeUnknown(text, venue=self.market.venue, client_id=client_id)
        return TransportError(failure, sent=sent)

    def _sign(self, request: HttpRequest, credentials: Credentials) -> HttpRequest:
        """Sign with the venue's time. A fault in signing must not show what it signs with."""
        stamp = self.venue_clock.now() if request.auth == "signed" else self._clock.wall()
        hidden = Hidden(credentials.hidden())
        try:
            return self.trading.sign(request, credentials, stamp)
        except UnitapeError as error:
            fault = hidden.scrub(str(error))
        except Exception as error:  # noqa: BLE001 - a malformed private key, for example
            fault = hidden.scrub(f"{type(error).__name__}: {error}")
        raise ConfigError(f"the request cannot be signed: {fault}")

    async def _know_time(self) -> None:
        clock = self.venue_clock
        if clock.due and clock.estimate is not None:
            self.spawn(clock.refresh)
        await clock.ready()

    def _read(self, query: Query[T], response: HttpResponse, hidden: Hidden, client_id: str | None) -> T | _Failed:
        """Read an answer. Where it leaves open whether a write happened, say so and nothing else."""
        fault: Exception
        try:
            return query.read(response, self._clock.wall())
        except UnitapeError as error:
            fault = error
        except Exception as error:  # noqa: BLE001 - a reader that trips over a body must not hide that it was sent
            reason = f"{type(error).__name__}: {error} in the answer to {query.name}"
            fault = WireError(reason, response.body, venue=self.market.venue)
        hidden.scrub_error(fault)
        if self.guard is not None:
            self.guard.failed(query, response, fault, client_id)
        if query.request.write and _leaves_open(fault, response):
            words = fault.text if isinstance(fault, OutcomeUnknown) else str(fault)
            text = f"{query.name}, HTTP {response.status}: {words.removeprefix(f'{self.market.venue}: ')}"
            return _Failed(OutcomeUnknown(text, venue=self.market.venue, client_id=client_id))
        # Its traceback holds the frames of the reader, and its cause whatever the reader tripped over.
        fault.__cause__ = fault.__context__ = None
        return _Failed(fault.with_traceback(None))

    async def _ask_time(self) -> TimeAnswer:
        """Ask for the venue's clock; the wait for a turn in the budget is not part of the round trip."""
        query = self._time
        request = structs.replace(query.request, headers=self._rest.endpoint.headers + query.request.headers)
        await self._rest.budget.take(request)
        asked = self._clock.mono()
        response = await self._rest.transport.request(self._rest.endpoint.rest, request, self.options.timeout)
        answered = self._clock.mono()
        self._rest.budget.observe(response)
        return TimeAnswer(asked, query.read(response, self._clock.wall()), answered)


class _Failed:
    """What reading an answer came to, when it came to an error."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def _leaves_open(fault: Exception, response: HttpResponse) -> bool:
    """Tell whether a write may have happened. A server's error says nothing, unless it names a fault of the order."""
    if isinstance(fault, OutcomeUnknown) or not isinstance(fault, VenueError):
        return True
    if response.status < SERVER_ERROR:
        return False
    named = fault.code is not None and type(fault) is not VenueError
    return not named or isinstance(fault, ExchangeUnavailable)
