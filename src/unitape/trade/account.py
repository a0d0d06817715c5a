"""Verbs about the account: what it holds, how it is margined, and closing a position."""

from __future__ import annotations

from msgspec import structs

from unitape.errors import ConfigError, NoChange, Unsupported
from unitape.spi import AccountFlags, PositionMode, Query
from unitape.trade.base import TradingBase, instrument_of
from unitape.trade.checks import check_margin_mode, check_position_side
from unitape.trade.client import TradingClient
from unitape.trade.fates import pending_order
from unitape.trade.requests import OrderRequest
from unitape_schemas import Balance, MarginMode, Order, Position, PositionSide

__all__ = ["AccountVerbs"]


class AccountVerbs(TradingBase):
    """Balances, positions and their settings."""

    async def balances(self, market: str | None = None) -> list[Balance]:
        """Ask for what you hold on a market, or on each."""
        return [one for client in await self._clients(market) for one in await client.fates.ask_balances()]

    async def positions(self, symbol: str | None = None, *, market: str | None = None) -> list[Position]:
        """Ask for open positions of a symbol, a market, or each market that has positions.

        Raises:
            Unsupported: the symbol's market, or every market, has none.
        """
        clients = [await self._client_of(symbol)] if symbol is not None else await self._clients(market)
        able = [client for client in clients if client.trading.spec.position_modes]
        if not able:
            raise Unsupported(f"{self.declaration.name} {clients[0].market.name} has no positions, only balances")
        return [one for client in able for one in await client.fates.ask_positions(symbol)]

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set the leverage of a symbol.

        Raises:
            Unsupported: the market has none.
            ConfigError: it is no whole number from 1 up.
            OutcomeUnknown: it may have been set.
        """
        client = await self._client_of(symbol)
        instrument_of(client, symbol)
        if not client.trading.spec.leverage:
            raise Unsupported(f"{client.market.venue} {client.market.name} has no leverage to set")
        if isinstance(leverage, bool) or not isinstance(leverage, int) or leverage < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"leverage must be a whole number from 1 up, not {leverage!r}")
        await self._set(client, client.trading.set_leverage(symbol, leverage))

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Set the margin mode of a symbol; already set counts as done.

        Raises:
            Unsupported: the market has no such mode.
            OutcomeUnknown: it may have been set.
        """
        client = await self._client_of(symbol)
        check_margin_mode(mode, instrument_of(client, symbol), client.trading.spec)
        await self._set(client, client.trading.set_margin_mode(symbol, mode))

    async def set_position_mode(self, mode: PositionMode, *, market: str | None = None) -> None:
        """Set the position mode of the account on a market, or on each that has it; orders follow it from then on.

        Raises:
            Unsupported: no such market has this mode.
            OutcomeUnknown: it may have been set.
        """
        able = [client for client in await self._clients(market) if mode in client.trading.spec.position_modes]
        if not able:
            raise Unsupported(f"{self.declaration.name} {market or ''} has no position mode {mode}".replace("  ", " "))
        for client in able:
            await self._set(client, client.trading.set_position_mode(mode))
            client.configure(structs.replace(client.settings, position_mode=mode))

    async def close_position(self, symbol: str, side: PositionSide | None = None) -> Order | None:
        """Close a position at the market; ``side`` in hedge mode.

        Natively where the market can (None is returned), elsewhere by a reduce-only market order of its size.

        Raises:
            NoChange: there is no such position.
            OutcomeUnknown: it may have been closed; ask for positions.
        """
        client = await self._client_of(symbol)
        spec = client.trading.spec
        instrument = instrument_of(client, symbol)
        if not spec.position_modes:
            raise Unsupported(f"{client.market.venue} {client.market.name} has no positions; sell the balance instead")
        check_position_side(side, instrument, spec, client.settings)
        found = [
            position
            for position in await client.read(client.trading.positions(symbol))
            if position.symbol == symbol and position.size > 0 and side in (None, position.side)
        ]
        if not found:
            raise NoChange(f"no open {side or ''} position in {symbol}".replace("  ", " "), venue=client.market.venue)
        position = found[0]
        if spec.close_position:
            query = client.trading.close_position(symbol, position.side)
            await client.write(query, client_id=None, urgent=True)
            return None
        request = OrderRequest(
            symbol=symbol,
            side="sell" if position.side == "long" else "buy",
            kind="market",
            size=position.size,
            reduce_only=True,
            position_side=side,
        )
        _, order = await self._prepare(request)
        if client.options.dry_run:
            client.check((order,))
            return pending_order(client, order)
        return await client.fates.place(order, urgent=True)

    async def account_flags(self, market: str | None = None) -> dict[str, AccountFlags]:
        """Ask what the key may do, by market name."""
        return {
            client.market.name: await client.read(client.trading.account_flags())
            for client in await self._clients(market)
        }

    async def _set(self, client: TradingClient, query: Query[None]) -> None:
        try:
            await client.write(query, client_id=None)
        except NoChange:
            return
