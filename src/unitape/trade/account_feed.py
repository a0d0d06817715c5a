"""Keeps the private stream of one account on one market, and what is known of the account true.

On every connect: subscribe first, then ask how things stand, merge, and only then call it live. What was missed in
between is asked for and told as ``reconciled``, with a ``Status(recovered)``. A connection that must be left is
replaced before it is closed; both feed the same state, which knows what it has heard already.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Hashable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup

from unitape.errors import AuthenticationFailed, PermissionDenied, UnitapeError, WireError
from unitape.spi import AccountStream, PrivateOutput, Recheck, Unmapped
from unitape.trade.channels import ACCOUNT_CHANNELS, channel_of, covers, name_of
from unitape.trade.private_line import PrivateLine
from unitape.trade.reconcile import Reconciler
from unitape.transport import Transport
from unitape.transport.base import WsOptions
from unitape_schemas import (
    AccountEvent,
    Balance,
    Channel,
    Event,
    Fill,
    Order,
    Position,
    Status,
    StatusCode,
    Subscription,
)

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["ACCOUNT_CHANNELS", "AccountFeed"]

_log = logging.getLogger("unitape.trade")

NANOS: Final = 1_000_000_000
MOVED: Final[tuple[Channel, ...]] = ("balances", "positions")
"""What moves with orders and fills."""
SETTLE: Final = 1.0
"""Seconds that questions are collected before they are asked: a burst of pushes costs one question."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds before a failed question or connection is tried again."""
DOUBTS: Final = 2
"""Connections in a row that end before they are confirmed, from which on the key itself is doubted."""
LOOK: Final = 1.0
"""Seconds between two looks at a connection that is being replaced."""
STABLE: Final = 60.0
"""Seconds after which a connection that ends counts as the first failure."""
MOST_HASTE: Final = 3
"""How often that is doubled at most for an account on which something happens all the time."""
NAMES: Final = 1_000
"""Names of messages without meaning that are counted one by one; the rest is counted together as ``OTHERS``."""
OTHERS: Final = "others"
COMPARED: Final = "compared with the venue's queries"
EVERYTHING: Final[set[Channel]] = set(ACCOUNT_CHANNELS)


class AccountFeed:
    """The private stream of one account on one market. ``run`` it in a task; ``started`` waits for a verdict."""

    def __init__(
        self,
        client: TradingClient,
        stream: AccountStream,
        *,
        transport: Transport,
        options: WsOptions,
        rng: random.Random,
        deliver: Callable[[Sequence[Event]], None],
    ) -> None:
        self._client = client
        self._stream = stream
        self._transport = transport
        self._options = options
        self._rng = rng
        self._deliver = deliver
        self._state = client.fates.state
        self._reconciler = Reconciler(client, self._tell)
        self._wanted: dict[Channel, set[str]] = {}
        self._subscriptions: dict[Subscription, Status] = {}
        self._fresh: dict[Subscription, set[Hashable]] = {}
        """What has not been told how things stand, with what it was told meanwhile."""
        self._line: PrivateLine | None = None
        self._tasks: TaskGroup | None = None
        self._questions: set[Channel] = set()
        self._whole = False
        self._asked = anyio.Event()
        self._heard: int | None = None
        """Monotonic time from which on something may have been missed; None: nothing was told before."""
        self._again: tuple[int, int] | None = None
        """When to compare once more (monotonic), and from when on (the same): the venue's lists may be behind."""
        self._next_full = 0
        self._compared = client.mono()
        """Monotonic time of the latest comparison."""
        self._haste = 0
        """Questions in a row that were open again as soon as they were answered."""
        self._first = True
        self._verdict = anyio.Event()
        """Set while the stream is live or refused for good."""
        self.refusal: str | None = None
        """Why the venue will not stream this account; None while it may."""
        self.unmapped: dict[str, int] = {}
        """How many messages came that the contract has no event for, by the venue's name of them."""
        client.fates.listener = self._tell

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What can be subscribed to: what is not pushed is asked for when something else moves."""
        return ACCOUNT_CHANNELS if self._client.trading.spec.position_modes else ACCOUNT_CHANNELS[:3]

    @property
    def live(self) -> bool:
        """True while the stream stands and has been compared with the venue's queries."""
        return self._state.live

    def want(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver these from now on, and first how things stand, as soon as that is known."""
        for subscription in subscriptions:
            if subscription not in self._subscriptions:
                self._subscriptions[subscription] = self._status("unsubscribed", subscription, "not live yet")
                self._fresh[subscription] = set()
        self._sort()
        if self._state.live:
            self._greet()

    def drop(self, subscriptions: Sequence[Subscription]) -> None:
        """Deliver these no more. The state is kept up all the same."""
        for subscription in subscriptions:
            self._fresh.pop(subscription, None)
            if self._subscriptions.pop(subscription, None) is not None:
                self._say("unsubscribed", subscription, "as asked")
        self._sort()

    async def started(self, seconds: float) -> str | None:
        """Wait until the stream is live, and return None; else why it is not."""
        with anyio.move_on_after(seconds):
            while self.refusal is None and not self._state.live:
                await self._verdict.wait()
        if self.refusal is not None:
            return self.refusal
        return None if self._state.live else f"the account stream is not live within {seconds:g} s; it is tried further"

    def current(self) -> list[Event]:
        """Return what a late consumer needs first: statuses, open orders, balances, positions."""
        return [*self._subscriptions.values(), *(event for event in self._known() if self._is_wanted(event))]

    async def run(self) -> None:
        """Keep the stream until cancelled, or until the venue refuses the key for good."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._ask)
            try:
                await self._keep(tasks)
            finally:
                self._state.live = False
                self._tasks = None
            tasks.cancel_scope.cancel()

    async def _keep(self, tasks: TaskGroup) -> None:
        failures = 0
        while True:
            line = PrivateLine(self._client, self._stream, self._transport, self._options, self._hear, self._undecoded)
            tasks.start_soon(line.run)
            await self._until(line, lambda one: one.ready or one.ending is not None)
            if line.ending is None:
                self._take_over(line)
                await self._until(line, lambda one: one.leave or one.ending is not None)
                if line.ending is None:
                    # It is left for another that stands first.
                    failures = 0
                    continue
                failures = 0 if line.age >= STABLE else failures
            ending = line.ending
            if line is self._line or self._line is None or self._line.ending is not None:
                self._lost(ending.text)
            failures += 1
            if ending.final or (not line.ready and failures >= DOUBTS and await self._key_is_refused()):
                self._refuse(ending.text)
                return
            ceiling = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
            await anyio.sleep(self._rng.uniform(0.0, ceiling))

    async def _key_is_refused(self) -> bool:
        """Ask something signed: some venues turn a bad key away from the stream without a word."""
        try:
            await self._client.read(self._client.trading.account_flags())
        except (AuthenticationFailed, PermissionDenied):
            return True
        except UnitapeError:
            return False
        return False

    async def _until(self, line: PrivateLine, done: Callable[[PrivateLine], bool]) -> None:
        """Wait on a connection; meanwhile one that it is to replace may end."""
        while not done(line):
            elder = self._line if self._line is not line else None
            with anyio.move_on_after(math.inf if elder is None else LOOK):
                await line.changed.wait()
            if self._line is not None and self._line is not line and self._line.ending is not None:
                self._lost(self._line.ending.text)

    def _take_over(self, line: PrivateLine) -> None:
        """A connection stands and tells everything from now on."""
        elder, self._line = self._line, line
        if elder is not None and elder.ending is None:
            elder.close("another connection took over")
            self._say_all("rotated", "another connection took over")
        else:
            self._say_all("connected", "the account stream stands")
        if not self._state.live:
            self._whole = True
        self._questions |= EVERYTHING
        self._asked.set()

    def _lost(self, text: str) -> None:
        """Nothing is pushed any more."""
        self._line = None
        if self._state.live:
            self._state.live = False
            self._verdict = anyio.Event()
            heard = self._client.mono() - round(self._stream.spec.heartbeat.silence * NANOS)
            # The second look at an earlier gap has not been: it belongs to this one now.
            self._heard = heard if self._again is None else min(heard, self._again[1])
            self._again = None
        self._say_all("disconnected", text)

    def _refuse(self, text: str) -> None:
        self.refusal = text
        for subscription in list(self._subscriptions):
            self._say("rejected", subscription, text)
        self._verdict.set()

    def _hear(self, line: PrivateLine, outputs: Sequence[PrivateOutput]) -> None:
        news: list[AccountEvent] = []
        try:
            for output in outputs:
                if isinstance(output, Recheck):
                    self._question(*output.channels)
                elif isinstance(output, Unmapped):
                    name = output.name if output.name in self.unmapped or len(self.unmapped) < NAMES else OTHERS
                    self.unmapped[name] = self.unmapped.get(name, 0) + 1
                elif isinstance(output, AccountEvent):
                    if self._state.is_thin(output):
                        self._question("balances")
                    fresh = self._state.take(output)
                    news += fresh
                    if fresh:
                        self._follow(output, len(fresh))
        finally:
            # One that trips must not take along what stood beside it.
            self._tell(news)

    def _follow(self, event: AccountEvent, changes: int) -> None:
        """Ask for what moves with this and is not pushed."""
        carried = self._stream.spec.channels
        if isinstance(event, Position) and changes > 1:
            # That the other side is closed was concluded.
            self._question("positions")
        if isinstance(event, (Order, Fill)):
            unsaid: list[Channel] = [channel for channel in MOVED if channel not in carried]
            self._question(*unsaid)
            if self._reconciler.fills_due() is not None:
                self._asked.set()

    def _question(self, *channels: Channel) -> None:
        able: set[Channel] = {channel for channel in channels if channel in self.channels}
        if able:
            self._questions |= able
            self._asked.set()

    async def _ask(self) -> None:
        """Ask what was asked for, a moment later; what is missing when it is due; and everything now and then."""
        self._plan_full()
        pause = 0.0
        while True:
            with anyio.move_on_after(self._until_due()):
                await self._asked.wait()
            self._asked = anyio.Event()
            settle = 0.0 if self._whole else SETTLE * 2**self._haste
            await anyio.sleep(max(settle, pause))
            self._add_what_is_due()
            questions: set[Channel] = self._questions
            self._questions = set()
            line = self._line
            if line is None or not (questions or self._whole):
                continue
            try:
                if self._whole:
                    await self._compare(line)
                elif questions == EVERYTHING:
                    await self._compare_again()
                else:
                    self._doubt(await self._reconciler.refresh(questions, "reconciled"))
                pause = 0.0
            except Exception as error:  # noqa: BLE001 - one question that trips must not end the stream
                words = error if isinstance(error, UnitapeError) else f"{type(error).__name__}: {error}"
                _log.warning("%s: the account cannot be compared: %s", self._client.market.venue, words)
                self._questions |= questions
                self._asked.set()
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)

    def _until_due(self) -> float:
        """Return the seconds until something is to be asked without anybody asking for it."""
        if self._line is None:
            # The next connection asks for everything.
            return math.inf
        now = self._client.mono()
        times = [(self._next_full - now) / NANOS]
        if self._again is not None:
            times.append((self._again[0] - now) / NANOS)
        fills = self._reconciler.fills_due()
        if fills is not None:
            times.append(fills)
        return max(0.0, min(times))

    def _add_what_is_due(self) -> None:
        now = self._client.mono()
        if now >= self._next_full or (self._again is not None and now >= self._again[0]):
            self._questions |= EVERYTHING
            self._plan_full()
        if self._reconciler.fills_due() == 0.0:
            self._questions.add("fills")

    def _doubt(self, again: AbstractSet[Channel]) -> None:
        """Ask once more for what was overtaken; slower, while more comes in than is asked."""
        self._haste = min(self._haste + 1, MOST_HASTE) if again or self._questions else 0
        self._question(*again)

    def _plan_full(self) -> None:
        self._next_full = self._client.mono() + round(self._client.options.reconcile_every * NANOS)

    async def _compare(self, line: PrivateLine) -> None:
        """Compare everything after a new connection, and call it live."""
        first, now = self._first, self._client.mono()
        heard = now if self._heard is None else self._heard
        self._reconciler.found = 0
        symbols = sorted({symbol for names in self._wanted.values() for symbol in names})
        since = None if first else await self._venue_time(heard)
        if first and not self._reconciler.began:
            self._reconciler.began = await self._client.time()
        again = await self._reconciler.everything("query" if first else "reconciled", since, symbols)
        if self._line is not line:
            return
        self._whole = self._first = False
        self._doubt(again)
        lag = round(self._client.trading.spec.absence_lag * NANOS)
        self._again = (self._client.mono() + lag, min(heard, now - lag))
        self._heard = None
        self._compared = now
        self._state.live = True
        stood = [one for one in self._subscriptions if one not in self._fresh]
        self._greet()
        for subscription in stood:
            self._say("subscribed", subscription, COMPARED)
            self._say("recovered", subscription, "what was missed was asked for", self._reconciler.found)
        self._verdict.set()

    async def _compare_again(self) -> None:
        """Compare everything while the stream stands."""
        again = self._again
        now, line = self._client.mono(), self._line
        due = again is not None and now >= again[0]
        start = again[1] if again is not None and due else self._compared
        self._reconciler.missed = 0
        self._doubt(await self._reconciler.everything("reconciled", await self._venue_time(start), ()))
        self._compared = now
        if due and self._again is again:
            self._again = None
        elif self._reconciler.missed and line is not None and line is self._line:
            # A stream can be dead while its socket stands; only what it did not tell gives it away.
            line.close(f"{self._reconciler.missed} events came by query and never by the stream")

    async def _venue_time(self, mono: int) -> int:
        """Return what the venue's clock showed at a moment of the monotonic clock."""
        return await self._client.time() - (self._client.mono() - mono)

    def _undecoded(self, error: WireError) -> None:
        self._deliver([self._status("undecoded", None, str(error))])
        # What it said is not known, so it must be asked for.
        self._question(*ACCOUNT_CHANNELS)

    def _tell(self, news: Sequence[AccountEvent]) -> None:
        wanted = [event for event in news if self._is_wanted(event)]
        for subscription, told in self._fresh.items():
            told.update(name_of(event) for event in wanted if covers(subscription, event))
        if wanted:
            self._deliver(wanted)

    def _greet(self) -> None:
        """Tell new subscriptions how things stand, as far as they have not been told, and that they are live."""
        given: set[Hashable] = set()
        fresh, self._fresh = self._fresh, {}
        for subscription, told in fresh.items():
            stands = [one for one in self._known() if covers(subscription, one) and name_of(one) not in told | given]
            given.update(map(name_of, stands))
            if stands:
                self._deliver(stands)
            self._say("subscribed", subscription, COMPARED)

    def _known(self) -> list[AccountEvent]:
        return [*self._state.open_orders(), *self._state.balances(), *self._state.positions()]

    def _is_wanted(self, event: AccountEvent) -> bool:
        symbols = self._wanted.get(channel_of(event))
        return symbols is not None and (isinstance(event, Balance) or "*" in symbols or event.symbol in symbols)

    def _sort(self) -> None:
        self._wanted = {}
        for subscription in self._subscriptions:
            self._wanted.setdefault(subscription.channel, set()).add(subscription.symbol or "*")

    def _say_all(self, code: StatusCode, text: str) -> None:
        for subscription in list(self._subscriptions):
            self._say(code, subscription, text)

    def _say(self, code: StatusCode, subscription: Subscription, text: str, count: int | None = None) -> None:
        status = self._status(code, subscription, text, count)
        if subscription in self._subscriptions and code != "recovered":
            self._subscriptions[subscription] = status
        self._deliver([status])

    def _status(
        self, code: StatusCode, subscription: Subscription | None, text: str, count: int | None = None
    ) -> Status:
        key = None if subscription is None else subscription.key
        symbol = "" if subscription is None or subscription.symbol == "*" else subscription.symbol
        market = self._client.market
        # A subscription without a market is about several, and its key does not say which one this is.
        said = f"{market.name}: {text}"
        return Status(market.venue, symbol, 0, 0, self._client.wall(), code, key, count, said)
