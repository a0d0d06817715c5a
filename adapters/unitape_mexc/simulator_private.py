"""What the private endpoints of both simulated markets share: who may ask, how fast, and in which words of refusal.

It shares nothing with the code that signs requests and reads their answers, which it is there to judge.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from unitape.spi import HttpRequest, HttpResponse
from unitape.spi.simulated_accounts import AccountEvent, Accounts, RejectReason, SimOrder, SimUser
from unitape.spi.simulation import Exchange, FaceOptions, SimInstrument, fixed
from unitape_mexc.simulator_base import MILLIS, SECOND, Refusal, encode
from unitape_mexc.simulator_streams import ListenKeys, Watch

__all__ = [
    "FUTURES_WORDS",
    "SPOT_WORDS",
    "Endpoint",
    "PrivateFace",
    "Window",
    "answer",
    "average_text",
    "header",
    "is_signed",
]

Words: TypeAlias = Mapping[RejectReason, tuple[int, str]]
_JSON: Final = ("content-type", "application/json")

SPOT_WORDS: Final[Words] = {
    "unknown_symbol": (-1121, "Invalid symbol."),
    "market_closed": (30016, "Trading disabled"),
    "not_permitted": (700007, "No permission to access the endpoint."),
    "bad_request": (-1128, "Combination of optional parameters invalid."),
    "tick": (10096, "The price has too many decimals"),
    "step": (10096, "The quantity has too many decimals"),
    "min_size": (30002, "The minimum transaction volume cannot be less than the minimum"),
    "max_size": (30003, "The maximum transaction volume cannot be greater than the maximum"),
    "min_notional": (30002, "The minimum transaction volume cannot be less than:1USDT"),
    "price_band": (30087, "Order price exceeds allowed range"),
    "insufficient_funds": (30004, "Insufficient position"),
    "no_liquidity": (30025, "No opponent order"),
    "too_many_orders": (30029, "Cannot exceed the maximum order limit"),
    "order_not_found": (-2011, "Unknown order sent."),
    "order_closed": (-2011, "Unknown order sent."),
}
FUTURES_WORDS: Final[Words] = {
    "unknown_symbol": (1001, "Contract does not exist!"),
    "market_closed": (1002, "Contract not activated"),
    "not_permitted": (704, "No permission to place orders"),
    "bad_request": (600, "Parameter error"),
    "tick": (2015, "Price or quantity precision error"),
    "step": (2015, "Price or quantity precision error"),
    "min_size": (2011, "Quantity error"),
    "max_size": (2028, "Order quantity exceeds the maximum"),
    "min_notional": (2011, "Quantity error"),
    "price_band": (2007, "Price error"),
    "insufficient_funds": (2005, "Balance insufficient"),
    "no_liquidity": (2035, "Unsupported market price level"),
    "reduce_only": (2008, "Closable quantity insufficient"),
    "position_side": (7002, "Position mode mismatch"),
    "would_trigger_immediately": (3004, "Trigger price error"),
    "too_many_orders": (2036, "Too many open orders"),
    "order_not_found": (2040, "order not exist"),
    "order_closed": (2041, "order state cannot be cancelled"),
    "leverage": (2006, "Leverage error"),
    "in_use": (2019, "There is an open position or order"),
}


class Endpoint(Struct, frozen=True):
    """One private endpoint: what answers, what it costs, and whether it needs the right to trade."""

    serve: Callable[[SimUser, HttpRequest, Mapping[str, str]], object]
    weight: int = 1
    trades: bool = False
    orders: int = 0
    """What it takes of the budget of orders."""
    lags: bool = False
    """Whether it may be answered by a copy that is behind."""


class Window:
    """So many per rolling window and user."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._span = round(seconds * SECOND)
        self._used: dict[str, deque[int]] = {}

    def take(self, user: str, now: int, count: int) -> bool:
        """Count; False when it was too many."""
        used = self._used.setdefault(user, deque())
        while used and not now - self._span < used[0] <= now:
            used.popleft()
        if len(used) + count > self._limit:
            return False
        used.extend([now] * count)
        return True


class PrivateFace:
    """Private endpoints of one market. ``endpoints`` maps (method, path) to them; a path may end in ``/*``."""

    base = ""
    join = ""
    """What stands between base and quote in the venue's spelling."""
    words: Words = SPOT_WORDS

    def __init__(self, exchange: Exchange, options: FaceOptions) -> None:
        self._exchange = exchange
        self._accounts: Accounts = exchange.accounts
        self._settings = options.settings
        self._enforce = options.enforce_limits
        self._faults = options.faults
        self._lag = 0.0
        """How far the copy that answers the present request is behind, in seconds."""
        self.keys = ListenKeys(exchange.seed)
        self.endpoints: dict[tuple[str, str], Endpoint] = {}

    # What a market adds.

    def user(self, request: HttpRequest) -> SimUser:
        """Return who asks. Raises Refusal."""
        raise self.refusal(401, "Unauthorized")

    def known(self, key: str, stamp: str, text: str, signature: str) -> SimUser:
        """Return whose key it is, where a connection logs in by one. Raises Refusal."""
        raise self.refusal(401, "Unauthorized")

    def refusal(self, code: int, text: str, status: int = 200) -> Refusal:
        """Return a refusal in the market's form."""
        return Refusal(HttpResponse(status, encode({"code": code, "msg": text}), (_JSON,)))

    def too_many_orders(self) -> Refusal:
        """Return the refusal of orders that come too fast."""
        return self.refusal(429, "Too many requests", 429)

    def may_order(self, user: SimUser, now: int, count: int) -> bool:
        """Count orders."""
        return True

    def pushes(self, watch: Watch, event: AccountEvent) -> Iterable[bytes]:
        """Return what a listener is told of an event."""
        return ()

    # What the face calls.

    def find(self, request: HttpRequest) -> Endpoint | None:
        """Return the endpoint of a request; None where there is no such one."""
        path = request.path.removeprefix(self.base)
        if path == request.path:
            return None
        found = self.endpoints.get((request.method, path))
        while found is None and "/" in path:
            path = path.rpartition("/")[0]
            found = self.endpoints.get((request.method, f"{path}/*"))
        return found

    def serve(self, endpoint: Endpoint, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        """Return what an endpoint answers. Raises Refusal."""
        user = self.user(request)
        if endpoint.trades and "trade" not in user.permissions:
            raise self.rejected("not_permitted")
        if endpoint.orders and self._enforce and not self.may_order(user, self._exchange.now, endpoint.orders):
            raise self.too_many_orders()
        behind = self._faults.take("lagging_orders", request.path) if endpoint.lags else None
        self._lag = behind or 0.0
        try:
            return endpoint.serve(user, request, parameters)
        except (ValueError, KeyError):
            # A number that is none, or a path with too few parts.
            raise self.rejected("bad_request") from None

    # What the markets use.

    def rejected(self, reason: RejectReason) -> Refusal:
        """Return the market's words for a reason."""
        return self.refusal(*self.words.get(reason, self.words["bad_request"]))

    def raw(self, symbol: str) -> str:
        """Return the venue's spelling."""
        return symbol.partition(":")[0].replace("/", self.join)

    def item(self, raw: str) -> SimInstrument:
        """Return the instrument that is spelled so. Raises Refusal."""
        for item in self._exchange.instruments:
            if self.raw(item.symbol) == raw:
                return item
        raise self.rejected("unknown_symbol")

    def instrument(self, symbol: str) -> SimInstrument:
        """Return an instrument by its unified symbol."""
        return self._exchange.instrument(symbol)

    @property
    def millis(self) -> int:
        """The venue's clock in milliseconds."""
        return self._exchange.now // MILLIS


def answer(body: object, status: int = 200) -> HttpResponse:
    """Return a JSON answer."""
    return HttpResponse(status, encode(body), (_JSON,))


def header(request: HttpRequest, name: str) -> str:
    """Return a header, names compared in any case; empty where there is none."""
    return next((value for key, value in request.headers if key.lower() == name.lower()), "")


def is_signed(secret: str, text: str, signature: str) -> bool:
    """Tell whether the signature is that of the text."""
    wanted = hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()
    return hmac.compare_digest(wanted.encode(), signature.encode())


def average_text(item: SimInstrument, order: SimOrder) -> str:
    """Return the average price of what is filled, with up to 8 decimals."""
    return fixed(item.average_e8(order.amount, order.filled), 8)
