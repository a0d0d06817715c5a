"""What the simulated markets refuse, and what the adapter makes of it."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.binance.desk import (
    ANN,
    ED,
    MARKETS,
    PRIVATE,
    READER,
    SECOND,
    D,
    Desk,
    U,
)
from unitape.errors import (
    AuthenticationFailed,
    DuplicateOrder,
    InsufficientFunds,
    InvalidOrder,
    InvalidSymbol,
    MarketClosed,
    OrderNotFound,
    PostOnlyWouldCross,
    RateLimited,
    ReduceOnlyRejected,
    TimestampOutOfWindow,
    TooManyOpenOrders,
    Unsupported,
)
from unitape.spi import (
    Credentials,
    HttpRequest,
    HttpResponse,
    OrderRef,
)


def shifted(desk, **fields):
    return desk.new(price=desk.far(), **fields)


@MARKETS
@pytest.mark.parametrize(
    ("make", "expected", "codes"),
    [
        (lambda d: d.new(price=d.far() + d.spec.tick / 2), InvalidOrder, ("-1013", "-4014")),
        (lambda d: shifted(d, size=str(d.spec.step * D("1.5"))), InvalidOrder, ("-1013", "-4023")),
        (lambda d: shifted(d, size="0"), InvalidOrder, ("-1013", "-4004")),
        (lambda d: shifted(d, size=str(d.spec.step * 900_000_001)), InvalidOrder, ("-1013", "-4005")),
        (lambda d: d.new(price=d.far(), size="10"), InsufficientFunds, ("-2010", "-2019")),
        (
            lambda d: d.new(price=d.price(d.best.ask), tif="post_only"),
            PostOnlyWouldCross,
            ("-2010", "-5022"),
        ),
        (lambda d: shifted(d, client_id="dup"), DuplicateOrder, ("-2010", "-4116")),
    ],
)
def test_refused_orders(market, make, expected, codes):
    desk = Desk(market)
    if market == "usdm":
        desk.exchange.accounts.set_leverage("ann", U, 1)
    desk.place(price=desk.far(), client_id="dup")
    with pytest.raises(expected) as caught:
        desk.ask(desk.trading.place(make(desk)))
    assert caught.value.code == codes[market == "usdm"]
    assert len(desk.exchange.accounts.open_orders("ann")) == 1


@MARKETS
def test_smallest_notionals(market):
    desk = Desk(market)
    for spec in desk.exchange.instruments:
        price = desk.exchange.best(spec.symbol).bid * 98 // 100 * spec.tick
        if price * spec.step < 5:
            break
    else:
        pytest.fail("no instrument whose step is worth less than the smallest notional")
    with pytest.raises(InvalidOrder) as caught:
        desk.place(symbol=spec.symbol, price=price, size=str(spec.step))
    assert caught.value.code == ("-4164" if market == "usdm" else "-1013")
    assert "notional" in caught.value.text.lower()


def test_prices_outside_the_band_of_futures():
    desk = Desk("usdm")
    with pytest.raises(InvalidOrder, match="-4016"):
        desk.place(price=desk.price(desk.best.ask * 107 // 100))
    with pytest.raises(InvalidOrder, match="-4024"):
        desk.place("sell", price=desk.price(desk.best.bid * 93 // 100))


def test_reduce_only_without_a_position():
    desk = Desk("usdm")
    with pytest.raises(ReduceOnlyRejected):
        desk.place("sell", price=desk.far("sell"), reduce_only=True)


@MARKETS
def test_orders_that_nobody_knows(market):
    desk = Desk(market)
    for ref in (OrderRef(desk.symbol, "12345"), OrderRef(desk.symbol, client_id="nobody")):
        with pytest.raises(OrderNotFound) as caught:
            desk.ask(desk.trading.order(ref))
        assert caught.value.code == "-2013"
        with pytest.raises(OrderNotFound) as caught:
            desk.ask(desk.trading.cancel(ref))
        assert caught.value.code == "-2011"


@MARKETS
def test_closed_and_unknown_markets(market):
    desk = Desk(market)
    desk.exchange.accounts.close_market(desk.symbol)
    with pytest.raises(MarketClosed):
        desk.place(price=desk.far())
    query = desk.trading.open_orders(desk.symbol)
    wrong = structs.replace(query.request, query="symbol=NOSUCH")
    with pytest.raises(InvalidSymbol):
        query.read(desk.send(desk.trading.sign(wrong, desk.keys, desk.exchange.now)), 1)


@MARKETS
def test_too_many_open_orders(market):
    desk = Desk(market, enforce_limits=False)
    size = str(desk.spec.step * (40 if market == "spot" else 1))
    for _ in range(200):
        desk.place(price=desk.far(), size=size)
    with pytest.raises(TooManyOpenOrders):
        desk.place(price=desk.far(), size=size)


@MARKETS
@pytest.mark.parametrize("user", [ANN, ED], ids=["hmac", "ed25519"])
def test_signatures(market, user):
    desk = Desk(market, user=user)
    desk.keys = Credentials(user.key, PRIVATE if user is ED else user.secret)
    query = desk.trading.balances()
    assert desk.ask(query)
    signed = desk.trading.sign(query.request, desk.keys, desk.exchange.now)
    spoilt = [
        structs.replace(signed, query=signed.query.replace("recvWindow=5000", "recvWindow=5001")),
        structs.replace(signed, query=signed.query[:-3]),
    ]
    if market == "usdm":
        spoilt.append(structs.replace(signed, query=f"{signed.query}&x=1"))
    for request in spoilt:
        with pytest.raises(AuthenticationFailed) as caught:
            query.read(desk.send(request), 1)
        assert caught.value.code == "-1022"
    for headers, code in (((), "-2014"), ((("X-MBX-APIKEY", "nobody"),), "-2015")):
        with pytest.raises(AuthenticationFailed) as caught:
            query.read(desk.send(structs.replace(signed, headers=headers)), 1)
        assert (caught.value.code, caught.value.status) == (code, 401)


@MARKETS
def test_what_is_in_the_body_is_signed_and_read(market):
    desk = Desk(market)
    query = desk.trading.place(desk.new(price=desk.far()))
    moved = structs.replace(query.request, query="", body=query.request.query.encode())
    order = query.read(desk.send(desk.trading.sign(moved, desk.keys, desk.exchange.now)), 1)
    assert order.status == "open"


@MARKETS
@pytest.mark.parametrize(("late", "fits"), [(0.0, True), (5.0, True), (5.001, False), (-0.999, True), (-1.0, False)])
def test_time_windows(market, late, fits):
    desk = Desk(market)
    query = desk.trading.open_orders(desk.symbol)
    if fits:
        assert desk.ask(query, late=late) == []
        return
    with pytest.raises(TimestampOutOfWindow) as caught:
        desk.ask(query, late=late)
    assert caught.value.code == "-1021"


@MARKETS
def test_those_who_may_only_read(market):
    desk = Desk(market, user=READER)
    assert desk.ask(desk.trading.balances())
    with pytest.raises(AuthenticationFailed) as caught:
        desk.place(price=desk.far(), size="0.001")
    assert caught.value.code == "-2015"
    assert desk.ask(desk.trading.account_flags()).can_trade is False


@MARKETS
def test_new_orders_are_counted(market):
    desk = Desk(market)
    limit = 300 if market == "usdm" else 100
    longer = "x-mbx-order-count-1m" if market == "usdm" else "x-mbx-order-count-1d"
    size = str(desk.spec.step * 40)
    for number in range(1, limit + 1):
        order = desk.place(price=desk.far(), size=size)
        assert desk.last.header("x-mbx-order-count-10s") == desk.last.header(longer) == str(number)
        desk.ask(desk.trading.cancel(OrderRef(desk.symbol, order.id)))
    with pytest.raises(RateLimited) as caught:
        desk.place(price=desk.far(), size=size)
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("-1015", 429, 10.0)
    desk.clock.now += 10 * SECOND
    desk.host.step()
    assert desk.place(price=desk.far(), size=size).status == "open"
    assert desk.last.header("x-mbx-order-count-10s") == "1"


def raw(desk, method, path, query):
    request = HttpRequest(method, path, query, auth="signed", write=method != "GET")
    return desk.send(desk.trading.sign(request, desk.keys, desk.exchange.now))


@pytest.mark.parametrize(
    ("market", "query", "code"),
    [
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1", b"-1102"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=1&price=1&timeInForce=GTC", b"-1106"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&quoteOrderQty=1", b"-1106"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1E-3&price=1&timeInForce=GTC", b"-1100"),
        ("spot", "symbol=BTCUSDT&side=HOLD&type=MARKET&quantity=1", b"-1117"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=STOP&quantity=1", b"-1116"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1&timeInForce=GTX", b"-1115"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&reduceOnly=true", b"-1104"),
        ("spot", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&newClientOrderId=a%20b", b"-1100"),
        ("usdm", "symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=1&stopPrice=1", b"-4120"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&timeInForce=GTC", b"-1102"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&positionSide=LONG&reduceOnly=true", b"-1106"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&newClientOrderId=a%20b", b"-4015"),
        ("usdm", "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1&timeInForce=GTD", b"-1102"),
    ],
)
def test_parameters_are_read_strictly(market, query, code):
    desk = Desk(market)
    response = raw(desk, "POST", "/fapi/v1/order" if market == "usdm" else "/api/v3/order", query)
    assert response.status == 400
    assert code in response.body
    assert desk.exchange.accounts.orders("ann") == []


def test_an_acknowledgement_says_little():
    desk = Desk()
    order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newOrderRespType=ACK"
    body = raw(desk, "POST", "/api/v3/order", order).body
    query = desk.trading.place(desk.new(kind="market"))
    read = query.read(HttpResponse(200, body), 1)
    assert (read.status, read.filled, read.raw_status) == ("open", None, "")
    desk = Desk("usdm")
    order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01"
    body = raw(desk, "POST", "/fapi/v1/order", order).body
    read = desk.trading.place(desk.new(kind="market")).read(HttpResponse(200, body), 1)
    assert (read.status, read.filled) == ("open", D(0))


def test_what_is_not_simulated_is_not_there():
    desk = Desk()
    query = desk.trading.balances()
    missing = structs.replace(query.request, path="/api/v3/orderList/oco", method="POST")
    response = desk.send(desk.trading.sign(missing, desk.keys, desk.exchange.now))
    with pytest.raises(Unsupported):
        query.read(response, 1)
