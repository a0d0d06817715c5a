"""One simulated market with the adapter's trading side before it, and how they are held against each other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.sim.trading import ANN, BOB, assert_ledger_adds_up, e8, market
from tests.weex.support import MARKETS, MS
from unitape.sim.faults import Fault, Faults, FaultSchedule
from unitape.spi import (
    Credentials,
    HttpRequest,
    HttpResponse,
    Instruments,
    NewOrder,
    Query,
    TradingSettings,
)
from unitape.spi.simulated_accounts import SimFill, SimOrder, SimOrderRequest, SimUser
from unitape.spi.simulation import FaceOptions
from unitape_schemas import Balance, Fill, Order, Position
from unitape_weex.simulator import face

READER = SimUser("reader", "sim-reader", "reader-secret", "reader-pass", permissions=("read",))


class Desk:
    """One simulated market, and the adapter's trading side of one user before it."""

    def __init__(
        self,
        name: str,
        *,
        seed: int = 1,
        faults: tuple[Fault, ...] = (),
        settings: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        position_mode: Any = "hedge",
        margin_mode: Any = "cross",
        enforce: bool = False,
    ) -> None:
        self.linear = name == "contract"
        self.exchange = market(linear=self.linear, seed=seed, users=(ANN, BOB, READER))
        source = Faults(FaultSchedule(faults), f"x/{name}", 0)
        source.advance(0)
        self.face = face(self.exchange, name, FaceOptions(source, enforce_limits=enforce, settings=settings or {}))
        self.face.tick(0)
        self.market = MARKETS[name]
        self.symbol = "BTC/USDT:USDT" if self.linear else "BTC/USDT"
        self.spec = self.exchange.instrument(self.symbol)
        info = self.market.rest(Instruments()).instruments().request
        instruments = Instruments(self.market.read_instruments(self.serve(info).body))
        chosen = TradingSettings(position_mode=position_mode, margin_mode=margin_mode, options=options or {})
        self.trading: Any = self.market.trading(instruments, chosen)
        self.ids = 0

    def serve(self, request: HttpRequest) -> HttpResponse:
        answer = self.face.http(request)
        assert isinstance(answer, HttpResponse)
        return answer

    def send(self, query: Query[Any], user: SimUser = ANN, late: int = 0) -> HttpResponse:
        credentials = Credentials(user.key, user.secret, user.passphrase)
        return self.serve(self.trading.sign(query.request, credentials, self.exchange.now - late))

    def ask(self, query: Query[Any], user: SimUser = ANN) -> Any:
        return query.read(self.send(query, user), self.exchange.now)

    def order(self, side: Any, kind: Any = "limit", *, lots: int = 40, **more: Any) -> NewOrder:
        self.ids += 1
        size = more.pop("size", Decimal(lots) * self.spec.step)
        if self.linear and "position_side" not in more:
            more["position_side"] = "long" if side == "buy" else "short"
        return NewOrder(self.symbol, side, kind, more.pop("client_id", f"c-{self.ids}"), size=size, **more)

    def inside(self, side: str) -> Decimal:
        """A price one tick better than the book's."""
        best = self.exchange.best(self.symbol)
        ticks = best.bid + 1 if side == "buy" else best.ask - 1
        assert best.bid < ticks < best.ask, f"seed {self.exchange.seed}: no room in the spread"
        return self.price(ticks)

    def price(self, ticks: int) -> Decimal:
        return Decimal(ticks) * self.spec.tick

    def away(self, side: str, ticks: int = 500) -> Decimal:
        best = self.exchange.best(self.symbol)
        return self.price(best.bid - ticks if side == "buy" else best.ask + ticks)

    def trade(self, side: Any, lots: int, user: SimUser = BOB) -> None:
        """Somebody else takes so many lots."""
        position = None if not self.linear else "long" if side == "buy" else "short"
        placed = self.exchange.accounts.place(
            user.name, SimOrderRequest(self.symbol, side, "market", size=lots, position_side=position)
        )
        assert isinstance(placed, SimOrder)
        assert placed.filled == lots

    def truth(self, order: Order) -> SimOrder:
        """The ledger's order of this client id."""
        found = [row for row in self.exchange.accounts.orders("ann") if row.client_id == order.client_id]
        return found[-1]

    def agrees(self, order: Order, status: str) -> None:
        """The adapter's order says what the ledger has."""
        row, spec = self.truth(order), self.spec
        assert (order.symbol, order.side, order.kind, order.client_id) == (
            row.symbol,
            row.side,
            row.kind,
            row.client_id,
        )
        assert order.size == row.size * spec.step
        assert order.filled == row.filled * spec.step
        assert order.price == (None if row.price is None else row.price * spec.tick)
        if row.filled:
            assert order.average is not None
            assert abs(order.average - Decimal(row.amount) * spec.tick / row.filled) <= Decimal("1e-8")
        else:
            assert order.average is None
        assert order.status == status
        assert (order.ts_created, order.ts_updated) == (row.ts_created // MS * MS, row.ts_updated // MS * MS)
        assert int(order.id or 0) > 2**53

    def agree_fills(self, fills: list[Fill]) -> None:
        rows = self.exchange.accounts.fills("ann", self.symbol)
        assert len(fills) == len(rows) > 0
        for fill, row in zip(fills, rows, strict=True):
            self.agrees_fill(fill, row)

    def agrees_fill(self, fill: Fill, row: SimFill) -> None:
        assert (fill.side, fill.price, fill.size) == (row.side, row.price * self.spec.tick, row.size * self.spec.step)
        assert (fill.fee, fill.fee_currency) == (e8(row.fee_e8), row.fee_currency)
        assert fill.ts_event == row.ts // MS * MS
        if self.linear:
            assert (fill.liquidity, fill.realized_pnl) == (row.liquidity, e8(row.realized_e8))
        assert fill.order_id.endswith(str(row.order)[-6:])

    def agree_balances(self, balances: list[Balance]) -> None:
        rows = {row.currency: row for row in self.exchange.accounts.balances("ann")}
        assert {balance.currency for balance in balances} == set(rows)
        for balance in balances:
            row = rows[balance.currency]
            assert balance.free == e8(row.free_e8)
            assert balance.locked == e8(row.locked_e8)
            assert balance.total == e8(row.total_e8)
            if self.linear:
                assert balance.equity == e8(row.equity_e8)
                assert balance.unrealized_pnl == e8(row.unrealized_e8)
        assert_ledger_adds_up(self.exchange)

    def agree_positions(self, positions: list[Position]) -> None:
        rows = {row.side: row for row in self.exchange.accounts.positions("ann", self.symbol)}
        assert {position.side for position in positions} == set(rows)
        for position in positions:
            row = rows[position.side]
            assert position.size == row.size * self.spec.step
            assert position.entry is not None
            assert abs(position.entry - e8(row.entry_e8)) <= Decimal("1e-8")
            assert position.unrealized_pnl == e8(row.unrealized_e8)
            assert position.liquidation == (None if row.liquidation_e8 is None else e8(row.liquidation_e8))
            assert (position.leverage, position.margin_mode) == (row.leverage, row.margin_mode)
            assert position.margin == e8(row.margin_e8)
