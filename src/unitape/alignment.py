"""The same coin on many markets: which instruments are one thing, and in which units each of them counts it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import lcm
from statistics import median
from typing import Final, Protocol, Self, runtime_checkable

import anyio
from msgspec import Struct

from unitape.adapter import Adapter
from unitape.errors import UnitapeError
from unitape.listings import InstrumentChange
from unitape.router import Router
from unitape.views.align import SURE, coin
from unitape_schemas import Instrument, InstrumentKind

__all__ = ["RENAMED", "STABLE", "Aligned", "Coin", "align", "coin_of", "refresh", "suspects", "watch_instruments"]

_log = logging.getLogger("unitape.instruments")

RENAMED: Final[Mapping[str, str]] = {
    "EOS": "A",
    "FTM": "S",
    "KLAY": "KAIA",
    "MATIC": "POL",
    "RNDR": "RENDER",
    "XBT": "BTC",
}
"""Coins that some venues still list by an earlier name and that were exchanged one for one; state of 2026. A swap at
another ratio is another coin, and stays apart."""

STABLE: Final = frozenset({"USDT", "USDC", "FDUSD", "USD1", "USDE", "DAI", "TUSD"})
"""Quotes that count as the same when ``align`` is asked to."""

_SHORT: Final[Mapping[int, tuple[str, ...]]] = {**SURE, 1_000: ("K",)}
"""Wider than what money is risked on: what is aligned is checked by its prices."""


class Coin(Struct, frozen=True):
    """One instrument as a way to hold a coin. One base unit of the instrument is ``multiplier`` coins."""

    coin: str
    instrument: Instrument

    @property
    def multiplier(self) -> int:
        """Coins per base unit: 1000 for ``1000SHIB``."""
        return self.instrument.multiplier

    def coins(self, size: Decimal) -> Decimal:
        """Return how many coins a size in base units is."""
        return size * self.multiplier

    def size(self, coins: Decimal) -> Decimal:
        """Return the size in base units that is so many coins, exact and not rounded to a step."""
        return coins / self.multiplier

    def price_per_coin(self, price: Decimal) -> Decimal:
        """Return the price of one coin, of a price of one base unit."""
        return price / self.multiplier


class Aligned(Struct, frozen=True):
    """One coin against one quote, on every market that lists it."""

    coin: str
    quote: str
    members: tuple[Coin, ...]
    """By venue, then market, then symbol."""

    @property
    def venues(self) -> tuple[str, ...]:
        """Names of the venues that list it."""
        return tuple(dict.fromkeys(member.instrument.venue for member in self.members))

    def step(self) -> Decimal | None:
        """Return the smallest number of coins that is a whole number of size steps on every member.

        None where a member does not say its step.
        """
        whole: Decimal | None = None
        for member in self.members:
            step = member.instrument.step
            if not step:
                return None
            coins = member.coins(step)
            whole = coins if whole is None else _common(whole, coins)
        return whole


def coin_of(
    instrument: Instrument,
    *,
    renamed: Mapping[str, str] = RENAMED,
    named: Mapping[tuple[str, str], str] | None = None,
) -> str:
    """Return the coin that an instrument's base stands for: ``SHIB`` for ``1000SHIB``, the new name of a renamed one.

    ``named`` says it by hand, by (venue, base): where one name is two coins on two venues, give one another name.
    """
    by_hand = (named or {}).get((instrument.venue, instrument.base))
    if by_hand is not None:
        return by_hand
    base = coin(instrument, _SHORT)
    return renamed.get(base, base)


def align(
    instruments: Iterable[Instrument],
    *,
    kinds: Iterable[InstrumentKind] = ("spot", "linear"),
    tradable: bool = True,
    stable_as_one: bool = False,
    renamed: Mapping[str, str] = RENAMED,
    named: Mapping[tuple[str, str], str] | None = None,
) -> dict[tuple[str, str], Aligned]:
    """Return instruments that are the same thing, by (coin, quote), the most widely listed first.

    ``tradable`` leaves out what does not trade now. ``stable_as_one`` puts all of ``STABLE`` under the quote ``USD``.
    Names are all that this goes by, and a name can be two coins: check with ``suspects``, and part them by ``named``.
    """
    wanted = frozenset(kinds)
    groups: dict[tuple[str, str], list[Coin]] = {}
    for instrument in instruments:
        if instrument.kind not in wanted or (tradable and instrument.status != "trading"):
            continue
        quote = "USD" if stable_as_one and instrument.quote in STABLE else instrument.quote
        name = coin_of(instrument, renamed=renamed, named=named)
        groups.setdefault((name, quote), []).append(Coin(name, instrument))
    found = [Aligned(name, quote, tuple(sorted(members, key=_place))) for (name, quote), members in groups.items()]
    found.sort(key=lambda one: (-len(one.venues), -len(one.members), one.coin, one.quote))
    return {(one.coin, one.quote): one for one in found}


def suspects(
    aligned: Aligned, prices: Mapping[tuple[str, str], Decimal | float], *, percent: float = 20.0
) -> list[Coin]:
    """Return the members whose price of one coin is further than ``percent`` from the median of all members.

    ``prices`` are those of one base unit, by (venue, symbol); members without one are passed over. What is returned is
    probably another coin of the same name, or another multiplier than it seems.
    """
    priced = [
        (member, member.price_per_coin(Decimal(str(price))))
        for member in aligned.members
        if (price := prices.get((member.instrument.venue, member.instrument.symbol))) is not None
    ]
    if len(priced) < 2:
        return []
    middle = median(price for _, price in priced)
    bound = abs(middle) * Decimal(str(percent)) / 100
    return [member for member, price in priced if abs(price - middle) > bound]


@runtime_checkable
class _Refreshing(Protocol):
    async def refresh(self, market: str | None = None) -> list[InstrumentChange]: ...


async def refresh(adapters: Iterable[Adapter]) -> list[InstrumentChange]:
    """Ask every adapter that can to ask its venue again what it lists, all at once, and return what has changed.

    A venue that does not answer is logged and keeps what it had; the others are not touched.
    """
    found: dict[int, list[InstrumentChange]] = {}

    async def ask(place: int, adapter: _Refreshing, venue: str) -> None:
        try:
            found[place] = await adapter.refresh()
        except UnitapeError as error:
            _log.warning("%s: the instruments could not be had: %s", venue, error)

    asked: Sequence[Adapter] = list(adapters)
    async with anyio.create_task_group() as tasks:
        for place, adapter in enumerate(asked):
            if isinstance(adapter, _Refreshing):
                tasks.start_soon(ask, place, adapter, adapter.venue)
    changes = [change for place in sorted(found) for change in found[place]]
    for change in changes:
        _log.info("%s", change.text)
    return changes


class watch_instruments:  # noqa: N801 - reads as a function, and needs no clean-up when a loop is left
    """What has changed in the lists of a router's venues, asked for every so many seconds, whenever something has."""

    def __init__(self, router: Router, *, every: float = 3600.0) -> None:
        self._router = router
        self._every = every

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[InstrumentChange]:
        while True:
            await anyio.sleep(self._every)
            changes = await refresh(self._router.adapters)
            if changes:
                return changes


def _place(member: Coin) -> tuple[str, str, str]:
    return member.instrument.venue, member.instrument.market, member.instrument.symbol


def _common(one: Decimal, other: Decimal) -> Decimal:
    """Return the least common multiple of two decimals."""
    places = max(-int(one.as_tuple().exponent), -int(other.as_tuple().exponent), 0)
    scale = Decimal(10) ** places
    a, b = int(one * scale), int(other * scale)
    return Decimal(lcm(a, b)) / scale
