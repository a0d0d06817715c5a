"""The adapters of a recorded test: one that records what a live or simulated venue does, one that plays it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import anyio
from msgspec import Struct, structs

from unitape.adapter import FeedInfo, FeedTap, Rejection, SubscribeResult, VenueAdapter
from unitape.books import OrderBook
from unitape.clock import Clock
from unitape.errors import ConfigError, NotRecorded
from unitape.feed.core import StreamStats
from unitape.feed.inputs import Command, Fetch, Input
from unitape.feed.line import Verdict
from unitape.feed.plan import check
from unitape.sim import DEMO_USER, SimServer, SimSettings
from unitape.spi import Credentials, HttpRequest, Instruments, Market, Venue
from unitape.tape.adapter import TapeAdapter
from unitape.tape.format import FeedHeader
from unitape.tape.player import Step
from unitape.tape.record import Recorder
from unitape.tape.tape import Tape
from unitape.testing.account import AccountKeeper, AccountPlayer, KeepingReceiver, market_at
from unitape.testing.http import HttpKeeper, HttpPlayer, KeepingTransport, PlayingTransport
from unitape.trade.client import TradingClient
from unitape.trade.ids import ClientIds
from unitape.trade.private_line import PrivateLine
from unitape.trade.streams import is_account_channel
from unitape.transport import Receiver, Transport
from unitape_schemas import Event, Subscription

__all__ = ["PlayedAdapter", "Playing", "Recording", "RecordingAdapter", "VenueOrigin"]

PLACEHOLDER: Final = "no-key-is-needed-to-replay"


class VenueOrigin(Struct, frozen=True):
    """Where the recording of one adapter came from."""

    venue: str
    environment: str
    """``sim``, or the venue's environment that was recorded."""
    places: dict[str, str]
    """What stands for each market's HTTP host in the cassette, by market name."""
    feeds: list[int] = []
    """The numbers of its feeds on the tape."""


class _Frozen:
    """A clock that stands, so that what is made from it is the same in every run."""

    def __init__(self, now: int) -> None:
        self._now = now

    def wall(self) -> int:
        """Nanoseconds since the epoch."""
        return self._now

    def mono(self) -> int:
        """Nanoseconds."""
        return 0


class _SteadyAdapter(VenueAdapter):
    """Makes the same client ids in the replay as in the recording, where nobody chose any."""

    def __init__(self, ids_from: tuple[int, int], declaration: Venue, **settings: Any) -> None:
        """``ids_from``: when the recording began and its seed, so that no two recordings share their ids."""
        self._ids_from = ids_from
        self._steady: dict[str, TradingClient] = {}
        super().__init__(declaration, **settings)

    async def trading_client(self, market: Market) -> TradingClient:
        """Return the private side of a market, its instruments loaded."""
        client = await super().trading_client(market)
        if self._steady.get(market.name) is not client:
            self._steady[market.name] = client
            start, seed = self._ids_from
            rng = random.Random(f"{seed}/{market.venue}/{market.name}")
            rule = client.trading.spec.client_ids
            client.ids = ClientIds(rule, rng, _Frozen(start), client.options.client_id_prefix)
        return client


class Recording(Struct, frozen=True):
    """What a recording adapter writes to, and where it records from."""

    recorder: Recorder
    keeper: HttpKeeper
    accounts: AccountKeeper
    clock: Clock
    began: Callable[[], None]
    ids_from: tuple[int, int]
    sim: SimSettings | None
    """None: a real venue, or wherever the settings say."""
    shared: Callable[[Venue, SimSettings], Awaitable[SimServer | None]]
    """Returns the simulator that all adapters of a venue share; None where each needs one of its own."""


class RecordingAdapter(_SteadyAdapter):
    """A live adapter whose frames go to the tape and whose HTTP goes to the cassette."""

    def __init__(self, to: Recording, declaration: Venue, settings: Mapping[str, Any]) -> None:
        given = dict(settings)
        self._to = to
        self._own_fetches: Counter[HttpRequest] = Counter()
        self._feeds: list[int] = []
        self._server: SimServer | None = None
        self._simulated = to.sim is not None and "endpoints" not in given
        if self._simulated:
            if declaration.simulator is None:
                raise ConfigError(f"{declaration.name} has no simulator to record from; record it with source='live'")
            labels = (to.sim or SimSettings()).markets
            given["endpoints"] = {
                market.name: market.endpoints["live"].at(f"http://{place}", f"ws://{place}")
                for market in declaration.markets
                for place in [f"{declaration.name}-{market.name}.sim"]
                if not labels or f"{declaration.name}/{market.name}" in labels
            }
            demo = Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase)
            given.setdefault("credentials", demo)
        super().__init__(to.ids_from, declaration, clock=to.clock, record=self._tap, **given)
        self._places = {market.name: self._endpoint(market).rest for market in self.declaration.markets}

    @property
    def origin(self) -> VenueOrigin:
        """Where this comes from, for the note beside the recording."""
        environment = "sim" if self._simulated else self._environment
        return VenueOrigin(self.venue, environment, dict(self._places), list(self._feeds))

    async def __aenter__(self) -> Self:
        self._to.began()
        if self._simulated and self._to.sim is not None:
            server = await self._to.shared(self.declaration, self._to.sim)
            if server is None:
                server = self._server = SimServer([self.declaration], self._to.sim)
                await server.__aenter__()
            self._endpoints = {name: server.endpoint(self.venue, name) for name in self._places}
        try:
            await super().__aenter__()
        except BaseException:
            await self._leave_server(None, None, None)
            raise
        if self._transport is not None:
            self._transport = self._keeping(self._transport)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await super().__aexit__(kind, value, traceback)
        finally:
            await self._leave_server(kind, value, traceback)

    async def _leave_server(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.__aexit__(kind, value, traceback)

    def _keeping(self, inner: Transport) -> KeepingTransport:
        bases: dict[str, str] = {}
        markets: dict[str, list[Market]] = {}
        for market in self.declaration.markets:
            base = self._endpoint(market).rest
            bases[base] = self._places[market.name]
            markets.setdefault(base, []).append(market)
        return KeepingTransport(
            inner, self._to.keeper, bases=bases, markets=markets, of_a_feed=self._of_a_feed, account=self._account
        )

    def _account(self, url: str, receiver: Receiver) -> KeepingReceiver | None:
        if not isinstance(receiver, PrivateLine):
            return None
        endpoints = {market.name: self._endpoint(market) for market in self.declaration.markets}
        return self._to.accounts.receiver(f"{self.venue}/{market_at(url, endpoints)}", receiver)

    def _tap(self, info: FeedInfo) -> FeedTap:
        environment = "sim" if self._simulated else info.environment
        self._feeds.append(self._to.recorder.feeds)
        return _Tap(self._to.recorder.begin(structs.replace(info, environment=environment)), self)

    def fetches(self, command: Fetch) -> None:
        """A feed is about to ask this; its tape holds the answer."""
        self._own_fetches[self._plain(command.request)] += 1

    def _of_a_feed(self, request: HttpRequest) -> bool:
        key = self._plain(request)
        if not self._own_fetches[key]:
            return False
        self._own_fetches[key] -= 1
        return True

    @staticmethod
    def _plain(request: HttpRequest) -> HttpRequest:
        """Leave out what the way to the transport adds."""
        return HttpRequest(request.method, request.path, request.query, request.body)


class _Tap:
    """Records a feed, and tells which requests are its own."""

    def __init__(self, inner: FeedTap, adapter: RecordingAdapter) -> None:
        self.tap: Callable[[Input], None] = inner.tap
        self._on_command = inner.on_command
        self._adapter = adapter

    def on_command(self, command: Command) -> None:
        """Record what the feed asks for."""
        if isinstance(command, Fetch):
            self._adapter.fetches(command)
        self._on_command(command)


class Playing(Struct, frozen=True):
    """What a playing adapter plays."""

    tape: Tape | None
    """None: no frame was recorded."""
    player: HttpPlayer
    accounts: AccountPlayer
    clock: Clock
    began: Callable[[], None]
    ids_from: tuple[int, int]
    missing: Callable[[str], NotRecorded]
    """Makes the error for what was not recorded, and remembers it: whoever swallows it does not pass."""
    market: Callable[[FeedHeader], Market]


class PlayedAdapter(_SteadyAdapter):
    """An adapter whose frames come from the tape and whose answers come from the cassette.

    Everything else of it is the live adapter's: queries and orders are made, signed and read by the same code.
    """

    def __init__(self, play: Playing, declaration: Venue, origin: VenueOrigin, settings: Mapping[str, Any]) -> None:
        self._play = play
        endpoints = {
            name: declaration.market(name).endpoints["live"].at(base, base.replace("http", "ws", 1))
            for name, base in origin.places.items()
        }
        markets: dict[str, list[Market]] = {}
        for name, base in origin.places.items():
            markets.setdefault(base, []).append(declaration.market(name))
        kept = {name: settings[name] for name in ("account", "trading", "offline", "instruments") if name in settings}
        super().__init__(
            play.ids_from,
            declaration,
            endpoints=endpoints,
            transport=PlayingTransport(
                play.player,
                play.accounts,
                clock=play.clock,
                endpoints=endpoints,
                markets=markets,
                missing=play.missing,
            ),
            clock=play.clock,
            credentials=Credentials(PLACEHOLDER, PLACEHOLDER, PLACEHOLDER),
            **kept,
        )
        self._feed_of: _PlayedFeed | None = None
        if play.tape is not None and origin.feeds:
            self._feed_of = _PlayedFeed(play.tape, origin, clock=play.clock, market=play.market)
            self._feed_of.attach(_Bridge(self._deliver))

    @property
    def hold_limit(self) -> float:
        """Seconds for which reading may pause: no venue waits."""
        return super().hold_limit if self._feed_of is None else self._feed_of.hold_limit

    async def __aenter__(self) -> Self:
        self._play.began()
        await super().__aenter__()
        if self._feed_of is not None:
            await self._feed_of.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            if self._feed_of is not None:
                await self._feed_of.__aexit__(None, None, None)
        finally:
            await super().__aexit__(kind, value, traceback)
        return None

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        """Deliver these as they were recorded, and return what the venue said to each.

        Raises:
            NotRecorded: one of them was not subscribed to while recording.
            ConfigError: a symbol or channel does not exist here.
        """
        accounts = [one for one in subscriptions if is_account_channel(one)]
        public = [one for one in subscriptions if not is_account_channel(one)]
        for subscription in public:
            market = self._market_of(subscription)
            check(market, None, subscription)
            instruments = (await self._ready(market)).instruments or Instruments()
            check(market, instruments, subscription)
        recorded = frozenset[Subscription]() if self._feed_of is None else self._feed_of.subscriptions
        unknown = [subscription.key for subscription in public if subscription not in recorded]
        if unknown:
            held = ", ".join(sorted(subscription.key for subscription in recorded)) or "none"
            raise self._play.missing(
                f"{self.venue}: the subscription to {', '.join(unknown)} was not recorded\n  recorded: {held}"
            )
        results: list[SubscribeResult] = []

        async def ask_feed(feed: _PlayedFeed) -> None:
            results.append(await feed.subscribe(public))

        async def ask_accounts() -> None:
            results.append(await super(PlayedAdapter, self).subscribe(accounts))

        async with anyio.create_task_group() as tasks:
            if public and self._feed_of is not None:
                tasks.start_soon(ask_feed, self._feed_of)
            if accounts:
                tasks.start_soon(ask_accounts)
        confirmed = tuple(one for result in results for one in result.confirmed)
        return SubscribeResult(self.venue, confirmed, tuple(one for result in results for one in result.rejected))

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver these no longer."""
        await super().unsubscribe(subscriptions)
        if self._feed_of is not None:
            await self._feed_of.unsubscribe(subscriptions)

    def state(self) -> list[Event]:
        """Return the latest status of each subscription and a snapshot of each book."""
        return [*([] if self._feed_of is None else self._feed_of.state()), *self.account_events()]

    def stats(self) -> list[StreamStats]:
        """Return how each subscription is doing."""
        cores = {} if self._feed_of is None else self._feed_of.replay.cores
        return [stats for core in cores.values() for stats in core.stats()]

    def unmapped(self) -> dict[str, int]:
        """Return how many messages came that the contract has no event for."""
        if self._feed_of is None:
            return {}
        replay = self._feed_of.replay
        return {
            f"{replay.markets[feed].name} {name}": count
            for feed, core in replay.cores.items()
            for name, count in core.unmapped.items()
        }

    def book(self, symbol: str) -> OrderBook | None:
        """Return the book of a symbol as far as the recording has come, or None."""
        return None if self._feed_of is None else self._feed_of.book(symbol)

    def hold(self, held: bool) -> None:
        """Stop the tape, or let it go on."""
        if self._feed_of is not None:
            self._feed_of.hold(held)


class _Bridge:
    """A sink that hands on."""

    def __init__(self, deliver: Callable[[Sequence[Event]], None]) -> None:
        self._deliver = deliver

    def deliver(self, events: Sequence[Event]) -> None:
        """Hand these on."""
        self._deliver(events)


class _PlayedFeed(TapeAdapter):
    """A tape whose ``subscribe`` answers when, and what, the venue answered."""

    def __init__(
        self, tape: Tape, origin: VenueOrigin, *, clock: Clock, market: Callable[[FeedHeader], Market]
    ) -> None:
        super().__init__(tape, venue=origin.venue, clock=clock, market=market, feeds=origin.feeds)
        self._verdicts: dict[Subscription, Verdict] = {}
        self._news = anyio.Event()

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> SubscribeResult:
        """Begin to play, and wait for the venue's recorded answers."""
        self._verdicts = {s: v for s, v in self._verdicts.items() if v.text is None or s not in subscriptions}
        await super().subscribe(subscriptions)
        while not self.finished.is_set() and any(s not in self._verdicts for s in subscriptions):
            await self._news.wait()
        confirmed: list[Subscription] = []
        rejected: list[Rejection] = []
        for subscription in subscriptions:
            verdict = self._verdicts.get(subscription)
            if verdict is None:
                rejected.append(Rejection(subscription, "the recording ends before the venue answered"))
            elif verdict.text is None:
                confirmed.append(subscription)
            else:
                rejected.append(Rejection(subscription, verdict.text, verdict.code))
        return SubscribeResult(self.venue, tuple(confirmed), tuple(rejected))

    def _take(self, step: Step) -> None:
        self._ts = step.input.ts
        verdicts = self.replay.cores[step.feed].verdicts()
        events = [event for event in step.events if event in self._wanted]
        if events:
            self._deliver(events)
        if verdicts:
            self._verdicts.update({verdict.subscription: verdict for verdict in verdicts})
            self._tell()

    def _end(self) -> None:
        super()._end()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
