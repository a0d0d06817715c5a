"""Bourse: a tiny venue with a spot and a margin market, and the exchange behind it that breaks when a test says so.

The exchange checks signatures and times by itself, with nothing of the library.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import anyio
from msgspec import structs

from tests.feed.quarry import QuarryMarket
from unitape.errors import (
    ExchangeUnavailable,
    InsufficientFunds,
    InvalidOrder,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    TimestampOutOfWindow,
    TransportError,
    UnitapeError,
    VenueError,
    WireError,
)
from unitape.spi import (
    AccountFlags,
    Amendment,
    Budget,
    ClientIdRule,
    Credentials,
    Endpoint,
    HttpRequest,
    HttpResponse,
    Instruments,
    Limits,
    NewOrder,
    OrderRef,
    Query,
    TradingSettings,
    TradingSpec,
    Venue,
    encode_query,
)
from unitape.transport.memory import MemoryPeer
from unitape_schemas import Balance, Fill, Instrument, Order, Position

NAME = "bourse"
KEY, SECRET, PASSPHRASE = "key-8d1f0c55ab", "secret/+=77aa02cd", "pass phrase#9"
CREDENTIALS = Credentials(KEY, SECRET, PASSPHRASE)
MILLI = 1_000_000


def instrument(symbol: str, **changes: Any) -> Instrument:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    listed = Instrument(
        NAME, symbol, base + quote + ("P" if settle else ""), "margin" if settle else "spot", base, quote,
        settle or None, "linear" if settle else "spot", Decimal("0.01"), Decimal("0.001"), Decimal("0.002"),
        Decimal(50), Decimal(5), None, 1, "trading", True, None, None, 0,
    )  # fmt: skip
    return structs.replace(listed, **changes)


INSTRUMENTS = (
    instrument("BTC/EUR"),
    instrument("ETH/EUR"),
    instrument("OLD/EUR", status="closed"),
    instrument("WEB/EUR", api_tradable=False),
    instrument("BTC/EUR:EUR"),
    instrument("ETH/EUR:EUR"),
)
SPOT_SPEC = TradingSpec(
    kinds=("limit", "market"),
    tifs=("gtc", "ioc", "fok", "post_only"),
    client_ids=ClientIdRule(),
    sides_by_cost=("buy",),
    validate=True,
    cancel_all="symbol",
    batch_place=3,
    batch_cancel=3,
    amend=True,
    history_page=5,
)
MARGIN_SPEC = TradingSpec(
    kinds=("limit", "market", "stop", "take_profit", "stop_limit", "take_profit_limit"),
    tifs=("gtc", "ioc", "gtd"),
    client_ids=ClientIdRule(max_length=24),
    trigger_by=("last", "mark"),
    cancel_all="none",
    reduce_only=True,
    position_modes=("one_way", "hedge"),
    leverage=True,
    margin_modes=("cross",),
    attached=True,
    query_by_client_id=False,
    cancel_by_client_id=False,
    history_needs_symbol=False,
)
BUDGETS = (
    Budget("weight", 1_000, 60.0, header="x-used"),
    Budget("orders", 20, 10.0, aligned=False, scope="account"),
)


@dataclass
class BourseTrading:
    market: BourseMarket
    instruments: Instruments
    settings: TradingSettings

    @property
    def spec(self) -> TradingSpec:
        return self.market.spec

    def sign(self, request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
        stamped = f"{request.query}&ts={ts // MILLI}" if request.query else f"ts={ts // MILLI}"
        text = f"{request.method} {request.path}?{stamped}".encode() + request.body
        signature = hmac.new(credentials.secret.encode(), text, hashlib.sha256).hexdigest()
        headers = (*request.headers, ("X-KEY", credentials.key), ("X-PASS", credentials.passphrase or ""))
        return structs.replace(request, query=f"{stamped}&sig={signature}", headers=headers)

    def _query(
        self, name: str, method: Any, path: str, read: Any, params: dict[str, Any] | None = None, *, orders: int = 0
    ) -> Query[Any]:
        request = HttpRequest(
            method,
            f"/{self.market.name}{path}",
            encode_query(params or {}),
            auth="signed",
            write=method != "GET",
            also=(("orders", orders),) if orders else (),
        )

        def answer(response: HttpResponse, ts: int) -> Any:
            if response.status != 200:
                raise self.market.read_error(response, request)
            try:
                body = json.loads(response.body)
            except ValueError as error:
                raise WireError("not JSON", response.body, venue=NAME) from error
            return read(body, ts)

        return Query(name, request, answer)

    def _order(self, row: dict[str, Any], ts: int) -> Order:
        listed = self.instruments.get_raw(row["s"])
        assert listed is not None
        number = {name: Decimal(row[name]) if row.get(name) else None for name in ("p", "q", "f", "trg")}
        return Order(
            NAME, listed.symbol, 0, 0, ts, row["id"], row["cid"], row["side"], row["kind"], row.get("tif"),
            number["p"], number["trg"], number["q"], number["f"] or Decimal(0), None, row["st"], row.get("ro"),
            row.get("ps"), row["t"] * MILLI, row["t"] * MILLI, "answer", row["st"],
        )  # fmt: skip

    def _row(self, row: dict[str, Any], ts: int) -> Order | UnitapeError:
        if row.get("open"):
            return OutcomeUnknown(row["why"], venue=NAME, client_id=None)
        return InvalidOrder(row["why"], venue=NAME, code="-4") if "why" in row else self._order(row, ts)

    def _rows(self, rows: list[Any], ts: int) -> list[Order]:
        return [self._order(row, ts) for row in rows]

    def _raw(self, symbol: str | None) -> str | None:
        return None if symbol is None else self.instruments.require(symbol).raw_symbol

    def _params(self, order: NewOrder) -> dict[str, Any]:
        plain = {
            name: format(value, "f") if value is not None else None
            for name, value in (("q", order.size), ("c", order.cost), ("p", order.price), ("trg", order.trigger))
        }
        return {
            "s": self._raw(order.symbol), "side": order.side, "kind": order.kind, "cid": order.client_id, **plain,
            "tif": order.tif, "ro": "1" if order.reduce_only else None, "ps": order.position_side,
        }  # fmt: skip

    def place(self, order: NewOrder) -> Query[Order]:
        return self._query("place", "POST", "/order", self._order, self._params(order), orders=1)

    def validate(self, order: NewOrder) -> Query[None]:
        return self._query("validate", "POST", "/check", lambda body, ts: None, self._params(order))

    def place_many(self, orders: Sequence[NewOrder]) -> Query[list[Order | UnitapeError]]:
        listed = json.dumps([{k: v for k, v in self._params(order).items() if v is not None} for order in orders])
        read = lambda body, ts: [self._row(row, ts) for row in body]  # noqa: E731
        return self._query("place_many", "POST", "/orders", read, {"list": listed}, orders=len(orders))

    def cancel(self, order: OrderRef) -> Query[Order | None]:
        params = {"s": self._raw(order.symbol), "id": order.id, "cid": None if order.id else order.client_id}
        path = "/stop" if order.conditional else "/order"
        return self._query("cancel", "DELETE", path, self._order, params)

    def cancel_many(self, orders: Sequence[OrderRef]) -> Query[list[Order | UnitapeError | None]]:
        params = {"s": self._raw(orders[0].symbol), "ids": ",".join(order.id or "" for order in orders)}
        read = lambda body, ts: [self._row(row, ts) for row in body]  # noqa: E731
        return self._query("cancel_many", "DELETE", "/orders", read, params)

    def cancel_all(self, symbol: str | None) -> Query[list[Order]]:
        return self._query("cancel_all", "DELETE", "/all", self._rows, {"s": self._raw(symbol)})

    def cancel_all_conditional(self, symbol: str | None) -> Query[list[Order]] | None:
        return None

    def amend(self, change: Amendment) -> Query[Order]:
        params = {
            "s": self._raw(change.order.symbol), "id": change.order.id, "cid": change.order.client_id,
            "q": change.size, "p": change.price,
        }  # fmt: skip
        return self._query("amend", "PUT", "/order", self._order, params)

    def order(self, order: OrderRef) -> Query[Order]:
        params = {"s": self._raw(order.symbol), "id": order.id, "cid": order.client_id}
        return self._query("order", "GET", "/order", self._order, params)

    def open_orders(self, symbol: str | None = None) -> Query[list[Order]]:
        return self._query("open_orders", "GET", "/open", self._rows, {"s": self._raw(symbol)})

    def open_conditional(self, symbol: str | None = None) -> Query[list[Order]] | None:
        if self.market.name == "spot":
            return None
        return self._query("open_conditional", "GET", "/stops", self._rows, {"s": self._raw(symbol)})

    def order_history(
        self, symbol: str | None, *, start: int | None = None, end: int | None = None, limit: int | None = None
    ) -> Query[list[Order]]:
        params = {"s": self._raw(symbol), **_range(start, end), "limit": limit}
        return self._query("order_history", "GET", "/history", self._rows, params)

    def fills(
        self,
        symbol: str | None,
        *,
        order_id: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> Query[list[Fill]]:
        def read(rows: list[dict[str, Any]], ts: int) -> list[Fill]:
            return [
                Fill(
                    NAME, symbol or "", row["t"] * MILLI, 0, ts, row["id"], row["oid"], None, "buy", Decimal(row["p"]),
                    Decimal(row["q"]), None, None, None, None, "answer",
                )
                for row in rows
            ]  # fmt: skip

        params = {"s": self._raw(symbol), "oid": order_id, **_range(start, end), "limit": limit}
        return self._query("fills", "GET", "/fills", read, params)

    def balances(self) -> Query[list[Balance]]:
        def read(rows: dict[str, str], ts: int) -> list[Balance]:
            return [
                Balance(NAME, "", 0, 0, ts, name, Decimal(free), None, None, self.market.name)
                for name, free in rows.items()
            ]

        return self._query("balances", "GET", "/balances", read)

    def positions(self, symbol: str | None = None) -> Query[list[Position]]:
        def read(rows: list[dict[str, str]], ts: int) -> list[Position]:
            return [
                Position(
                    NAME, self.instruments.symbol(row["s"]), 0, 0, ts, row["side"], Decimal(row["q"]), None, None, None,
                    None, None, None, None,
                )
                for row in rows
            ]  # fmt: skip

        return self._query("positions", "GET", "/positions", read, {"s": self._raw(symbol)})

    def _setting(self, name: str, **params: Any) -> Query[None]:
        return self._query(name, "POST", f"/{name}", lambda body, ts: None, params)

    def set_leverage(self, symbol: str, leverage: int) -> Query[None]:
        return self._setting("leverage", s=self._raw(symbol), n=leverage)

    def set_margin_mode(self, symbol: str, mode: Any) -> Query[None]:
        return self._setting("margin", s=self._raw(symbol), mode=mode)

    def set_position_mode(self, mode: Any) -> Query[None]:
        return self._setting("mode", mode=mode)

    def close_position(self, symbol: str, side: Any) -> Query[None]:
        return self._setting("close", s=self._raw(symbol), side=side)

    def account_flags(self) -> Query[AccountFlags]:
        return self._query("account_flags", "GET", "/flags", lambda body, ts: AccountFlags(**body))


def _range(start: int | None, end: int | None) -> dict[str, int | None]:
    return {
        "from": None if start is None else start // MILLI,
        "to": None if end is None else end // MILLI,
    }


@dataclass
class BourseRest:
    market: BourseMarket

    def _query(self, name: str, path: str, read: Any) -> Query[Any]:
        def answer(response: HttpResponse, ts: int) -> Any:
            if response.status != 200:
                raise self.market.read_error(response, query.request)
            return read(json.loads(response.body))

        query = Query(name, HttpRequest("GET", path), answer)
        return query

    def instruments(self) -> Query[list[Instrument]]:
        mine = [one for one in INSTRUMENTS if one.market == self.market.name]
        return self._query("instruments", "/instruments", lambda body: mine)

    def time(self) -> Query[int]:
        return self._query("time", "/time", lambda body: body["t"] * MILLI)


@dataclass(frozen=True)
class BourseMarket(QuarryMarket):
    venue: str = NAME
    spec: TradingSpec = SPOT_SPEC
    endpoints: Mapping[str, Endpoint] = field(
        default_factory=lambda: {"live": Endpoint("http://bourse.test", {"public": "ws://bourse.test"})}
    )
    catalogue: Sequence[Instrument] = INSTRUMENTS
    refuses: dict[str, Any] = field(default_factory=dict)

    def owns(self, symbol: str) -> bool:
        return ("/" in symbol) and (":" in symbol) is (self.name == "margin")

    def rest(self, instruments: Instruments) -> Any:
        return BourseRest(self)

    def trading(self, instruments: Instruments, settings: TradingSettings) -> BourseTrading:
        return BourseTrading(self, instruments, settings)

    def read_error(self, response: HttpResponse, request: HttpRequest) -> Exception:
        try:
            body = json.loads(response.body)
        except ValueError:
            body = {}
        code, text = str(body.get("code", "")), body.get("msg", response.body.decode())
        if response.status == 429:
            return RateLimited(text, venue=NAME, status=429, retry_after=body.get("after"))
        kinds: dict[str, type[VenueError]] = {
            "-1": OrderNotFound, "-2": InsufficientFunds, "-4": InvalidOrder, "-7": ExchangeUnavailable,
            "-9": TimestampOutOfWindow,
        }  # fmt: skip
        if code == "-8":
            return OutcomeUnknown(text, venue=NAME, client_id=None)
        if code in kinds:
            return kinds[code](text, venue=NAME, code=code, status=response.status)
        if response.status >= 500:
            return ExchangeUnavailable(text, venue=NAME, status=response.status)
        return VenueError(text, venue=NAME, status=response.status)


def limits(budgets: tuple[Budget, ...] = BUDGETS) -> Limits:
    return Limits(10, 10, 10.0, 100, 60.0, None, None, budgets=budgets)


def venue(spot: TradingSpec = SPOT_SPEC, margin: TradingSpec = MARGIN_SPEC, **settings: Any) -> Venue:
    given = {"limits": limits(), **settings}
    return Venue(
        NAME,
        "Bourse",
        (BourseMarket(name="spot", spec=spot, **given), BourseMarket(name="margin", spec=margin, **given)),
    )


@dataclass
class Seen:
    """One request as it arrived."""

    at: float
    method: str
    path: str
    params: dict[str, str]
    target: str


@dataclass
class Bourse:
    """The exchange. ``skew`` is how far its clock is ahead in seconds, ``latency`` what an answer takes."""

    clock: Any
    skew: float = 0.0
    latency: float = 0.05
    window: float = 1.0
    used: int = 0
    seen: list[Seen] = field(default_factory=list)
    faults: dict[str, deque[Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    stops: dict[str, dict[str, Any]] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)
    positions: list[dict[str, str]] = field(default_factory=list)
    numbers: int = 0

    def fail(self, path: str, *faults: Any) -> None:
        """Let the next requests to a path end so: a response, or ``lose`` before or ``lost`` after executing."""
        self.faults.setdefault(path, deque()).extend(faults)

    def count(self, path: str, method: str | None = None) -> int:
        return sum(one.path == path and method in (None, one.method) for one in self.seen)

    def now(self) -> int:
        return self.clock.wall() // MILLI + round(self.skew * 1000)

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        params = dict(parse_qsl(request.query, keep_blank_values=True))
        self.seen.append(Seen(anyio.current_time(), request.method, request.path, params, request.target))
        await anyio.sleep(self.latency / 2)
        waiting = self.faults.get(request.path)
        fault = waiting.popleft() if waiting else None
        if isinstance(fault, HttpResponse):
            return fault
        if callable(fault):
            return fault(request)
        if fault == "refused":
            raise TransportError("connection refused", sent=False)
        if fault == "lose":
            raise TransportError(f"the connection broke after {request.target} with {dict(request.headers)}")
        if fault == "explode":
            raise RuntimeError(f"a fault at {request.target}")
        if fault == "hang":
            await anyio.sleep_forever()
        answer = self._answer(request, params)
        if fault == "lost":
            raise TransportError("the connection broke before the answer")
        await anyio.sleep(self.latency / 2)
        return structs.replace(answer, headers=(*answer.headers, ("x-used", str(self.used))))

    def _answer(self, request: HttpRequest, params: dict[str, str]) -> HttpResponse:
        if request.path == "/time":
            return _ok({"t": self.now()})
        if request.path == "/instruments":
            return _ok([])
        headers = dict(request.headers)
        unsigned, _, signature = request.target.rpartition("&sig=")
        text = f"{request.method} {unsigned}".encode() + request.body
        if signature != hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest():
            return _no(401, "-3", "bad signature")
        if (headers.get("X-KEY"), headers.get("X-PASS")) != (KEY, PASSPHRASE):
            return _no(401, "-3", "bad key")
        if abs(int(params["ts"]) - self.now()) > self.window * 1000:
            return _no(400, "-9", "time outside the window")
        market, _, action = request.path[1:].partition("/")
        return getattr(self, f"_{request.method.lower()}_{action}")(market, params)

    def _book(self, params: dict[str, str]) -> dict[str, Any]:
        self.numbers += 1
        row = {**params, "id": str(self.numbers), "f": "0", "st": "open", "t": self.now()}
        row["ro"] = params.get("ro") == "1"
        if any(one["cid"] == row["cid"] for one in self.orders.values()):
            return {"why": "duplicate"}
        (self.stops if "trg" in row else self.orders)[row["id"]] = row
        return row

    def _post_order(self, market: str, params: dict[str, str]) -> HttpResponse:
        row = self._book(params)
        return _no(400, "-4", row["why"]) if "why" in row else _ok(row)

    def _post_check(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok({})

    def _post_orders(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok([self._book(row) for row in json.loads(params["list"])])

    def _find(self, params: dict[str, str]) -> dict[str, Any] | None:
        for row in (*self.orders.values(), *self.stops.values()):
            if all(row[name] == params.get(name, row[name]) for name in ("s", "id", "cid")):
                return row
        return None

    def _end(self, row: dict[str, Any] | None) -> dict[str, Any] | None:
        if row is None or row["st"] != "open":
            return None
        row["st"] = "canceled"
        return row

    def _delete_order(self, market: str, params: dict[str, str]) -> HttpResponse:
        row = self._end(self._find(params))
        return _no(400, "-1", "unknown order") if row is None else _ok(row)

    _delete_stop = _delete_order

    def _delete_orders(self, market: str, params: dict[str, str]) -> HttpResponse:
        rows = [self._end(self._find({"s": params["s"], "id": one})) for one in params["ids"].split(",")]
        return _ok([row or {"why": "unknown order"} for row in rows])

    def _delete_all(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok([self._end(row) for row in self._open(self.orders, market, params)])

    def _put_order(self, market: str, params: dict[str, str]) -> HttpResponse:
        row = self._find({k: v for k, v in params.items() if k in ("s", "id", "cid")})
        if row is None:
            return _no(400, "-1", "unknown order")
        row.update({k: v for k, v in params.items() if k in ("p", "q")})
        return _ok(row)

    def _get_order(self, market: str, params: dict[str, str]) -> HttpResponse:
        row = self._find(params)
        return _no(400, "-1", "unknown order") if row is None else _ok(row)

    def _open(self, rows: dict[str, Any], market: str, params: dict[str, str]) -> list[dict[str, Any]]:
        return [
            row
            for row in rows.values()
            if row["st"] == "open"
            and row["s"].endswith("P") is (market == "margin")
            and row["s"] == params.get("s", row["s"])
        ]

    def _get_open(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok(self._open(self.orders, market, params))

    def _get_stops(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok(self._open(self.stops, market, params))

    def _page(self, rows: Sequence[dict[str, Any]], params: dict[str, str]) -> HttpResponse:
        first, last = int(params.get("from", 0)), int(params.get("to", 10**18))
        found = [
            row for row in rows if first <= row["t"] <= last and params.get("oid", row.get("oid")) == row.get("oid")
        ]
        return _ok(found[-int(params["limit"]) :])

    def _get_history(self, market: str, params: dict[str, str]) -> HttpResponse:
        return self._page(list(self.orders.values()), params)

    def _get_fills(self, market: str, params: dict[str, str]) -> HttpResponse:
        return self._page(self.fills, params)

    def _get_balances(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok({"EUR": "1000.50"} if market == "spot" else {"EUR": "7"})

    def _get_positions(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok([row for row in self.positions if params.get("s", row["s"]) == row["s"]])

    def _get_flags(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok({"can_trade": True})

    def _setting(self, market: str, params: dict[str, str]) -> HttpResponse:
        return _ok({})

    _post_leverage = _post_margin = _post_mode = _post_close = _setting

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        """Take every connection and say nothing on it but acknowledgements."""

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        said = data.decode()
        if said.startswith("SUB "):
            peer.send(json.dumps({"ok": said[4:].split(",")}).encode())

    def closed(self, peer: MemoryPeer) -> None:
        """Nobody is missed."""


def _ok(body: Any) -> HttpResponse:
    return HttpResponse(200, json.dumps(body).encode())


def _no(status: int, code: str, text: str) -> HttpResponse:
    return HttpResponse(status, json.dumps({"code": code, "msg": text}).encode())


refusal = _no

VENUE = venue()
"""What an entry point would name."""
