"""What every trading verb begins with: the market, its client, a checked order."""

from __future__ import annotations

from abc import ABC, abstractmethod

from unitape.clock import Clock
from unitape.errors import ConfigError, InvalidSymbol, OrderNotFound, Unsupported
from unitape.spi import Instruments, Market, NewOrder, OrderRef, Tradable, TradingSettings, TradingSpec, Venue
from unitape.trade.checks import build_order, check_order
from unitape.trade.client import TradingClient
from unitape.trade.requests import OrderRequest
from unitape_schemas import Instrument, Order

__all__ = ["TradingBase"]


class TradingBase(ABC):
    """Ground of the verbs."""

    declaration: Venue
    """The venue."""
    clock: Clock
    """What stamps answers."""

    @abstractmethod
    async def trading_client(self, market: Market) -> TradingClient:
        """Return the private side of a market, its instruments loaded.

        Raises:
            Unsupported: the market serves data only.
        """

    def capabilities(self, market: str | None = None) -> TradingSpec:
        """Return what a market can do, of the first that can be traded unless one is named.

        Raises:
            Unsupported: it serves data only.
        """
        chosen = self._tradable_markets(market)[0]
        if not isinstance(chosen, Tradable):
            raise Unsupported(f"{chosen.venue} {chosen.name} serves data only")
        return chosen.trading(Instruments(chosen.catalogue), TradingSettings()).spec

    def _tradable_markets(self, name: str | None) -> list[Market]:
        """Return the market of this name, or all that can be traded on."""
        venue = self.declaration
        markets = venue.markets if name is None else (venue.market(name),)
        found: list[Market] = [market for market in markets if isinstance(market, Tradable)]
        if not found:
            raise Unsupported(f"{venue.name} {name or ''} serves data only".replace("  ", " "))
        return found

    async def _clients(self, market: str | None) -> list[TradingClient]:
        return [await self.trading_client(one) for one in self._tradable_markets(market)]

    async def _client_of(self, symbol: str) -> TradingClient:
        """Return the client of a symbol's market.

        Raises:
            ConfigError: no market has such symbols.
            Unsupported: the market serves data only.
        """
        return await self.trading_client(self.declaration.market_of(symbol))

    async def _prepare(self, request: OrderRequest) -> tuple[TradingClient, NewOrder]:
        """Return an order that may be sent, and who sends it."""
        client = await self._client_of(request.symbol)
        instrument = instrument_of(client, request.symbol)
        client_id = client.ids.new() if request.client_id is None else client.ids.check(request.client_id)
        order = build_order(request, client_id, instrument)
        check_order(order, instrument, client.trading.spec, client.settings)
        client.fates.check_unused(order)
        return client, order

    async def _found(self, client: TradingClient, ref: OrderRef) -> tuple[Order, bool]:
        """Look for an order by client id where the market cannot be asked by it: among the open ones, then the newest.

        Returns it, and whether it is among those that wait for a trigger where the venue keeps those apart.

        Raises:
            OrderNotFound: it is not there; right after placing that proves nothing.
        """
        trading = client.trading
        lists = (
            (trading.open_orders(ref.symbol), False),
            (trading.open_conditional(ref.symbol), True),
            (trading.order_history(ref.symbol, limit=trading.spec.history_page), False),
        )
        for query, waiting in lists:
            if query is None:
                continue
            for order in await client.read(query):
                if order.client_id == ref.client_id:
                    return order, waiting
        raise OrderNotFound(
            f"no order with client id {ref.client_id} among the open and the newest ones of {ref.symbol}; before "
            f"{trading.spec.absence_lag:g} s have passed since it was placed, that proves nothing",
            venue=client.market.venue,
        )


def instrument_of(client: TradingClient, symbol: str) -> Instrument:
    """Return an instrument.

    Raises:
        InvalidSymbol: the market does not list it.
    """
    try:
        return client.instruments.require(symbol)
    except ConfigError as error:
        text = str(error)
    raise InvalidSymbol(text, venue=client.market.venue)


def order_ref(symbol: str, id: str | None, client_id: str | None, conditional: bool) -> OrderRef:  # noqa: A002
    """Return what names an order.

    Raises:
        ConfigError: neither id is given.
    """
    if not id and not client_id:
        raise ConfigError("name the order by id or by client_id")
    return OrderRef(symbol, id or None, client_id or None, conditional)
