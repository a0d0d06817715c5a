"""What can be known to be wrong with an order before anything is sent. Pure: tables and arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from unitape.errors import ConfigError, InvalidOrder, MarketClosed, Unsupported
from unitape.spi import NewOrder, TradingSettings, TradingSpec
from unitape.trade.numbers import exact_number, is_multiple, multiply, plain, round_down, round_up
from unitape.trade.requests import OrderRequest
from unitape_schemas import Instrument, MarginMode, OrderKind, PositionSide

__all__ = [
    "LIMIT_KINDS",
    "TRIGGER_KINDS",
    "build_order",
    "check_amendment",
    "check_instrument",
    "check_margin_mode",
    "check_order",
    "check_position_side",
]

LIMIT_KINDS: Final[frozenset[OrderKind]] = frozenset({"limit", "stop_limit", "take_profit_limit"})
TRIGGER_KINDS: Final[frozenset[OrderKind]] = frozenset({"stop", "stop_limit", "take_profit", "take_profit_limit"})
TRADED_KINDS: Final = ("spot", "linear")


def build_order(request: OrderRequest, client_id: str, instrument: Instrument) -> NewOrder:
    """Return a request with exact numbers; its size rounded down to the step if it asks for that.

    Raises:
        ConfigError: a number is a float, or no positive number.
    """

    def number(name: str) -> Decimal | None:
        value = getattr(request, name)
        return None if value is None else exact_number(value, name)

    size = number("size")
    if size is not None and request.round_size and instrument.step is not None:
        size = Decimal(plain(round_down(size, instrument.step)))
    return NewOrder(
        request.symbol,
        request.side,
        request.kind,
        client_id,
        size=size,
        cost=number("cost"),
        price=number("price"),
        tif=request.tif,
        trigger=number("trigger"),
        trigger_by=request.trigger_by,
        reduce_only=request.reduce_only,
        position_side=request.position_side,
        expires=request.expires,
        take_profit=number("take_profit"),
        stop_loss=number("stop_loss"),
    )


def check_order(order: NewOrder, instrument: Instrument, spec: TradingSpec, settings: TradingSettings) -> None:
    """Refuse an order that this market or instrument cannot take.

    Raises:
        Unsupported: the market has no such kind of order.
        ConfigError: the order contradicts itself or the settings.
        MarketClosed: the instrument takes no orders.
        InvalidOrder: price, size or value break a rule of the instrument.
    """
    check_instrument(instrument)
    _check_kind(order, instrument, spec)
    _check_position(order, instrument, spec, settings)
    _check_attached(order, instrument, spec)
    _check_prices(order, instrument)
    _check_size(order, instrument)
    _check_value(order, instrument)


def check_instrument(instrument: Instrument) -> None:
    """Refuse what cannot be traded at all.

    Raises:
        Unsupported: it is neither spot nor a linear perpetual.
        MarketClosed: it takes no orders now, or none by API.
    """
    venue, symbol = instrument.venue, instrument.symbol
    if instrument.kind not in TRADED_KINDS:
        raise Unsupported(f"{venue} {symbol} is {instrument.kind}; spot and linear perpetuals are traded here")
    if instrument.status != "trading":
        raise MarketClosed(f"{symbol} is {instrument.status} and takes no orders", venue=venue)
    if instrument.api_tradable is False:
        raise MarketClosed(f"{symbol} takes no orders by API; trade it on the venue's own pages", venue=venue)


def _check_kind(order: NewOrder, instrument: Instrument, spec: TradingSpec) -> None:
    place = f"{instrument.venue} {instrument.market}"
    kind = order.kind
    if kind not in spec.kinds:
        raise Unsupported(f"{place} has no {kind} orders; it has {', '.join(spec.kinds)}")
    if (order.price is None) is (kind in LIMIT_KINDS):
        raise ConfigError(f"a {kind} order needs a price" if kind in LIMIT_KINDS else f"a {kind} order takes no price")
    if (order.trigger is None) is (kind in TRIGGER_KINDS):
        raise ConfigError(
            f"a {kind} order needs a trigger" if kind in TRIGGER_KINDS else f"a {kind} order takes no trigger"
        )
    if order.trigger_by is not None:
        if kind not in TRIGGER_KINDS:
            raise ConfigError(f"a {kind} order has no trigger, so trigger_by says nothing")
        if order.trigger_by not in spec.trigger_by:
            raise Unsupported(f"{place} triggers by {', '.join(spec.trigger_by) or 'its own price only'}")
    _check_tif(order, place, spec)
    if (order.size is None) is (order.cost is None):
        raise ConfigError("give either size, in base units, or cost, in quote units")
    if order.cost is not None:
        if kind != "market":
            raise ConfigError(f"cost is for market orders; give a {kind} order a size")
        if order.side not in spec.sides_by_cost:
            sides = f"market {' and '.join(spec.sides_by_cost)} orders only" if spec.sides_by_cost else "no orders"
            raise Unsupported(f"{place} takes {sides} by cost; give a size")


def _check_tif(order: NewOrder, place: str, spec: TradingSpec) -> None:
    tif = order.tif
    if tif is not None:
        if order.kind not in LIMIT_KINDS:
            raise ConfigError(f"a {order.kind} order takes no tif")
        if tif not in spec.tifs:
            raise Unsupported(f"{place} has no {tif} orders; it has {', '.join(spec.tifs)}")
    if (order.expires is not None) is not (tif == "gtd"):
        raise ConfigError("expires and tif='gtd' go together")


def _check_position(order: NewOrder, instrument: Instrument, spec: TradingSpec, settings: TradingSettings) -> None:
    if order.reduce_only and not spec.reduce_only:
        raise Unsupported(f"{instrument.venue} {instrument.market} has no reduce-only orders")
    check_position_side(order.position_side, instrument, spec, settings)
    if order.reduce_only and order.position_side is not None:
        grows = "buy" if order.position_side == "long" else "sell"
        if order.side == grows:
            raise ConfigError(f"a reduce-only {order.side} cannot reduce a {order.position_side} position")
    if order.reduce_only and order.cost is not None:
        raise ConfigError("a reduce-only order needs a size, not a cost")


def check_position_side(
    side: PositionSide | None, instrument: Instrument, spec: TradingSpec, settings: TradingSettings
) -> None:
    """Refuse a position side that does not fit the position mode.

    Raises:
        Unsupported: the market has no positions, or not this mode.
        ConfigError: the mode wants it, or does not want it.
    """
    place = f"{instrument.venue} {instrument.market}"
    if not spec.position_modes:
        if side is not None:
            raise Unsupported(f"{place} has no positions; leave position_side out")
        return
    mode = settings.position_mode
    if mode not in spec.position_modes:
        raise Unsupported(f"{place} has no {mode} mode; it has {', '.join(spec.position_modes)}")
    if mode == "hedge" and side is None:
        raise ConfigError(f"{place} is in hedge mode: an order says position_side='long' or 'short'")
    if mode == "one_way" and side is not None:
        raise ConfigError("position_side is for hedge mode; this account's settings say one_way")


def _check_attached(order: NewOrder, instrument: Instrument, spec: TradingSpec) -> None:
    profit, loss = order.take_profit, order.stop_loss
    if profit is None and loss is None:
        return
    if not spec.attached:
        raise Unsupported(
            f"{instrument.venue} {instrument.market} attaches no take-profit or stop-loss; place them as orders"
        )
    if order.reduce_only:
        raise ConfigError("take_profit and stop_loss belong to an order that opens a position")
    up, down = (profit, loss) if order.side == "buy" else (loss, profit)
    names = ("take_profit", "stop_loss") if order.side == "buy" else ("stop_loss", "take_profit")
    for low, high, text in (
        (order.price, up, f"{names[0]} of a {order.side} order lies above its price"),
        (down, order.price, f"{names[1]} of a {order.side} order lies below its price"),
        (down, up, f"{names[1]} of a {order.side} order lies below its {names[0]}"),
    ):
        if low is not None and high is not None and low >= high:
            raise InvalidOrder(text, venue=instrument.venue)


def _check_prices(order: NewOrder, instrument: Instrument) -> None:
    for name in ("price", "trigger", "take_profit", "stop_loss"):
        value = getattr(order, name)
        if value is not None:
            _check_tick(name, value, instrument)


def _check_tick(name: str, price: Decimal, instrument: Instrument) -> None:
    tick = instrument.tick
    if tick is None or is_multiple(price, tick):
        return
    below, above = round_down(price, tick), round_up(price, tick)
    near = f"{plain(below)} or {plain(above)}" if below > 0 else plain(above)
    raise InvalidOrder(
        f"{name} {plain(price)} is not on the tick {plain(tick)} of {instrument.symbol}; prices are never rounded: "
        f"give {near}",
        venue=instrument.venue,
    )


def _check_size(order: NewOrder, instrument: Instrument) -> None:
    size, step = order.size, instrument.step
    if size is None:
        return
    if instrument.min_size is not None and size < instrument.min_size:
        raise InvalidOrder(
            f"size {plain(size)} is below the smallest of {instrument.symbol}, {plain(instrument.min_size)} "
            f"{instrument.base}",
            venue=instrument.venue,
        )
    if size <= 0:
        raise InvalidOrder(
            f"nothing is left of the size rounded down to the step of {instrument.symbol}", venue=instrument.venue
        )
    if instrument.max_size is not None and size > instrument.max_size:
        raise InvalidOrder(
            f"size {plain(size)} is above the largest of {instrument.symbol}, {plain(instrument.max_size)} "
            f"{instrument.base}; split it",
            venue=instrument.venue,
        )
    if step is not None and not is_multiple(size, step):
        raise InvalidOrder(
            f"size {plain(size)} is not on the step {plain(step)} of {instrument.symbol}; give "
            f"{plain(round_down(size, step))}, or round_size=True to round down",
            venue=instrument.venue,
        )


def _check_value(order: NewOrder, instrument: Instrument) -> None:
    """Check the smallest value, where the order itself says what it is worth; venues let closing orders be small."""
    least = instrument.min_notional
    if least is None or order.reduce_only:
        return
    if order.cost is not None:
        value = order.cost
    elif order.price is not None and order.size is not None:
        value = multiply(order.price, order.size)
    else:
        return
    if value < least:
        raise InvalidOrder(
            f"{plain(value)} {instrument.quote} is below the smallest order value of {instrument.symbol}, "
            f"{plain(least)} {instrument.quote}",
            venue=instrument.venue,
        )


def check_amendment(price: Decimal | None, size: Decimal | None, instrument: Instrument, spec: TradingSpec) -> None:
    """Refuse a change that the market or instrument cannot take.

    Raises:
        Unsupported, ConfigError, MarketClosed, InvalidOrder: as for an order.
    """
    if not spec.amend:
        raise Unsupported(f"{instrument.venue} {instrument.market} cannot amend orders; cancel and place again")
    if price is None and size is None:
        raise ConfigError("give a new price, a new size, or both")
    check_instrument(instrument)
    probe = NewOrder(instrument.symbol, "buy", "limit", "", size=size, price=price)
    _check_prices(probe, instrument)
    _check_size(probe, instrument)
    # On margin the order may be reduce-only, which is exempt from the smallest value.
    if instrument.kind == "spot":
        _check_value(probe, instrument)


def check_margin_mode(mode: MarginMode, instrument: Instrument, spec: TradingSpec) -> None:
    """Refuse a margin mode that the market lacks.

    Raises:
        Unsupported: it does.
    """
    if mode not in spec.margin_modes:
        has = ", ".join(spec.margin_modes) or "none"
        raise Unsupported(f"{instrument.venue} {instrument.market} has no margin mode {mode}; it has {has}")
