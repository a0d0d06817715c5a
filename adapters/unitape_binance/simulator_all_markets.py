"""The all-market streams of the simulated Binance markets, made of the streams of single symbols."""

from __future__ import annotations

from collections.abc import Iterator

from unitape.spi.simulation import BookChange, Exchange, ForcedOrder
from unitape_binance.simulator_rules import MARKET, PUBLIC, SECOND, Spelling
from unitape_binance.simulator_streams import (
    BookTickerStream,
    ForcedStream,
    Json,
    MarkPriceStream,
    Payload,
    Stream,
    TickerStream,
)


class AllMarketStream(Stream):
    """A stream of every symbol: one array per interval, or one message per row.

    On futures the other family's rows come along, as they do since the families were merged: one row with ``st`` 2.
    """

    def __init__(self, parts: list[Stream], every: int, routes: frozenset[str], *, array: bool) -> None:
        first = parts[0]
        super().__init__(first.exchange, first.spelling, first.spec)
        self.every = every
        self.routes = routes
        self._parts = {part.spec.symbol: part for part in parts}
        self._array = array

    def on_change(self, change: BookChange) -> None:
        """Hand it to the symbol's part."""
        self._parts[change.symbol].on_change(change)

    def on_forced(self, order: ForcedOrder) -> None:
        """Hand it to the symbol's part."""
        self._parts[order.symbol].on_forced(order)

    def flush(self) -> None:
        """Push what the parts have to say."""
        rows = [payload for part in self._parts.values() for payload in self._drain(part)]
        if not rows:
            return
        if not self._array:
            self.pending.extend(rows)
        elif self.linear:
            self.pending.append(lambda unit: [*(row(unit) for row in rows), _other_family(rows[0](unit))])
        else:
            self.pending.append(lambda unit: [row(unit) for row in rows])

    @staticmethod
    def _drain(part: Stream) -> Iterator[Payload]:
        if isinstance(part, ForcedStream):
            order, part.largest = part.largest, None
            if order is not None:
                yield part.row(order, all_markets=True)
            return
        part.flush()
        yield from part.pending
        part.pending.clear()


def _other_family(row: object) -> object:
    """Turn a row into one of the coin-margined family."""
    if not isinstance(row, dict):
        return row
    changed: Json = {str(key): value for key, value in row.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    changed |= {"s": "BTCUSD_PERP", "st": 2}
    if "ps" in changed:
        changed["ps"] = "BTCUSD"
    return changed


def make_all_market_stream(exchange: Exchange, spelling: Spelling, name: str) -> Stream | None:
    """Return the all-market stream of this name; None when the market has none such."""
    rules, specs = spelling.rules, exchange.instruments
    market, public = frozenset({MARKET}), frozenset({PUBLIC})
    if name == "!miniTicker@arr" or (name == "!ticker@arr" and rules.linear):
        mini = name == "!miniTicker@arr"
        parts: list[Stream] = [TickerStream(exchange, spelling, spec, SECOND, mini=mini) for spec in specs]
        return AllMarketStream(parts, SECOND, market, array=True)
    if not rules.linear:
        return None
    if name in {"!markPrice@arr", "!markPrice@arr@1s"}:
        every = SECOND if name.endswith("@1s") else 3 * SECOND
        parts = [MarkPriceStream(exchange, spelling, spec, every) for spec in specs]
        return AllMarketStream(parts, every, market, array=True)
    if name == "!bookTicker":
        parts = [BookTickerStream(exchange, spelling, spec) for spec in specs]
        return AllMarketStream(parts, 5 * SECOND, public, array=False)
    if name == "!forceOrder@arr":
        parts = [ForcedStream(exchange, spelling, spec) for spec in specs]
        return AllMarketStream(parts, SECOND, market, array=False)
    return None
