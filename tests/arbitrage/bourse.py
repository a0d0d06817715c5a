"""Two venues that lose replies, reject, fill in parts and late, and keep a ledger of their own in fractions.

They judge the plan while it runs: an order that comes twice, that comes while another's fate is open, that is not in
the journal yet, or that breaks the policy, fails the test at once.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from random import Random

import anyio

from unitape.clock import LoopClock
from unitape.errors import (
    DuplicateOrder,
    ExchangeUnavailable,
    InsufficientFunds,
    InvalidOrder,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    WireError,
)
from unitape_schemas import Fill, Order

ORIGIN = 1_790_000_000_000_000_000
FINAL = ("filled", "canceled", "expired", "rejected")
LAG = 10.0
"""Seconds after which a request has arrived or never will, and every answer knows of it."""


class Placed:
    """One order as its venue keeps it."""

    def __init__(self, number: int, client_id: str, side: str, size: Decimal, price: Decimal, arrives: float):
        self.id = str(number)
        self.client_id, self.side, self.size, self.price = client_id, side, size, price
        self.arrives, self.shown = arrives, arrives
        self.script: list[tuple[float, str, Decimal]] = []
        """What will happen to it: (time, fill or end, amount)."""
        self.status = "open"
        self.filled = Decimal(0)
        self.fills: list[tuple[float, Fill]] = []

    @property
    def final(self) -> bool:
        return self.status in FINAL


class Chance(Random):
    """The chance of one order."""

    def __init__(self, seed: str, world: World):
        super().__init__(seed)
        self.world = world

    def __new__(cls, seed: str, world: World):
        return super().__new__(cls, seed)

    def hit(self, chance: float) -> bool:
        drawn = self.random() < chance
        return drawn and not self.world.calm and not self.world.mended


class World:
    """Both venues, the seed that moves them, and the rules that must hold."""

    def __init__(self, seed: int, clock: LoopClock, *, calm: bool = False):
        self.rng = Random(seed)
        self.seed, self.clock, self.calm = seed, clock, calm
        self.venues: dict[str, Bourse] = {}
        self.recorded: list[bytes] = []
        self.placed: list[str] = []
        self.violations: list[AssertionError] = []
        self.chances: dict[str, Chance] = {}
        self.check_order: Callable[[Bourse, str, Decimal, Decimal, int], None] = lambda *_: None
        self.mended = False
        """True once everything answers."""

    @property
    def now(self) -> float:
        return anyio.current_time()

    def open_fates(self) -> list[str]:
        for venue in self.venues.values():
            venue.advance()
        return [one.client_id for venue in self.venues.values() for one in venue.orders.values() if not one.final]

    def chance(self, client_id: str) -> Chance:
        """What befalls one order: of its own, so that the order in which tasks run changes nothing."""
        return self.chances.setdefault(client_id, Chance(f"{self.seed}/{client_id}", self))


class Bourse:
    """One venue with one instrument. Implements the verbs that a plan uses."""

    def __init__(self, world: World, name: str, symbol: str, *, fee: str = "quote", rate: str = "0.001"):
        self.world, self.name, self.symbol = world, name, symbol
        self.linear = ":" in symbol
        self.fee_in, self.rate = fee, Decimal(rate)
        self.orders: dict[str, Placed] = {}
        self.ledger: dict[tuple[str, str], Fraction] = {}
        self.blackout: float | None = None
        """Until when questions are not answered."""
        self.liquidity: Decimal | None = None
        """What is left to take; None: chance decides."""
        self.halted = False
        world.venues[name] = self

    # What happens to orders as time passes

    def advance(self) -> None:
        now = self.world.now
        for one in self.orders.values():
            while one.script and one.script[0][0] <= now:
                when, what, amount = one.script.pop(0)
                if one.final:
                    continue
                if what == "fill":
                    self._fill(one, when, amount)
                else:
                    one.status = what

    def _fill(self, one: Placed, when: float, amount: Decimal) -> None:
        rng = self.world.chance(one.client_id)
        amount = min(amount, one.size - one.filled)
        if amount <= 0:
            return
        better = Decimal(rng.randint(0, 5)) / 100
        price = one.price - better if one.side == "buy" else one.price + better
        one.filled += amount
        one.status = "filled" if one.filled == one.size else "partially_filled"
        base, quote = self.symbol.partition("/")[0], "USD"
        sign = 1 if one.side == "buy" else -1
        fee = price * amount * self.rate
        currency = quote
        if not self.linear and self.fee_in == "base" and one.side == "buy":
            fee, currency = amount * self.rate, base
        elif self.fee_in == "token":
            fee, currency = price * amount * self.rate / 8, "TOKEN"
        realized = None
        if self.linear:
            realized = Decimal(rng.randint(-5, 5)) / 10
            self._book("position", self.symbol, sign * amount)
            self._book("balance", quote, realized)
        else:
            self._book("balance", base, sign * amount)
            self._book("balance", quote, -sign * price * amount)
        self._book("balance", currency, -fee)
        number = f"{self.name}{len(one.fills)}-{one.id}"
        stamp = ORIGIN + int(when * 1e9)
        one.fills.append(
            (
                when,
                Fill(
                    self.name, self.symbol, stamp, 0, stamp, number, one.id, None, one.side, price, amount, fee,
                    currency, "taker", realized, "query",
                ),
            )
        )  # fmt: skip

    def _book(self, what: str, name: str, amount: Decimal) -> None:
        self.ledger[what, name] = self.ledger.get((what, name), Fraction(0)) + Fraction(amount)

    def _write_fate(self, one: Placed, tif: str | None) -> None:
        """Decide what becomes of an order once it arrives."""
        rng, now, left = self.world.chance(one.client_id), one.arrives, one.size
        if self.halted or rng.hit(0.05):
            one.script.append((now, "rejected", Decimal(0)))
            return
        if self.liquidity is not None:
            fill = min(left, self.liquidity)
            self.liquidity -= fill
            one.script += [(now, "fill", fill), (now, "expired", Decimal(0))]
            return
        for _ in range(rng.randint(1, 3)):
            units = int(left / STEP)
            amount = STEP * rng.choice((0, units, units, units // 2, rng.randint(0, units)))
            left -= amount
            one.script.append((now, "fill", amount))
            if rng.hit(0.3):
                now += rng.uniform(0.01, 6.0)
        if tif == "ioc" and not rng.hit(0.1):
            one.script.append((now, "expired", Decimal(0)))

    # The verbs

    async def place(self, symbol, side, kind="limit", *, size, price, client_id, tif=None, position_side=None):
        world, rng = self.world, self.world.chance(client_id)
        try:
            self._judge(symbol, kind, side, size, price, client_id)
        except AssertionError as error:
            # Raised here it would look like a lost reply; the test raises it at the end.
            world.violations.append(error)
        world.placed.append(client_id)
        if rng.hit(0.06):
            await anyio.sleep(rng.uniform(0, 0.2))
            raise rng.choice(
                (
                    InsufficientFunds("too poor", venue=self.name),
                    InvalidOrder("out of the band", venue=self.name),
                    RateLimited("slower", venue=self.name, retry_after=1.0),
                    ExchangeUnavailable("later", venue=self.name),
                    TransportError("no route", sent=False),
                )
            )
        one = Placed(len(self.orders) + 1, client_id, side, size, price, world.now + rng.uniform(0.0, 0.1))
        if rng.hit(0.05):
            # It leaves and never arrives.
            await anyio.sleep(rng.uniform(0, 3))
            raise self._lost(client_id)
        gone = rng.hit(0.15)
        if gone and rng.hit(0.4):
            one.arrives = world.now + rng.uniform(0.1, 6.0)
        one.shown = one.arrives + (rng.uniform(0, 3.5) if rng.hit(0.2) else 0.0)
        self.orders[client_id] = one
        self._write_fate(one, tif)
        if gone:
            await anyio.sleep(rng.uniform(0, 2))
            raise self._lost(client_id)
        await anyio.sleep(max(0.0, one.arrives - world.now) + rng.uniform(0, 0.1))
        self.advance()
        if rng.hit(0.15):
            return self._told(one, status="pending", filled=None)
        return self._told(one)

    def _judge(self, symbol, kind, side, size, price, client_id) -> None:
        world = self.world
        assert symbol == self.symbol
        assert kind == "limit"
        assert client_id not in world.placed, f"seed {world.seed}: {client_id} was sent twice"
        assert any(b'"order_sending"' in line and f'"{client_id}"'.encode() in line for line in world.recorded), (
            f"seed {world.seed}: {client_id} is sent before it is written down"
        )
        if len(world.placed) >= 2:
            assert not world.open_fates(), f"seed {world.seed}: {client_id} comes while {world.open_fates()} are open"
        world.check_order(self, side, size, price, len(world.placed))

    def _lost(self, client_id: str) -> Exception:
        return self.world.chance(client_id).choice(
            (
                OutcomeUnknown("no answer", venue=self.name, client_id=client_id),
                OutcomeUnknown("no answer", venue=self.name, client_id=client_id),
                TransportError("cut", sent=True),
                WireError("not JSON", b"<html>", venue=self.name),
                DuplicateOrder("seen before", venue=self.name),
                RuntimeError("a bug in the adapter"),
            )
        )

    async def order(self, symbol, *, client_id=None, id=None):  # noqa: A002
        client_id = client_id or self._known(id)
        world, rng = self.world, self.world.chance(client_id)
        await anyio.sleep(rng.uniform(0.0, 0.1))
        self._may_fail(rng)
        self.advance()
        one = self.orders.get(client_id)
        if one is None or one.shown > world.now:
            raise OrderNotFound("no such order", venue=self.name)
        if rng.hit(0.02) and len(self.orders) > 1:
            other = rng.choice([o for o in self.orders.values() if o is not one])
            return self._told(other)
        if rng.hit(0.1):
            # Behind the times: as if nothing had happened since it came.
            return self._told(one, status="open", filled=Decimal(0))
        return self._told(one)

    async def cancel(self, symbol, *, client_id=None, id=None):  # noqa: A002
        client_id = client_id or self._known(id)
        world, rng = self.world, self.world.chance(client_id)
        await anyio.sleep(rng.uniform(0.0, 0.1))
        if rng.hit(0.15):
            raise self._lost(client_id)
        self.advance()
        one = self.orders.get(client_id)
        if one is None or one.shown > world.now or one.final:
            raise OrderNotFound("no such open order", venue=self.name)
        late = rng.uniform(0.1, 2.0) if rng.hit(0.2) else 0.0
        one.script.append((world.now + late, "canceled", Decimal(0)))
        one.script.sort(key=lambda step: step[0])
        self.advance()
        if rng.hit(0.2):
            raise self._lost(client_id)
        return None if rng.hit(0.4) else self._told(one)

    async def fills(self, symbol, *, order_id):
        (one,) = (o for o in self.orders.values() if o.id == order_id)
        world, rng = self.world, self.world.chance(one.client_id)
        await anyio.sleep(rng.uniform(0.0, 0.1))
        self._may_fail(rng)
        self.advance()
        lag = rng.uniform(0.0, 5.0) if rng.hit(0.3) else 0.0
        return [fill for when, fill in one.fills if when + lag <= world.now]

    def _known(self, number: str) -> str:
        (found,) = (one.client_id for one in self.orders.values() if one.id == number)
        return found

    def _may_fail(self, rng: Chance) -> None:
        world = self.world
        if self.blackout is not None and world.now < self.blackout and not world.mended:
            raise TransportError("unreachable")
        if rng.hit(0.12):
            raise rng.choice(
                (
                    TransportError("cut"),
                    RateLimited("slower", venue=self.name),
                    ExchangeUnavailable("later", venue=self.name),
                    WireError("not JSON", b"<html>", venue=self.name),
                    RuntimeError("a bug in the adapter"),
                )
            )

    def _told(self, one: Placed, status=None, filled: Decimal | str | None = "") -> Order:
        return Order(
            self.name, self.symbol, 0, 0, 0, one.id, one.client_id, one.side, "limit", "ioc", one.price, None, one.size,
            one.filled if filled == "" else filled, None, status or one.status, None, None, 0, 0, "query", "",
        )  # fmt: skip


STEP = Decimal("0.01")
