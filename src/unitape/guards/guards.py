"""The guards of one adapter: what must be asked before an order leaves, and told when an answer comes."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, cast

import msgspec
from msgspec import Struct

from unitape.books import OrderBook
from unitape.clock import Clock
from unitape.errors import ConfigError, UnitapeError
from unitape.guards.classify import classify, family_of, told
from unitape.guards.kill import Halt, HaltSource, KillRules, KillSwitch
from unitape.guards.limits import RiskLimits
from unitape.guards.memory import HaltFile, Remembered
from unitape.guards.risk import Judge, Reference
from unitape.guards.view import AccountView, JoinedView
from unitape.spi import Amendment, HttpResponse, Instruments, KillSignals, NewOrder, Query
from unitape_schemas import Event, Position, Status

__all__ = ["Alert", "AuditRecord", "Guards", "MarketGuard", "Spawn"]

_log = logging.getLogger("unitape.guards")
_audit = logging.getLogger("unitape.audit")

Spawn = Callable[[Callable[[], Awaitable[None]]], None]
NANOS: Final = 1_000_000_000
RECORDS_KEPT: Final = 1_000
NAMES_KEPT: Final = 1_000
"""Client ids of which the symbol is remembered."""

CANCELS: Final = frozenset({"cancel", "cancel_many", "cancel_all", "cancel_all_conditional"})
ALWAYS: Final = CANCELS | {"countdown", "open_key", "keep_key"}
"""Writes that leave while halted."""
PLACING: Final = frozenset({"place", "place_many", "amend", "replace", "close_position"})
"""Writes that never do, however urgent."""


class AuditRecord(Struct, frozen=True):
    """One line of the record of what the guards did. Also logged, as JSON, to ``unitape.audit``."""

    ts: int
    """Wall clock, nanoseconds."""
    venue: str
    what: str
    """``halted``, ``remembered``, ``canceled``, ``unconfirmed``, ``reset``, ``refused``."""
    text: str


class Alert(Struct, frozen=True):
    """Something that a person must know."""

    severity: str
    """``critical`` when trading halts, ``warning`` when nothing is left open, ``emergency`` when that could not be
    confirmed."""
    venue: str
    text: str
    halt: Halt
    open: tuple[str, ...] = ()
    """Orders believed open: symbol and id."""
    kept: tuple[str, ...] = ()
    """Protective orders that were left."""
    unknown: tuple[str, ...] = ()
    """Client ids of orders of unknown fate."""
    positions: tuple[Position, ...] = ()
    failures: Mapping[str, str] = {}
    """What went wrong while canceling, by market and symbol."""


class Guards:
    """Risk limits and kill switch of one adapter. ``halt`` and ``reset`` are for its user."""

    def __init__(self, venue: str, clock: Clock, risk: RiskLimits | None = None, kill: KillRules | None = None) -> None:
        self.venue = venue
        self.clock = clock
        self.switch = KillSwitch(kill)
        self.judge = None if risk is None else Judge(risk, self.price)
        self.records: deque[AuditRecord] = deque(maxlen=RECORDS_KEPT)
        self.markets: dict[str, MarketGuard] = {}
        self._doubtful: set[str] = set()
        self._inherited: set[str] = set()
        self._tradable: Callable[[], Sequence[str]] = lambda: tuple(self.markets)
        self._file = None if self.switch.rules.state_file is None else HaltFile(self.switch.rules.state_file, venue)
        self._remember()
        self.reference: Reference | None = None
        """Where prices come from; None: the middle of the subscribed book."""
        self._book: Callable[[str], OrderBook | None] = lambda symbol: None
        self._deliver: Callable[[Sequence[Event]], None] = lambda events: None
        self._on_halt: Callable[[Halt], None] = lambda halt: None
        self._hooks: list[Callable[[Alert], None]] = []

    def bind(
        self,
        *,
        book: Callable[[str], OrderBook | None],
        deliver: Callable[[Sequence[Event]], None],
        on_halt: Callable[[Halt], None],
        tradable: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        """Tell where books are, where statuses go, what begins when trading halts, and on which markets orders may be
        open while none was used.
        """
        self._book, self._deliver, self._on_halt = book, deliver, on_halt
        self._tradable = tradable or self._tradable

    # For the user

    @property
    def halted(self) -> Halt | None:
        """Why trading is halted; None while it is not."""
        return self.switch.halted

    def halt(self, reason: str, *, source: HaltSource = "hand") -> None:
        """Halt: from now on nothing but cancels and questions leaves, and what is open is canceled.

        A second halt changes nothing. Only ``reset`` ends it.
        """
        self._tripped(self.switch.halt(reason, self.clock.wall(), source=source))

    def reset(self, note: str) -> None:
        """Let orders leave again; ``note`` says who decided that and why, for the record.

        Raises:
            ConfigError: the note is empty, or the file that remembers the halt cannot be removed: it stays halted.
        """
        ended = self.switch.reset(note)
        self._forget(ended)
        if ended is not None:
            self.record("reset", f"{note} (halted since {ended.ts}: {ended.reason})")
            _log.warning("%s: trading goes on: %s", self.venue, note)

    def on_alert(self, hook: Callable[[Alert], None]) -> None:
        """Call this with every alert, on the event loop's thread. It must not block; what it raises is logged."""
        self._hooks.append(hook)

    def rebase(self) -> None:
        """Forget the day's first and the highest worth: after money was moved in or out."""
        if self.judge is not None:
            self.judge.meter.rebase()

    # For the engine

    def market(
        self, name: str, signals: KillSignals, instruments: Callable[[], Instruments], view: AccountView
    ) -> MarketGuard:
        """Return the guard of one market, made anew."""
        guard = self.markets[name] = MarketGuard(self, name, signals, instruments, view)
        return guard

    def price(self, symbol: str) -> Decimal | None:
        """Return the fresh price of a symbol, None where none is known."""
        if self.reference is not None:
            return self.reference(symbol)
        book = self._book(symbol)
        if book is None or book.stale or self.judge is None:
            return None
        bid, ask = book.best()
        age = self.clock.wall() - book.ts_recv
        if bid is None or ask is None or age > self.judge.limits.reference_age * NANOS:
            return None
        return (Decimal(repr(bid[0])) + Decimal(repr(ask[0]))) / 2

    def tick(self) -> None:
        """Let time pass: look at the orders of unknown fate, and at the account's worth."""
        self.watch()
        wall = self.clock.wall()
        if self.judge is not None and (self.judge.limits.daily_loss, self.judge.limits.drawdown) != (None, None):
            self.judge.account = JoinedView(self.views())
            self.judge.measure(wall)

    def watch(self) -> bool:
        """Look at the orders of unknown fate; return whether there are any."""
        unresolved = {name: since for guard in self.markets.values() for name, since in guard.unresolved().items()}
        self._tripped(self.switch.watch(unresolved, self.clock.mono(), self.clock.wall()))
        return bool(unresolved)

    def announce(self) -> None:
        """Say aloud that trading is halted since before this process began, if it is."""
        halt = self.switch.halted
        if halt is None or self._file is None:
            return
        left = f"; nobody has confirmed that nothing is open on {', '.join(sorted(self._doubtful))}"
        text = f"trading is still halted since {halt.ts}: {halt.reason}{left if self._doubtful else ''}"
        self._deliver([Status(self.venue, "", 0, 0, self.clock.wall(), "halted", None, None, text)])
        self.alert(Alert("critical", self.venue, text, halt, unknown=halt.unknown))

    def inherits(self, market: str) -> bool:
        """Tell, once, whether an earlier process left it open if something is open on a market."""
        if self.switch.halted is None or market not in self._inherited:
            return False
        self._inherited.discard(market)
        return True

    def settled(self, halt: Halt, markets: Sequence[str]) -> None:
        """Nothing is open any more on these."""
        if self.switch.halted is halt:
            self._doubtful -= set(markets)
            self._save(halt)

    def views(self, first: MarketGuard | None = None) -> list[AccountView]:
        """Return the accounts of all markets, that of ``first`` before the others."""
        rest = [guard.view for guard in self.markets.values() if guard is not first]
        return rest if first is None else [first.view, *rest]

    def tripped(self, halt: Halt | None) -> None:
        """Act on what the switch returned."""
        self._tripped(halt)

    def record(self, what: str, text: str) -> None:
        """Write a line of the record."""
        line = AuditRecord(self.clock.wall(), self.venue, what, text)
        self.records.append(line)
        _audit.info("%s", msgspec.json.encode(line).decode())

    def alert(self, alert: Alert) -> None:
        """Tell the log and whoever asked to be told."""
        level = {"warning": logging.WARNING, "critical": logging.ERROR}.get(alert.severity, logging.CRITICAL)
        _log.log(level, "%s: %s", alert.venue, alert.text)
        for hook in self._hooks:
            try:
                hook(alert)
            except Exception:  # noqa: BLE001 - the switch must do its work whatever those who watch it do
                _log.exception("%s: a hook for alerts failed", self.venue)

    def _tripped(self, halt: Halt | None) -> None:
        if halt is None:
            return
        self.record("halted", f"{halt.source}: {halt.reason}")
        self._doubtful = set(self.markets or self._tradable())
        text = f"trading is halted by {halt.source}: {halt.reason}{self._save(halt)}"
        self._deliver([Status(self.venue, "", 0, 0, halt.ts, "halted", None, None, text)])
        self.alert(Alert("critical", self.venue, text, halt, unknown=halt.unknown))
        self._on_halt(halt)

    def _remember(self) -> None:
        """Go on with the halt of an earlier process."""
        kept = None if self._file is None else self._file.load()
        if kept is not None:
            self.switch.restore(kept.halt)
            self._doubtful, self._inherited = set(kept.doubtful), set(kept.doubtful)
            self.record("remembered", f"halted since {kept.halt.ts} by {kept.halt.source}: {kept.halt.reason}")

    def _save(self, halt: Halt) -> str:
        """Have the next process know. Returns a warning if it will not."""
        if self._file is None:
            return ""
        try:
            self._file.save(Remembered(self.venue, halt, tuple(sorted(self._doubtful))))
        except OSError as error:
            _log.critical("%s: the next process will not know of the halt: %s", self.venue, error)
            return f" (A NEW PROCESS WILL NOT KNOW: {error})"
        return ""

    def _forget(self, ended: Halt | None) -> None:
        if self._file is None or ended is None:
            return
        try:
            self._file.clear()
        except OSError as error:
            self.switch.restore(ended)
            raise ConfigError(f"trading stays halted: {self._file.path} cannot be removed: {error}") from None


class MarketGuard:
    """The guards as one market's client meets them."""

    def __init__(
        self,
        guards: Guards,
        name: str,
        signals: KillSignals,
        instruments: Callable[[], Instruments],
        view: AccountView,
    ) -> None:
        self.guards = guards
        self.name = name
        self.view = view
        self.unresolved: Callable[[], Mapping[str, int]] = dict
        """Client ids of orders of unknown fate, and since when (monotonic ns)."""
        self._signals = signals
        self._instruments = instruments
        self._paused_until = 0
        self._symbols: OrderedDict[str, str] = OrderedDict()

    def check(self, orders: Sequence[NewOrder]) -> None:
        """Refuse orders that must not leave, all if one must not.

        Raises:
            TradingHalted: trading is halted.
            RiskRejected: one breaks a limit.
        """
        guards = self.guards
        guards.watch()
        guards.switch.require_open("an order")
        for order in orders:
            self._symbols[order.client_id] = order.symbol
        while len(self._symbols) > NAMES_KEPT:
            self._symbols.popitem(last=False)
        judge = guards.judge
        if judge is None:
            return
        judge.account = JoinedView(guards.views(self))
        wall = guards.clock.wall()
        for place, order in enumerate(orders):
            judge.check(order, self._instruments().require(order.symbol), orders[:place], wall)

    def check_amendment(self, change: Amendment) -> None:
        """Refuse a change that must not leave.

        Raises:
            TradingHalted: trading is halted.
            RiskRejected: it breaks a limit.
        """
        self.guards.switch.require_open("a change of an order")
        judge = self.guards.judge
        if judge is not None:
            judge.account = JoinedView(self.guards.views(self))
            judge.check_amendment(change, self._instruments().require(change.order.symbol), ())

    def permit(self, query: Query[object], *, urgent: bool) -> None:
        """Refuse what must not leave at this very moment. The last thing before the transport.

        Raises:
            TradingHalted: trading is halted, and this is neither a cancel nor a question.
        """
        if self.guards.switch.halted is None or not query.request.write or query.name in ALWAYS:
            return
        if not urgent or query.name in PLACING:
            self.guards.switch.require_open(query.name)

    def wait(self) -> float:
        """Return for how many seconds new orders should wait after being throttled."""
        return max(0.0, (self._paused_until - self.guards.clock.mono()) / NANOS)

    def heard(self, query: Query[object], response: HttpResponse, answer: object) -> None:
        """An answer was what it should be; a batch of which every row was refused was not."""
        if isinstance(answer, list):
            rows = cast(list[object], answer)
            if rows and isinstance(rows[0], UnitapeError) and all(isinstance(row, UnitapeError) for row in rows):
                self.failed(query, response, rows[0])
                return
        self.guards.switch.success(self.name, family_of(self._signals, query.name, query.request.path))

    def failed(
        self, query: Query[object], response: HttpResponse, fault: Exception, client_id: str | None = None
    ) -> None:
        """An answer was none. ``fault`` is what reading it raised, scrubbed."""
        signals, switch, clock = self._signals, self.guards.switch, self.guards.clock
        kind = classify(signals, response, fault)
        family = family_of(signals, query.name, query.request.path)
        mono, wall = clock.mono(), clock.wall()
        if kind == "throttled":
            pause = getattr(fault, "retry_after", None) or switch.throttled(self.name)
            self._paused_until = max(self._paused_until, mono + round(pause * NANOS))
            return
        code = getattr(fault, "code", None)
        if code in signals.symbol_codes:
            symbol = None if client_id is None else self._symbols.get(client_id)
            if symbol is not None:
                self.guards.tripped(switch.symbol_signal(self.name, family, kind, symbol, told(fault), mono, wall))
            return
        text = f"HTTP {response.status}: {told(fault)}"
        self.guards.tripped(switch.signal(self.name, family, kind, text, mono, wall, write=query.request.write))
