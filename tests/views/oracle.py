"""Random pairs of books, and what trading them brings by enumeration in fractions. Shares no code with the edge."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from random import Random

from unitape.books import OrderBook
from unitape_schemas import BookSnapshot, Instrument

NOW = 1_800_000_000_000_000_000
SECOND = 1_000_000_000


def text_of(units, scale):
    """``units × 10**-scale`` as a venue writes it."""
    digits = str(units).rjust(scale + 1, "0")
    return digits if scale == 0 else f"{digits[:-scale]}.{digits[-scale:]}"


class Side:
    """One leg of a case: levels as decimal texts, and the rules of its instrument."""

    def __init__(self, rng: Random, name: str, buys: bool, multiplier: int, centre: int):
        self.name, self.buys, self.multiplier = name, buys, multiplier
        self.perpetual = rng.random() < 0.5
        self.size_scale = rng.choice((0, 1, 3))
        self.step_units = rng.choice((1, 1, 2, 5, 25))
        self.price_scale = rng.choice((1, 2, 4))
        self.levels = self.ladder(rng, centre, rng.randint(0, 6) if rng.random() < 0.2 else rng.randint(2, 6))
        other = self.ladder(rng, centre, 2, opposite=True) if rng.random() < 0.9 else []
        self.other = other
        self.verified = len(self.levels)
        self.whole = rng.random() < 0.5
        if not self.whole and self.levels and rng.random() < 0.4:
            self.verified = rng.randint(1, len(self.levels))
        self.min_size = Fraction(rng.choice((0, 0, 1, 7))) * self.step_units / 10**self.size_scale or None
        self.max_size = (
            Fraction(self.step_units * rng.choice((6, 30)), 10**self.size_scale) if rng.random() < 0.3 else None
        )
        self.min_notional = Fraction(rng.choice((1, 40, 200))) if rng.random() < 0.4 else None
        self.listed_fee = rng.random() < 0.9
        self.fee = Fraction(rng.choice((0, 1, 4, 10, -1)), 10_000)
        self.stale = rng.random() < 0.05
        self.age = rng.choice((0, 1, SECOND, 2 * SECOND, 2 * SECOND + 1)) if rng.random() < 0.95 else -1
        self.status = "trading" if rng.random() < 0.97 else "halted"
        self.rate = Fraction(rng.randint(-300, 300), 1_000_000)
        self.mark = Fraction(centre, 100) if rng.random() < 0.5 else None
        self.next = rng.choice((1, 3600, 7200)) * SECOND if rng.random() < 0.9 else rng.choice((0, None))
        self.interval = rng.choice((3600, 28_800)) * SECOND if rng.random() < 0.8 else None

    def ladder(self, rng, centre, count, opposite=False):
        """Levels as (price text, size text), best first; ``centre`` in hundredths."""
        up = self.buys != opposite
        price = centre * 10**self.price_scale // 100 + (rng.randint(-12, 12) + (8 if up else -8))
        if opposite:
            price += -rng.randint(9, 40) if self.buys else rng.randint(9, 40)
            # Now and then a book that is locked or crossed in itself.
            if rng.random() < 0.04 and self.levels:
                price = round(float(self.levels[0][0]) * 10**self.price_scale)
        found = []
        for _ in range(count):
            if price <= 0:
                break
            size = rng.randint(1, 9) * (self.step_units if rng.random() < 0.8 else 1)
            found.append((text_of(price, self.price_scale), text_of(size, self.size_scale)))
            price += rng.randint(1, 9) * (1 if up else -1)
        return found

    @property
    def symbol(self):
        base = f"{self.multiplier}COIN" if self.multiplier > 1 else "COIN"
        return f"{base}/USD:USD" if self.perpetual else f"{base}/USD"

    def instrument(self):
        def number(value):
            return None if value is None else Decimal(value.numerator) / Decimal(value.denominator)

        return Instrument(
            self.name,
            self.symbol,
            "RAW",
            "perp" if self.perpetual else "spot",
            self.symbol.partition("/")[0],
            "USD",
            "USD" if self.perpetual else None,
            "linear" if self.perpetual else "spot",
            Decimal(1).scaleb(-self.price_scale),
            Decimal(text_of(self.step_units, self.size_scale)),
            number(self.min_size),
            number(self.max_size),
            number(self.min_notional),
            None,
            self.multiplier,
            self.status,
            True,
            Decimal(0),
            number(self.fee) if self.listed_fee else None,
            0,
        )

    def book(self):
        def parsed(levels):
            return tuple((float(price), float(size)) for price, size in levels)

        mine, other = parsed(self.levels), parsed(self.other)
        window = (None, True) if self.whole else (mine[self.verified - 1][0] if mine else None, False)
        bids, asks = (other, mine) if self.buys else (mine, other)
        made = OrderBook(self.name, self.symbol)
        image = BookSnapshot(self.name, self.symbol, 0, 0, NOW - self.age, bids, asks, None, 7, None, 3)
        made.load(image, **{"asks" if self.buys else "bids": window})
        made.stale = self.stale
        return made

    def known(self):
        """The levels that may be counted on, as fractions."""
        return [(Fraction(price), Fraction(size)) for price, size in self.levels[: self.verified]]

    def step(self):
        return Fraction(self.step_units, 10**self.size_scale)

    def crossed(self):
        if not self.levels or not self.other:
            return False
        mine, other = Fraction(self.levels[0][0]), Fraction(self.other[0][0])
        return other >= mine if self.buys else mine >= other

    def settlements(self, hold):
        """How many, or why that is not known."""
        if not self.perpetual or hold == 0:
            return 0
        if self.next is None:
            return "funding_unknown"
        if self.next == 0:
            return "funding_stale"
        if self.next > hold:
            return 0
        if self.interval is None and hold > self.next:
            return "funding_interval"
        return sum(1 for n in range(50) if self.next + n * (self.interval or 10**18) <= hold)


class Case:
    """Two sides and what is asked of them."""

    def __init__(self, seed: int):
        rng = Random(seed)
        self.seed = seed
        centre = rng.randint(300, 4000)
        multipliers = rng.choice(((1, 1), (1, 1), (1, 1), (10, 10), (1, 10), (10, 1)))
        self.buy = Side(rng, "north", True, multipliers[0], centre * multipliers[0])
        self.sell = Side(rng, "south", False, multipliers[1], (centre + rng.randint(-30, 60)) * multipliers[1])
        for one in (self.buy, self.sell):
            if rng.random() < 0.3:
                one.perpetual = one is self.sell
        self.same = multipliers[0] == multipliers[1]
        self.hold = rng.choice((0, 0, 3600, 7200, 90_000)) * SECOND
        self.exit_fees = rng.random() < 0.2
        self.min_net = Fraction(rng.choice((0, 0, 1, -100)))
        self.min_return = Fraction(rng.choice((0, 0, 1)), 1000)
        self.asked = text_of(rng.randint(1, 400), rng.choice((0, 1))) if rng.random() < 0.5 else None

    def factor(self, side):
        return 1 if self.same else side.multiplier

    def step(self):
        a, b = self.buy.step() * self.factor(self.buy), self.sell.step() * self.factor(self.sell)
        count = 1
        while (a * count / b).denominator != 1:
            count += 1
        return a * count

    def outcome(self, size):
        """What a size brings, leg by leg, and why it may not be; None where a book does not hold it."""
        net, codes, parts, amounts = Fraction(0), set(), [], []
        for side, sign in ((self.buy, -1), (self.sell, 1)):
            left = native = size / self.factor(side)
            amount, worst = Fraction(0), None
            for price, available in side.known():
                part = min(left, available)
                if part > 0:
                    amount, worst, left = amount + price * part, price, left - part
            if left > 0:
                codes.add(("depth", side.name))
                parts.append(None)
                amounts.append(amount)
                continue
            if side.min_size is not None and native < side.min_size:
                codes.add(("min_size", side.name))
            if side.max_size is not None and native > side.max_size:
                codes.add(("max_size", side.name))
            if side.min_notional is not None and worst * native < side.min_notional:
                codes.add(("min_notional", side.name))
            fee = amount * side.fee * (2 if self.exit_fees else 1)
            count = side.settlements(self.hold)
            value = native * side.mark if side.mark is not None else amount
            funding = sign * side.rate * count * value
            net += sign * amount - fee + funding
            parts.append((native, amount, worst, fee, funding))
            amounts.append(amount)
        if any(part is None for part in parts):
            return None, codes, parts
        return net, codes, parts

    def best(self):
        """Try every multiple of the step that both books hold."""
        step, found = self.step(), None
        most = min(
            sum((size for _, size in side.known()), Fraction(0)) * self.factor(side) for side in (self.buy, self.sell)
        )
        size = step
        while size <= most:
            net, codes, _ = self.outcome(size)
            if net is not None and not codes and (found is None or net > found[0]):
                found = net, size
            size += step
        return None if found is None else found[1]

    def standing_refusals(self):
        """Why the numbers themselves cannot be had, and other reasons that do not depend on the size."""
        hard, soft = set(), set()
        for side in (self.buy, self.sell):
            if not side.listed_fee:
                hard.add(("fee_unknown", side.name))
            if not side.levels:
                hard.add(("empty", side.name))
            count = side.settlements(self.hold)
            if isinstance(count, str):
                hard.add((count, side.name))
            if side.stale:
                soft.add(("stale", side.name))
            if side.crossed():
                soft.add(("crossed", side.name))
            if side.age < 0:
                soft.add(("clock", side.name))
            if side.age > 2 * SECOND:
                soft.add(("age", side.name))
            if side.status != "trading":
                soft.add(("closed", side.name))
        return hard, soft
