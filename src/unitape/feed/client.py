"""HTTP to one market, within the budget that its host grants."""

from __future__ import annotations

from typing import Final, TypeVar

import anyio
from msgspec import structs

from unitape.clock import Clock
from unitape.errors import TransportError, UnitapeError, WireError
from unitape.feed.budget import Budgets
from unitape.spi import Endpoint, HttpRequest, HttpResponse, Market, Query
from unitape.transport.base import Transport

__all__ = ["RestClient"]

T = TypeVar("T")

REQUESTS_AT_ONCE: Final = 8


class RestClient:
    """Sends a market's requests one by one as the budget allows, a few at a time."""

    def __init__(
        self, market: Market, endpoint: Endpoint, transport: Transport, budgets: Budgets, clock: Clock, timeout: float
    ) -> None:
        self.market = market
        self.endpoint = endpoint
        self.transport = transport
        self.budgets = budgets
        self.budget = budgets.host(endpoint.rest)
        self.budget.add(budget for budget in market.limits.budgets if budget.scope == "address")
        self._clock = clock
        self._timeout = timeout
        self._at_once = anyio.CapacityLimiter(REQUESTS_AT_ONCE)

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send a request and return its answer, whatever its status.

        Raises:
            TransportError: no answer came.
        """
        complete = structs.replace(request, headers=self.endpoint.headers + request.headers)
        async with self._at_once:
            await self.budget.take(request)
            response = await self.transport.request(self.endpoint.rest, complete, self._timeout)
        self.budget.observe(response)
        return response

    async def fetch(self, query: Query[T]) -> T:
        """Send a query and return what its answer says.

        Raises:
            VenueError: the venue refuses.
            WireError: its answer cannot be understood.
            TransportError: no answer came.
        """
        response = await self.request(query.request)
        try:
            return query.read(response, self._clock.wall())
        except (UnitapeError, TransportError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error} in the answer to {query.name}"
            raise WireError(reason, response.body, venue=self.market.venue) from error
