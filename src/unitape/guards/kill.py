"""The kill switch: counts what the venue's answers say about its endpoints, and halts on the pattern of a change.

Pure: times are given, nothing is sent. ``unitape.guards.halting`` does what follows from a halt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from unitape.errors import ConfigError, TradingHalted
from unitape.spi import SignalClass

__all__ = ["Halt", "HaltSource", "KillRules", "KillSwitch", "Signal", "SignalRule"]

NANOS: Final = 1_000_000_000
KEPT_SIGNALS: Final = 100
"""The newest signals that a halt shows."""

HaltSource: TypeAlias = Literal["hand", "signal", "rule"]


class SignalRule(Struct, frozen=True):
    """When signals of one class halt; None switches that half of the rule off."""

    consecutive: int | None = None
    """So many in one endpoint family, with no success of the family between them."""
    count: int | None = None
    """So many in one endpoint family within ``KillRules.window``, whatever came between."""


class KillRules(Struct, frozen=True, kw_only=True):
    """When answers halt trading, and how hard it is tried to cancel what is open. Times in seconds."""

    enabled: bool = True
    """False: only a hand or a signal halts."""
    window: float = 60.0
    removed: SignalRule = SignalRule(consecutive=3, count=3)
    disabled: SignalRule = SignalRule(consecutive=2)
    contract: SignalRule = SignalRule(consecutive=1)
    """Counted on writes only: a question that cannot be read risks nothing."""
    auth: SignalRule = SignalRule(consecutive=3)
    symbols: int = 3
    """From how many symbols on a code that one closed instrument explains counts as ``disabled``."""
    unknown_orders: int = 3
    """Halt when more orders than this are of unknown fate at once."""
    unknown_for: float = 60.0
    """Halt when one stays unknown for longer."""
    backoff: float = 1.0
    """Pause of new orders after being throttled without being told for how long; doubled each time in a row."""
    longest_backoff: float = 60.0
    cancel_tries: int = 5
    first_pause: float = 0.5
    """Between tries; doubled each time."""
    longest_pause: float = 8.0
    keep_protective: bool = True
    """Leave reduce-only orders that wait for a trigger: they protect positions."""
    other_hosts: Mapping[str, str] = {}
    """By market name: the base URL of another host of the venue, such as ``https://host.example``. After a halt, and
    only then, what could not be canceled or asked is tried there. No order is ever created there."""
    state_file: str | Path | None = None
    """Remember a halt in ``<name>.<venue><suffix>`` beside this path: a new process then starts halted, until
    ``reset``. For one adapter of each venue, in one process at a time. None: a halt ends with the process."""


class Signal(Struct, frozen=True):
    """One answer that counted."""

    ts: int
    """Wall clock, nanoseconds."""
    market: str
    family: str
    kind: SignalClass
    text: str
    """The venue's words."""


class Halt(Struct, frozen=True):
    """Why trading is halted, and since when."""

    reason: str
    source: HaltSource
    ts: int
    """Wall clock, nanoseconds."""
    market: str | None = None
    family: str | None = None
    signals: tuple[Signal, ...] = ()
    """The newest signals, oldest first."""
    unknown: tuple[str, ...] = ()
    """Names of the orders of unknown fate."""


class _Family:
    """The counters of one endpoint family."""

    __slots__ = ("consecutive", "symbols", "times")

    def __init__(self) -> None:
        self.consecutive: dict[SignalClass, int] = {}
        self.times: dict[SignalClass, deque[int]] = {}
        self.symbols: set[str] = set()

    def success(self) -> None:
        self.consecutive.clear()
        self.symbols.clear()


class KillSwitch:
    """Latched: once halted, only ``reset`` lets orders leave again. ``mono`` is monotonic nanoseconds throughout."""

    def __init__(self, rules: KillRules | None = None) -> None:
        """Begin with nothing counted.

        Raises:
            ConfigError: a rule would halt at once, or a number makes no sense.
        """
        self.rules = rules or KillRules()
        self.halted: Halt | None = None
        """None while orders may leave."""
        self._families: dict[tuple[str, str], _Family] = {}
        self._signals: deque[Signal] = deque(maxlen=KEPT_SIGNALS)
        self._unknown: tuple[str, ...] = ()
        self._excused: set[str] = set()
        self._throttled: dict[str, int] = {}
        _check(self.rules)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the orders whose fate is unknown, oldest first, without those that a reset accepted."""
        return self._unknown

    def require_open(self, what: str) -> None:
        """Refuse what is not allowed while halted.

        Raises:
            TradingHalted: it is halted; the reason is in it.
        """
        if self.halted is not None:
            raise TradingHalted(
                f"{what} is not sent: trading is halted ({self.halted.reason}); cancels and questions still are, and "
                "reset() ends it",
                reason=self.halted.reason,
            )

    def halt(self, reason: str, ts: int, *, source: HaltSource = "hand") -> Halt | None:
        """Halt; None when it was halted already: the first reason stands."""
        return self._trip(reason, ts, source, None, None)

    def restore(self, halt: Halt) -> None:
        """Go on with a halt that began earlier."""
        self.halted = halt

    def reset(self, note: str) -> Halt | None:
        """Let orders leave again and count from zero. Returns the halt that ends, None if there was none.

        Orders that are of unknown fate now do not halt again: whoever resets has looked at them.

        Raises:
            ConfigError: no word about why.
        """
        if not note.strip():
            raise ConfigError("say why trading may go on: it is kept with the record of the halt")
        ended, self.halted = self.halted, None
        self._families.clear()
        self._signals.clear()
        self._excused.update(self._unknown)
        self._throttled.clear()
        return ended

    def success(self, market: str, family: str) -> None:
        """An endpoint did what it was asked."""
        found = self._families.get((market, family))
        if found is not None:
            found.success()
        self._throttled.pop(market, None)

    def signal(
        self, market: str, family: str, kind: SignalClass, text: str, mono: int, ts: int, *, write: bool = True
    ) -> Halt | None:
        """Count an answer that was no success; a halt if it is one too many."""
        rule = self._rule(kind, write)
        if rule is None or not self.rules.enabled:
            return None
        self._signals.append(Signal(ts, market, family, kind, text))
        counters = self._families.setdefault((market, family), _Family())
        row = counters.consecutive[kind] = counters.consecutive.get(kind, 0) + 1
        if rule.consecutive is not None and row >= rule.consecutive:
            return self._trip(f"{market} {family}: {_WORDS[kind]}, {row} in a row: {text}", ts, "rule", market, family)
        if rule.count is not None:
            times = counters.times.setdefault(kind, deque(maxlen=rule.count))
            times.append(mono)
            if len(times) == rule.count and mono - times[0] <= self.rules.window * NANOS:
                reason = f"{market} {family}: {_WORDS[kind]}, {rule.count} in {self.rules.window:g} s: {text}"
                return self._trip(reason, ts, "rule", market, family)
        return None

    def symbol_signal(
        self, market: str, family: str, kind: SignalClass, symbol: str, text: str, mono: int, ts: int
    ) -> Halt | None:
        """Count an answer that one closed instrument explains: it counts when enough symbols brought it."""
        if not self.rules.enabled:
            return None
        counters = self._families.setdefault((market, family), _Family())
        counters.symbols.add(symbol)
        if len(counters.symbols) < self.rules.symbols:
            return None
        words = f"{market} {family}: {_WORDS[kind]} on {len(counters.symbols)} symbols with no success between: {text}"
        self._signals.append(Signal(ts, market, family, kind, text))
        return self._trip(words, ts, "rule", market, family)

    def throttled(self, market: str) -> float:
        """Return for how many seconds new orders should wait, where the venue did not say."""
        row = self._throttled[market] = self._throttled.get(market, 0) + 1
        return min(self.rules.longest_backoff, self.rules.backoff * 2.0 ** min(row - 1, 30))

    def watch(self, unresolved: Mapping[str, int], mono: int, ts: int) -> Halt | None:
        """Look at the orders of unknown fate: name, and since when (monotonic ns). A halt when they are too many or
        one of them is too old.
        """
        self._excused &= unresolved.keys()
        self._unknown = tuple(name for name in unresolved if name not in self._excused)
        if not self.rules.enabled:
            return None
        if len(self._unknown) > self.rules.unknown_orders:
            return self._trip(f"the fate of {len(self._unknown)} orders is unknown", ts, "rule", None, None)
        for name in self._unknown:
            if mono - unresolved[name] > self.rules.unknown_for * NANOS:
                reason = f"the fate of order {name} is unknown for more than {self.rules.unknown_for:g} s"
                return self._trip(reason, ts, "rule", None, None)
        return None

    def _rule(self, kind: SignalClass, write: bool) -> SignalRule | None:
        if kind == "removed":
            return self.rules.removed
        if kind == "disabled":
            return self.rules.disabled
        if kind == "auth":
            return self.rules.auth
        return self.rules.contract if kind == "contract" and write else None

    def _trip(self, reason: str, ts: int, source: HaltSource, market: str | None, family: str | None) -> Halt | None:
        if self.halted is not None:
            return None
        self.halted = Halt(reason, source, ts, market, family, tuple(self._signals), self.unknown)
        return self.halted


_WORDS: Final[dict[SignalClass, str]] = {
    "removed": "the endpoint seems to be gone",
    "disabled": "the venue switched the function off",
    "contract": "an answer without what it promises",
    "auth": "key or permission refused",
}


def _check(rules: KillRules) -> None:
    for name in ("removed", "disabled", "contract", "auth"):
        rule: SignalRule = getattr(rules, name)
        for number in (rule.consecutive, rule.count):
            if number is not None and number < 1:
                raise ConfigError(f"KillRules.{name}: {number} signals are none; say None to switch it off")
    if rules.symbols < 2 or rules.cancel_tries < 1 or rules.unknown_orders < 0:
        raise ConfigError("KillRules: symbols is 2 or more, cancel_tries 1 or more, unknown_orders 0 or more")
    if not (rules.window > 0 and rules.unknown_for > 0 and rules.first_pause > 0 and rules.longest_pause > 0):
        raise ConfigError("KillRules: times are seconds above 0")
    for market, url in rules.other_hosts.items():
        if not url.startswith(("https://", "http://")):
            raise ConfigError(f"KillRules.other_hosts: {market} is at an https:// URL, not at {url!r}")
