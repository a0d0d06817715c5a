"""The verbs: one vocabulary on a market that can and on one that cannot, and refusals before any request."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.feed import quarry
from tests.trade import bourse as toy
from tests.trade.bourse import Bourse, refusal
from unitape.adapter import Adapter, TradingAdapter, VenueAdapter
from unitape.errors import (
    ConfigError,
    DuplicateOrder,
    InvalidOrder,
    InvalidSymbol,
    MarketClosed,
    NoChange,
    OrderNotFound,
    OutcomeUnknown,
    TransportError,
    UnitapeError,
    Unsupported,
)
from unitape.spi import HttpResponse, OrderRef, TradingSettings
from unitape.trade.requests import OrderRequest, TradingOptions
from unitape_schemas import Order

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]
SPOT, MARGIN = "BTC/EUR", "BTC/EUR:EUR"
HEDGE = TradingSettings(position_mode="hedge")
MILLI = 1_000_000


async def limit(trader: VenueAdapter, symbol: str = SPOT, **changes: Any) -> Order:
    return await trader.place(symbol, "buy", **{"size": "1", "price": "100", **changes})


def private(bourse: Bourse) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in bourse.seen if one.path not in ("/time", "/instruments")]


def ids(orders: list[Any]) -> list[Any]:
    return [one.id if isinstance(one, Order) else type(one) for one in orders]


async def test_the_four_verbs_stand_on_the_protocol(trader: Make) -> None:
    adapter = trader()
    assert isinstance(adapter, Adapter)
    assert isinstance(adapter, TradingAdapter)
    taken = inspect.signature(VenueAdapter.place).parameters
    for field in OrderRequest.__struct_fields__:
        assert field in taken, "place takes whatever an order request can say"


REFUSED: list[tuple[str, Callable[[VenueAdapter], Awaitable[Any]], type[UnitapeError]]] = [
    ("float price", lambda a: limit(a, price=100.0), ConfigError),
    ("off the tick", lambda a: limit(a, price="100.001"), InvalidOrder),
    ("off the step", lambda a: limit(a, size="1.0001"), InvalidOrder),
    ("too small", lambda a: limit(a, price="1"), InvalidOrder),
    ("unknown symbol", lambda a: limit(a, "NIX/EUR"), InvalidSymbol),
    ("not a symbol", lambda a: limit(a, "NIX"), ConfigError),
    ("closed", lambda a: limit(a, "OLD/EUR"), MarketClosed),
    ("not by API", lambda a: limit(a, "WEB/EUR"), MarketClosed),
    ("bad client id", lambda a: limit(a, client_id="no spaces please"), ConfigError),
    ("long client id", lambda a: limit(a, MARGIN, client_id="x" * 25), ConfigError),
    ("no such kind", lambda a: a.place(SPOT, "buy", "stop", size="1", trigger="1"), Unsupported),
    ("no check", lambda a: limit(a, MARGIN, validate=True), Unsupported),
    ("no amend", lambda a: a.amend(MARGIN, id="1", price="1"), Unsupported),
    ("amend off the tick", lambda a: a.amend(SPOT, id="1", price="1.001"), InvalidOrder),
    ("amend by a float", lambda a: a.amend(SPOT, id="1", price=1.5), ConfigError),
    ("nothing named", lambda a: a.cancel(SPOT), ConfigError),
    ("nothing asked", lambda a: a.order(SPOT), ConfigError),
    ("nothing named among many", lambda a: a.cancel_many([OrderRef(SPOT)]), ConfigError),
    ("no positions", lambda a: a.positions(SPOT), Unsupported),
    ("no positions here", lambda a: a.positions(market="spot"), Unsupported),
    ("no leverage", lambda a: a.set_leverage(SPOT, 5), Unsupported),
    ("half a leverage", lambda a: a.set_leverage(MARGIN, 2.5), ConfigError),
    ("no leverage at all", lambda a: a.set_leverage(MARGIN, 0), ConfigError),
    ("no margin mode", lambda a: a.set_margin_mode(MARGIN, "isolated"), Unsupported),
    ("no hedging", lambda a: a.set_position_mode("hedge", market="spot"), Unsupported),
    ("nothing to close", lambda a: a.close_position(SPOT), Unsupported),
    ("history of what", lambda a: a.order_history(), ConfigError),
    ("spot history of what", lambda a: a.fills(market="spot"), ConfigError),
    ("end alone", lambda a: a.fills(SPOT, end=5), ConfigError),
    ("one of two is wrong", lambda a: a.place_many([request(), request(price="0.001")]), InvalidOrder),
    ("the same id twice", lambda a: a.place_many([request(client_id="a"), request(client_id="a")]), ConfigError),
]


def request(**changes: Any) -> OrderRequest:
    return OrderRequest(**{"symbol": SPOT, "side": "buy", "size": "1", "price": "100", **changes})


@pytest.mark.parametrize(("what", "call", "kind"), REFUSED, ids=[what for what, _, _ in REFUSED])
async def test_what_cannot_be_is_refused_before_any_request(
    bourse: Bourse, trader: Make, what: str, call: Callable[[VenueAdapter], Awaitable[Any]], kind: type[UnitapeError]
) -> None:
    async with trader() as adapter:
        with pytest.raises(kind) as refused:
            await call(adapter)
    assert type(refused.value) is kind
    assert private(bourse) == []


async def test_a_venue_without_trading_says_so(bourse: Bourse, trader: Make) -> None:
    async with trader(declaration=quarry.venue(), offline=True) as adapter:
        for call in (limit(adapter), adapter.balances(), adapter.cancel(SPOT, id="1")):
            with pytest.raises(Unsupported, match="serves data only"):
                await call
        with pytest.raises(Unsupported):
            adapter.capabilities()
    assert private(bourse) == []


async def test_capabilities_need_no_network(bourse: Bourse, trader: Make) -> None:
    assert trader().capabilities("margin") is toy.MARGIN_SPEC
    assert trader().capabilities() is toy.SPOT_SPEC
    assert bourse.seen == []


async def test_numbers_arrive_exactly_and_without_exponent(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        order = await limit(adapter, size=Decimal("1E+1"), price="1234.50")
        rounded = await limit(adapter, size="0.1239", round_size=True)
    assert [(one.params["q"], one.params["p"]) for one in bourse.seen if one.path == "/spot/order"] == [
        ("10", "1234.5"),
        ("0.123", "100"),
    ]
    assert (order.size, order.price, rounded.size) == (Decimal(10), Decimal("1234.5"), Decimal("0.123"))


async def test_a_dry_run_checks_everything_and_sends_nothing(bourse: Bourse, trader: Make) -> None:
    async with trader(trading=TradingOptions(dry_run=True), credentials=None) as adapter:
        order = await limit(adapter, MARGIN, reduce_only=True, tif="ioc")
        assert (order.status, order.id, order.size, order.price) == ("pending", None, Decimal(1), Decimal(100))
        assert (order.reduce_only, order.tif, order.kind, order.side) == (True, "ioc", "limit", "buy")
        assert order.client_id
        spot = await limit(adapter)
        assert (spot.reduce_only, spot.tif) == (None, "gtc")
        assert [one.status for one in await adapter.place_many([request(), request()])] == ["pending"] * 2
        with pytest.raises(InvalidOrder):
            await limit(adapter, price="100.001")
        for call in (adapter.cancel(SPOT, id="1"), adapter.set_leverage(MARGIN, 5)):
            with pytest.raises(ConfigError, match="dry run"):
                await call
    assert private(bourse) == []


async def test_validate_checks_at_the_venue_and_places_nothing(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        order = await limit(adapter, validate=True)
        bourse.fail("/spot/check", refusal(400, "-4", "the venue knows better"))
        with pytest.raises(InvalidOrder, match="knows better"):
            await limit(adapter, validate=True)
    assert order.status == "pending"
    assert private(bourse) == [("POST", "/spot/check")] * 2
    assert bourse.orders == {}


async def test_cancel_amend_and_ask_by_either_id(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        first, second = await limit(adapter), await limit(adapter)
        changed = await adapter.amend(SPOT, id=first.id, price="101", size="2")
        assert (changed.price, changed.size) == (Decimal(101), Decimal(2))
        assert (await adapter.order(SPOT, client_id=second.client_id)).id == second.id
        gone = await adapter.cancel(SPOT, id=first.id)
        assert gone is not None
        assert (gone.id, gone.status) == (first.id, "canceled")
        gone = await adapter.cancel(SPOT, client_id=second.client_id)
        assert gone is not None
        assert gone.id == second.id
        with pytest.raises(OrderNotFound):
            await adapter.cancel(SPOT, id=first.id)
        assert await adapter.open_orders() == []


async def test_where_the_market_knows_no_client_ids_the_order_is_looked_for(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        placed = await limit(adapter, MARGIN)
        waiting = await adapter.place(MARGIN, "sell", "stop", size="1", trigger="90")
        assert (await adapter.order(MARGIN, client_id=placed.client_id)).id == placed.id
        assert (await adapter.order(MARGIN, client_id=waiting.client_id)).id == waiting.id
        await adapter.cancel(MARGIN, client_id=placed.client_id)
        await adapter.cancel(MARGIN, client_id=waiting.client_id)
        sent = [
            (one.path, one.params.get("id"), one.params.get("cid")) for one in bourse.seen if one.method == "DELETE"
        ]
        assert sent == [("/margin/order", placed.id, None), ("/margin/stop", waiting.id, None)]
        found = await adapter.order(MARGIN, client_id=placed.client_id)
        assert found.status == "canceled", "history is searched, too"
        with pytest.raises(OrderNotFound, match="proves nothing"):
            await adapter.order(MARGIN, client_id="never-placed")


async def test_open_orders_of_all_markets_include_those_that_wait(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        spot, margin = await limit(adapter), await limit(adapter, MARGIN)
        waiting = await adapter.place(MARGIN, "sell", "stop", size="1", trigger="90")
        assert ids(await adapter.open_orders()) == [spot.id, margin.id, waiting.id]
        assert ids(await adapter.open_orders(market="margin")) == [margin.id, waiting.id]
        assert ids(await adapter.open_orders("ETH/EUR")) == []


async def test_many_orders_travel_in_the_markets_batches(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        wanted = [request(price=str(100 + n)) for n in range(5)] + [
            request(symbol="ETH/EUR", price="7"),
            request(symbol=MARGIN, price="8"),
            request(symbol=MARGIN, kind="stop", price=None, trigger="9"),
        ]
        placed = await adapter.place_many(wanted)
    assert [str(one.price) for one in placed[:7]] == ["100", "101", "102", "103", "104", "7", "8"]
    assert (
        sorted(private(bourse))
        == [("POST", "/margin/order")] * 2 + [("POST", "/spot/order")] + [("POST", "/spot/orders")] * 2
    )


async def test_each_of_many_has_its_own_fate(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await limit(adapter, client_id="mine")
        with pytest.raises(DuplicateOrder, match="mine belongs to an order that is open"):
            await adapter.place_many([request(), request(client_id="mine")])
        bourse.orders["1"]["cid"] = "taken"  # by somebody else with the same account
        placed = await adapter.place_many([request(), request(client_id="taken"), request()])
        assert ids(placed) == ["2", InvalidOrder, "4"]
        bourse.fail("/spot/orders", "lost")
        lost = await adapter.place_many([request(client_id="a"), request(client_id="b")])
        assert [(type(one), one.client_id) for one in lost] == [(OutcomeUnknown, "a"), (OutcomeUnknown, "b")]
        bourse.fail("/spot/orders", HttpResponse(200, b"[]"))
        short = await adapter.place_many([request(client_id="c"), request(client_id="d")])
        assert [(type(one), one.client_id) for one in short] == [(OutcomeUnknown, "c"), (OutcomeUnknown, "d")]
        bourse.fail("/spot/orders", HttpResponse(200, b'[{"why": "maybe", "open": true}, {"why": "no"}]'))
        mixed = await adapter.place_many([request(client_id="e"), request(client_id="f")])
        assert [type(one) for one in mixed] == [OutcomeUnknown, InvalidOrder]
        assert mixed[0].client_id == "e"
        bourse.fail("/spot/orders", "refused")
        never = await adapter.place_many([request(), request()])
        assert [type(one) for one in never] == [TransportError] * 2
    assert bourse.count("/spot/orders") == 5


async def test_many_cancels_travel_in_batches_and_each_has_its_own_fate(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        orders = [await limit(adapter) for _ in range(4)] + [await limit(adapter, MARGIN)]
        await adapter.cancel(SPOT, id=orders[1].id)
        before = len(private(bourse))
        gone = await adapter.cancel_many(orders)
        assert ids(gone) == ["1", InvalidOrder, "3", "4", "5"]
        assert sorted(private(bourse)[before:]) == [
            ("DELETE", "/margin/order"), ("DELETE", "/spot/order"), ("DELETE", "/spot/orders"),
        ]  # fmt: skip
        fresh = [await limit(adapter) for _ in range(2)]
        bourse.fail("/spot/orders", "lost")
        lost = await adapter.cancel_many([OrderRef(SPOT, one.id, one.client_id) for one in fresh])
        assert [(type(one), one.client_id) for one in lost] == [
            (OutcomeUnknown, fresh[0].client_id),
            (OutcomeUnknown, fresh[1].client_id),
        ]


async def test_cancel_all_goes_market_by_market_and_says_how(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        for symbol in (SPOT, SPOT, "ETH/EUR", MARGIN):
            await limit(adapter, symbol)
        await adapter.place(MARGIN, "sell", "stop", size="1", trigger="90")
        one, two = await adapter.cancel_all()
        assert (one.market, one.native, one.ok, ids(list(one.orders))) == ("spot", False, True, ["1", "2", "3"])
        assert (two.market, two.native, two.ok, ids(list(two.orders))) == ("margin", False, True, ["4", "5"])
        assert await adapter.open_orders() == []
        assert bourse.count("/spot/all") == 2
        assert bourse.count("/margin/stop") == 1
        await limit(adapter)
        (native,) = await adapter.cancel_all(SPOT)
        assert (native.native, ids(list(native.orders))) == (True, ["6"])


async def test_cancel_all_goes_on_where_a_market_fails(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await limit(adapter)
        await limit(adapter, MARGIN)
        bourse.fail("/spot/all", "lost")
        bourse.fail("/margin/stops", *["lose"] * 3)
        spot, margin = await adapter.cancel_all()
        bourse.fail("/spot/all", *["lose"] * 3)
        (still,) = await adapter.cancel_all(SPOT)
    assert spot.ok
    assert isinstance(margin.failures["*"], TransportError)
    assert ids(list(margin.orders)) == ["2"]
    assert isinstance(still.failures[SPOT], OutcomeUnknown)
    assert bourse.count("/spot/all") == 2 + 3


async def test_balances_and_positions_of_every_market(bourse: Bourse, trader: Make) -> None:
    bourse.positions = [{"s": "BTCEURP", "side": "long", "q": "0.5"}, {"s": "ETHEURP", "side": "short", "q": "2"}]
    async with trader() as adapter:
        assert [(one.market, one.currency, one.free) for one in await adapter.balances()] == [
            ("spot", "EUR", Decimal("1000.50")),
            ("margin", "EUR", Decimal(7)),
        ]
        assert [one.market for one in await adapter.balances("margin")] == ["margin"]
        assert [(one.symbol, one.size) for one in await adapter.positions()] == [
            (MARGIN, Decimal("0.5")),
            ("ETH/EUR:EUR", Decimal(2)),
        ]
        assert [one.symbol for one in await adapter.positions("ETH/EUR:EUR")] == ["ETH/EUR:EUR"]
        assert (await adapter.account_flags("spot"))["spot"].can_trade is True


async def test_closing_a_position_reduces_what_there_is(bourse: Bourse, trader: Make) -> None:
    bourse.positions = [{"s": "BTCEURP", "side": "short", "q": "0.5"}]
    async with trader() as adapter:
        order = await adapter.close_position(MARGIN)
        assert order is not None
        assert (order.side, order.kind, order.size, order.reduce_only) == ("buy", "market", Decimal("0.5"), True)
        bourse.positions = []
        with pytest.raises(NoChange):
            await adapter.close_position(MARGIN)
    assert bourse.count("/margin/order") == 1


async def test_closing_natively_where_the_market_can(bourse: Bourse, trader: Make) -> None:

    bourse.positions = [
        {"s": "BTCEURP", "side": "short", "q": "0.5"},
        {"s": "BTCEURP", "side": "long", "q": "1"},
    ]
    margin = structs.replace(toy.MARGIN_SPEC, close_position=True)
    async with trader(declaration=toy.venue(margin=margin), account={"margin": HEDGE}) as adapter:
        assert await adapter.close_position(MARGIN, "long") is None
        with pytest.raises(ConfigError, match="position_side"):
            await adapter.close_position(MARGIN)
    (sent,) = [one for one in bourse.seen if one.path == "/margin/close"]
    assert sent.params["side"] == "long"


async def test_settings_are_sent_and_the_position_mode_is_followed(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await adapter.set_leverage(MARGIN, 7)
        await adapter.set_margin_mode(MARGIN, "cross")
        await adapter.set_position_mode("hedge")
        order = await limit(adapter, MARGIN, position_side="short")
        assert order.position_side == "short"
        bourse.fail("/margin/mode", refusal(400, "-2", "open positions"))
        with pytest.raises(UnitapeError):
            await adapter.set_position_mode("one_way")
        assert (await limit(adapter, MARGIN, position_side="long")).position_side == "long"
    assert [one.params.get("n") for one in bourse.seen if one.path == "/margin/leverage"] == ["7"]


def rows(times: list[int]) -> list[dict[str, Any]]:
    return [{"id": str(n), "oid": "9", "t": t, "p": "1", "q": "1"} for n, t in enumerate(times)]


DAY = 86_400_000
TIMES: dict[str, list[int]] = {
    "none": [],
    "one page": [5, 6, 7],
    "exactly a page": [1, 2, 3, 4, 5],
    "a crowd": [n * 1_000 for n in range(57)],
    "a crowd within a second": [DAY + n for n in range(40)],
    "several in a millisecond": [7] * 3 + [8] + [10] * 4 + [30],
    "over days": [n * DAY // 3 for n in range(20)],
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
async def test_long_histories_are_whole_and_in_order(bourse: Bourse, trader: Make, times: list[int]) -> None:
    bourse.fills = rows(times)  # pages hold 5 rows, and a full one gives the newest
    async with trader() as adapter:
        fills = await adapter.fills(SPOT, start=0, end=8 * DAY * MILLI)
        newest = await adapter.fills(SPOT)
    assert [(fill.id, fill.ts_event // MILLI) for fill in fills] == [(str(n), t) for n, t in enumerate(times)]
    assert [fill.id for fill in newest] == [str(n) for n in range(len(times))][-5:]
    spans = [int(one.params["to"]) - int(one.params["from"]) for one in bourse.seen if "from" in one.params]
    assert max(spans) <= DAY


async def test_more_rows_in_a_millisecond_than_a_page_are_not_lost_in_silence(bourse: Bourse, trader: Make) -> None:
    bourse.fills = rows([7] * 6)
    async with trader() as adapter:
        with pytest.raises(Unsupported, match="5 rows or more within 2 ms"):
            await adapter.fills(SPOT, start=0, end=DAY * MILLI)


async def test_all_fills_of_an_order_however_many(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        order = await limit(adapter)
        begin = order.ts_created // MILLI
        bourse.fills = [{**row, "oid": order.id} for row in rows([begin + n * 100 for n in range(12)])]
        bourse.fills += [{**row, "id": f"x{row['id']}", "oid": "other"} for row in rows([begin])]

        await anyio.sleep(2)
        fills = await adapter.fills(SPOT, order_id=order.id)
    assert [fill.id for fill in fills] == [str(n) for n in range(12)]


async def test_now_is_the_venues_now(bourse: Bourse, trader: Make) -> None:
    bourse.skew = 3_600.0
    async with trader() as adapter:
        placed = await limit(adapter)
        assert ids(await adapter.order_history(SPOT, start=placed.ts_created)) == [placed.id]


async def test_order_history_is_paged_too(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        placed = [await limit(adapter) for _ in range(12)]
        history = await adapter.order_history(SPOT, start=placed[0].ts_created)
        newest = await adapter.order_history(SPOT)
    assert ids(history) == ids(placed)
    assert ids(newest) == ids(placed[-5:])


async def test_a_market_that_only_hedges_is_taken_as_it_is(bourse: Bourse, trader: Make) -> None:
    margin = structs.replace(toy.MARGIN_SPEC, position_modes=("hedge",))
    async with trader(declaration=toy.venue(margin=margin)) as adapter:
        assert (await limit(adapter, MARGIN, position_side="long")).position_side == "long"
        with pytest.raises(ConfigError, match="position_side"):
            await limit(adapter, MARGIN)
    async with trader(declaration=toy.venue(margin=margin), account=TradingSettings()) as adapter:
        with pytest.raises(Unsupported, match="no one_way mode"):
            await limit(adapter, MARGIN)


async def test_an_order_that_is_gone_is_no_failure_of_cancel_all(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await limit(adapter, MARGIN)
        bourse.fail("/margin/order", refusal(400, "-1", "filled a moment ago"))
        (result,) = await adapter.cancel_all(market="margin")
    assert result.ok
    assert result.orders == ()
