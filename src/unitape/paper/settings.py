"""What a paper account begins with, and how its market is modelled."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct, field

from unitape.errors import ConfigError

__all__ = ["PaperSettings", "Payment"]


class PaperSettings(Struct, frozen=True, kw_only=True):
    """How paper orders are filled. See the page on paper trading for the whole model."""

    balances: Mapping[str, Mapping[str, Decimal]] = field(default_factory=lambda: {"*": {"USDT": Decimal(100_000)}})
    """What there is at the start: by market name (``*`` for the others) and currency."""
    maker: Decimal | None = None
    """Fee of a fill that made liquidity, as a fraction; None: the instrument's. Negative for a rebate."""
    taker: Decimal | None = None
    """The same for one that took it."""
    unlisted_fee: Decimal = Decimal("0.001")
    """Both, where neither says anything: some venues list no fees."""
    latency: float = 0.0
    """Seconds that an order, change or cancel takes to the market; in the market's own time when a tape plays."""
    queue: Literal["trades", "depth"] = "trades"
    """What moves a resting order ahead in its queue. ``trades``: only public trades at its price. ``depth``: also a
    level that shows less than what is thought to be ahead; kinder, because trades then may count twice."""
    leverage: Decimal = Decimal(10)
    """Of every symbol with positions until ``set_leverage``."""
    position_mode: Literal["one_way", "hedge"] | None = None
    """None: one-way, where the live market has it."""
    join_within: float = 15.0
    """Seconds in which the book of a symbol must be there when its first order is placed."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no account.

        Raises:
            ConfigError: a balance or time is negative, or a number is no ``Decimal``.
        """
        amounts = [amount for held in self.balances.values() for amount in held.values()]
        for number in (
            *amounts,
            self.leverage,
            self.unlisted_fee,
            *(fee for fee in (self.maker, self.taker) if fee is not None),
        ):
            if not isinstance(number, Decimal) or not number.is_finite():  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigError(f"PaperSettings takes Decimal numbers, not {number!r}")
        if any(amount < 0 for amount in amounts) or self.leverage < 1 or not self.latency >= 0:
            raise ConfigError("PaperSettings: balances and latency are 0 or more, leverage 1 or more")


class Payment(Struct, frozen=True):
    """One settlement of funding; negative when the position paid."""

    ts: int
    """Market time, nanoseconds."""
    symbol: str
    amount: Decimal
    """In the settlement currency."""
