"""The verbs of trading, the same on every market: checked first, sent once, refused where a market cannot."""

from __future__ import annotations

from typing import Protocol

from unitape.errors import ConfigError, Unsupported
from unitape.spi import Amendment, ConditionalHistory, OrderRef, Query, Replaced, TriggerBy
from unitape.trade.account import AccountVerbs
from unitape.trade.base import instrument_of, order_ref
from unitape.trade.bulk import BulkVerbs
from unitape.trade.checks import check_amendment
from unitape.trade.client import TradingClient
from unitape.trade.fates import pending_order
from unitape.trade.numbers import Number, exact_number
from unitape.trade.paging import fetch_range
from unitape.trade.requests import OrderRequest, as_ref
from unitape_schemas import Fill, Order, OrderKind, PositionSide, Side, TimeInForce

__all__ = ["TradingVerbs"]

NANOS = 1_000_000_000


class _History(Protocol):
    """A way to ask for past orders."""

    def __call__(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]: ...


class OrderVerbs(BulkVerbs):
    """Verbs about single orders, and what was ordered."""

    async def place(
        self,
        symbol: str,
        side: Side,
        kind: OrderKind = "limit",
        *,
        size: Number | None = None,
        cost: Number | None = None,
        price: Number | None = None,
        tif: TimeInForce | None = None,
        trigger: Number | None = None,
        trigger_by: TriggerBy | None = None,
        reduce_only: bool = False,
        position_side: PositionSide | None = None,
        expires: int | None = None,
        client_id: str | None = None,
        round_size: bool = False,
        take_profit: Number | None = None,
        stop_loss: Number | None = None,
        validate: bool = False,
    ) -> Order:
        """Place one order, once. The arguments are those of ``OrderRequest``.

        ``validate`` has the venue check the order without placing it: the result is ``pending`` then.

        Raises:
            ConfigError, Unsupported, MarketClosed, InvalidSymbol, InvalidOrder: refused here, nothing was sent.
            VenueError: the venue refused; nothing was placed.
            NotPlaced: its answer was lost, and agreeing reads found that it never arrived.
            OutcomeUnknown: its answer was lost, and its fate was not found within ``TradingOptions.resolve_within``.
                Its client id is in the error; it is looked for further on, and its events will tell.
            TransportError: it was certainly not sent.

        A task that is cancelled while it waits for the answer learns nothing: choose a ``client_id`` to ask by.
        """
        request = OrderRequest(
            symbol=symbol,
            side=side,
            kind=kind,
            size=size,
            cost=cost,
            price=price,
            tif=tif,
            trigger=trigger,
            trigger_by=trigger_by,
            reduce_only=reduce_only,
            position_side=position_side,
            expires=expires,
            client_id=client_id,
            round_size=round_size,
            take_profit=take_profit,
            stop_loss=stop_loss,
        )
        client, order = await self._prepare(request)
        trading = client.trading
        if validate and not trading.spec.validate:
            raise Unsupported(f"{client.market.venue} {client.market.name} cannot check an order without placing it")
        if client.options.dry_run or validate:
            client.check((order,))
        if client.options.dry_run:
            return pending_order(client, order)
        if validate:
            check = trading.validate(order)
            if check.request.write:
                await client.write(check, client_id=order.client_id)
            else:
                await client.read(check)
            return pending_order(client, order)
        return await client.fates.place(order)

    async def cancel(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002 - the field's name in the contract
        client_id: str | None = None,
        conditional: bool = False,
    ) -> Order | None:
        """Cancel one order; ``conditional`` where it waits for a trigger. None: the venue only acknowledges.

        Where the market cannot cancel by client id, the order is looked for first.

        Raises:
            OrderNotFound: the venue knows no such open order.
            OutcomeUnknown: its answer was lost; it was neither seen to end nor acknowledged when asked again.
        """
        client = await self._client_of(symbol)
        ref = await self._cancelable(client, order_ref(symbol, id, client_id, conditional))
        return await client.fates.cancel(ref)

    async def amend(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002
        client_id: str | None = None,
        price: Number | None = None,
        size: Number | None = None,
        side: Side | None = None,
        conditional: bool = False,
    ) -> Order:
        """Change price or size of an open order natively; None leaves it.

        Raises:
            Unsupported: the market cannot; cancel and place again.
            InvalidOrder: price or size break a rule of the instrument; nothing was sent.
            ExchangeUnavailable: the answer was lost, and agreeing reads show the order unchanged.
            OutcomeUnknown: it may have been changed; ask for the order.
        """
        client = await self._client_of(symbol)
        ref = order_ref(symbol, id, client_id, conditional)
        new_price = None if price is None else exact_number(price, "price")
        new_size = None if size is None else exact_number(size, "size")
        check_amendment(new_price, new_size, instrument_of(client, symbol), client.trading.spec)
        change = Amendment(ref, new_size, new_price, side)
        return await client.fates.amend(change)

    async def replace(self, old: Order | OrderRef, request: OrderRequest) -> Replaced:
        """Cancel an order and, only if that succeeds, place another of the same symbol, in one native request.

        Look at both halves of the result: the old order may be gone while the new one was refused.

        Raises:
            Unsupported: the market has no such request (``TradingSpec.replace``); cancel and place.
            ConfigError, InvalidOrder: refused here, nothing was sent.
            OrderNotFound: there is no such open order; nothing was placed.
            NotPlaced: the answer was lost; the old order stands, and no new one does.
            OutcomeUnknown: the answer was lost, and the fate of the new order was not found in time.
        """
        client, order = await self._prepare(request)
        if not client.trading.spec.replace:
            market = client.market
            raise Unsupported(f"{market.venue} {market.name} replaces no orders: cancel one and place another")
        ref = as_ref(old)
        if ref.symbol != order.symbol:
            raise ConfigError(f"an order of {ref.symbol} cannot make way for one of {order.symbol}")
        return await client.fates.replace(ref, order)

    async def order(
        self,
        symbol: str,
        *,
        id: str | None = None,  # noqa: A002
        client_id: str | None = None,
        conditional: bool = False,
    ) -> Order:
        """Ask for one order.

        Where the market cannot be asked by client id, open orders and the newest page of the history are searched.

        Raises:
            OrderNotFound: the venue does not know it; right after placing this proves nothing.
        """
        client = await self._client_of(symbol)
        ref = order_ref(symbol, id, client_id, conditional)
        if ref.id is None and not client.trading.spec.query_by_client_id:
            found = (await self._found(client, ref))[0]
        else:
            found = await client.read(client.trading.order(ref))
        client.fates.take(found)
        return found

    async def open_orders(self, symbol: str | None = None, *, market: str | None = None) -> list[Order]:
        """Ask for open orders of a symbol, a market or the whole venue, those that wait for a trigger included."""
        clients = [await self._client_of(symbol)] if symbol is not None else await self._clients(market)
        found: list[Order] = []
        for client in clients:
            mark = client.fates.state.tracker.mark()
            listed = await client.read(client.trading.open_orders(symbol))
            waiting = client.trading.open_conditional(symbol)
            if waiting is not None:
                listed += await client.read(waiting)
            for order in listed:
                client.fates.take(order)
            client.fates.state.listed(listed, mark, symbol)
            found += listed
        return found

    async def order_history(
        self,
        symbol: str | None = None,
        *,
        market: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> list[Order]:
        """Ask for past orders, oldest first: of [start, end] nanoseconds, page by page; without start the newest page.

        Where the venue keeps conditional orders apart they are among them; some tell of those by symbol only.

        Raises:
            ConfigError: the market wants a symbol, or ``end`` stands alone.
        """
        client = await self._history_client(symbol, market, start, end)
        trading, spec = client.trading, client.trading.spec
        sources: list[_History] = [trading.order_history]
        if isinstance(trading, ConditionalHistory) and self._tells(trading.conditional_history, symbol):
            sources.append(trading.conditional_history)
        found: list[Order] = []
        if start is None:
            for source in sources:
                found += await client.read(source(symbol, limit=spec.history_page))
            return sorted(found, key=lambda order: order.ts_created) if len(sources) > 1 else found
        until = await client.time() if end is None else end
        for source in sources:

            async def ask(first: int, last: int, source: _History = source) -> list[Order]:
                return await client.read(source(symbol, start=first, end=last, limit=spec.history_page))

            found += await fetch_range(
                ask,
                start,
                until,
                span=round(spec.history_span * NANOS),
                page=spec.history_page,
                key=lambda order: (order.symbol, order.id),
                when=lambda order: order.ts_created,
            )
        return sorted(found, key=lambda order: order.ts_created)

    @staticmethod
    def _tells(source: _History, symbol: str | None) -> bool:
        """Tell whether a history can be asked for without a symbol, where none is given."""
        try:
            source(symbol, limit=1)
        except Unsupported:
            return False
        return True

    async def fills(
        self,
        symbol: str | None = None,
        *,
        market: str | None = None,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> list[Fill]:
        """Ask for your executions, oldest first: of [start, end] nanoseconds, page by page; without start the newest.

        With ``order_id`` those of one order, all of them.

        Raises:
            ConfigError: the market wants a symbol, or ``end`` stands alone.
        """
        client = await self._history_client(symbol, market, start, end)
        trading, spec = client.trading, client.trading.spec
        page = spec.history_page
        if start is None:
            found = await client.read(trading.fills(symbol, order_id=order_id, limit=page))
            if order_id is None or symbol is None or len(found) < page:
                return found
            # One page may not hold them all: go through the order's whole life.
            start = (await self.order(symbol, id=order_id)).ts_created
            if start == 0:
                raise Unsupported(f"order {order_id} has more than {page} fills and tells no time; give start")

        async def ask(first: int, last: int) -> list[Fill]:
            return await client.read(trading.fills(symbol, order_id=order_id, start=first, end=last, limit=page))

        return await fetch_range(
            ask,
            start,
            await client.time() if end is None else end,
            span=round(spec.history_span * NANOS),
            page=page,
            key=lambda fill: (fill.symbol, fill.id, fill.order_id),
            when=lambda fill: fill.ts_event,
        )

    async def _history_client(
        self, symbol: str | None, market: str | None, start: int | None, end: int | None
    ) -> TradingClient:
        if end is not None and start is None:
            raise ConfigError("give start together with end")
        if symbol is not None:
            return await self._client_of(symbol)
        clients = await self._clients(market)
        if len(clients) > 1:
            raise ConfigError(f"name a symbol or a market: {', '.join(c.market.name for c in clients)}")
        if clients[0].trading.spec.history_needs_symbol:
            raise ConfigError(
                f"{clients[0].market.venue} {clients[0].market.name} tells its history by symbol: name one"
            )
        return clients[0]


class TradingVerbs(OrderVerbs, AccountVerbs):
    """Everything that can be done with an account, for an adapter to inherit."""
