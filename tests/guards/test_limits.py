"""Risk limits at their exact edges, in Decimal, against sums written down here."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.trade.bourse import instrument
from unitape.errors import ConfigError, RiskRejected
from unitape.guards import Judge, RiskLimits
from unitape.guards.worth import account_worth
from unitape.spi import Amendment, NewOrder, OrderRef
from unitape_schemas import Balance, Order, Position

SPOT, PERP = "BTC/EUR", "BTC/EUR:EUR"
DAY = 86_400_000_000_000
D = Decimal


class Account:
    def __init__(self, **parts: Any) -> None:
        self.live: bool = parts.get("live", True)
        self._orders: list[Order] = parts.get("orders", [])
        self._positions: list[Position] = parts.get("positions", [])
        self.held: list[Balance] = parts.get("balances", [])

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        return [one for one in self._orders if symbol in (None, one.symbol)]

    def positions(self, symbol: str | None = None) -> list[Position]:
        return [one for one in self._positions if symbol in (None, one.symbol)]

    def balances(self) -> list[Balance]:
        return self.held


def resting(side: Any = "buy", size: str = "1", filled: str = "0", symbol: str = PERP, **more: Any) -> Order:
    return Order(
        "bourse", symbol, 0, 0, 0, more.get("id", "1"), more.get("client_id"), side, "limit", "gtc",
        D(more.get("price", "100")), None, D(size), D(filled), None, "open", more.get("reduce_only", False),
        more.get("position_side"), 0, 0, "stream", "",
    )  # fmt: skip


def position(side: Any = "long", size: str = "1", symbol: str = PERP, **more: Any) -> Position:
    return Position(
        "bourse", symbol, 0, 0, 0, side, D(size), D("100"), more.get("mark"), None, more.get("pnl"), None, None, None
    )


def balance(currency: str, total: str, market: str = "spot", **more: Any) -> Balance:
    return Balance("bourse", "", 0, 0, 0, currency, D(total), D(0), D(total), market, **more)


def order(side: Any = "buy", symbol: str = PERP, kind: Any = "limit", **more: Any) -> NewOrder:
    exact = {name: D(value) if isinstance(value, str) and name in NUMBERS else value for name, value in more.items()}
    if kind == "limit":
        exact.setdefault("price", D("100"))
    if "cost" not in exact:
        exact.setdefault("size", D(1))
    return NewOrder(
        symbol, side, kind, more.get("client_id", "mine"), **{k: v for k, v in exact.items() if k != "client_id"}
    )


NUMBERS = ("size", "price", "cost", "trigger")


def judge(limits: RiskLimits, account: Account | None = None, price: str | None = "100") -> Judge:
    found = Judge(limits, lambda symbol: None if price is None else D(price))
    found.account = account if account is not None else Account()
    return found


def refusal(judge: Judge, order: NewOrder, *pending: NewOrder, wall: int = 0) -> RiskRejected | None:
    try:
        judge.check(order, instrument(order.symbol), pending, wall)
    except RiskRejected as error:
        return error
    return None


EDGES: list[tuple[str, RiskLimits, Account, NewOrder, NewOrder, str]] = [
    (
        "notional of a limit order",
        RiskLimits(max_order_notional=D("100.0001")),
        Account(),
        order(size="1.000001"),
        order(size="1.000002"),
        "max_order_notional",
    ),
    (
        "notional of a market order by cost",
        RiskLimits(max_order_notional=D(100)),
        Account(),
        order(kind="market", symbol=SPOT, cost="100"),
        order(kind="market", symbol=SPOT, cost="100.00000001"),
        "max_order_notional",
    ),
    (
        "notional of a market order by size",
        RiskLimits(max_order_notional=D(100)),
        Account(),
        order(kind="market", size="1"),
        order(kind="market", size="1.00000001"),
        "max_order_notional",
    ),
    (
        "notional of a stop",
        RiskLimits(max_order_notional=D(100)),
        Account(),
        order(kind="stop", trigger="50", size="2"),
        order(kind="stop", trigger="50.01", size="2"),
        "max_order_notional",
    ),
    (
        "a cheap sell brings the market's price",
        RiskLimits(max_order_notional=D(100)),
        Account(),
        order("sell", price="1", size="1"),
        order("sell", price="1", size="1.01"),
        "max_order_notional",
    ),
    (
        "size",
        RiskLimits(max_order_size=D("0.3")),
        Account(),
        order(size="0.3"),
        order(size="0.300000000000000001"),
        "max_order_size",
    ),
    (
        "size of a cost",
        RiskLimits(max_order_size=D(1)),
        Account(),
        order(kind="market", symbol=SPOT, cost="100"),
        order(kind="market", symbol=SPOT, cost="100.1"),
        "max_order_size",
    ),
    (
        "size by symbol",
        RiskLimits(max_order_size={SPOT: D(5), "*": D(1)}),
        Account(),
        order(size="5", symbol=SPOT),
        order(size="1.1"),
        "max_order_size",
    ),
    (
        "position with what waits",
        RiskLimits(max_position=D(5)),
        Account(positions=[position(size="2")], orders=[resting(size="3", filled="1.5"), resting("sell", "9")]),
        order(size="1.5"),
        order(size="1.501"),
        "max_position",
    ),
    (
        "a short position",
        RiskLimits(max_position=D(5)),
        Account(positions=[position("short", "4")]),
        order("sell", size="1"),
        order("sell", size="1.001"),
        "max_position",
    ),
    (
        "a flip is measured where it ends",
        RiskLimits(max_position=D(5)),
        Account(positions=[position("short", "4")]),
        order(size="9"),
        order(size="9.001"),
        "max_position",
    ),
    (
        "each side in hedge mode",
        RiskLimits(max_position=D(5)),
        Account(positions=[position("short", "4"), position("long", "1")]),
        order(size="4", position_side="long"),
        order("sell", size="1.001", position_side="short"),
        "max_position",
    ),
    (
        "a spot balance",
        RiskLimits(max_position=D(5)),
        Account(balances=[balance("BTC", "4"), balance("BTC", "9", "margin")]),
        order(symbol=SPOT, size="1"),
        order(symbol=SPOT, size="1.001"),
        "max_position",
    ),
    (
        "worth of a position",
        RiskLimits(max_position_notional=D(500)),
        Account(positions=[position(size="2")]),
        order(size="3"),
        order(size="3.0001"),
        "max_position_notional",
    ),
    (
        "a dear buy",
        RiskLimits(price_band=D("0.02")),
        Account(),
        order(price="102"),
        order(price="102.01"),
        "price_band",
    ),
    (
        "a cheap sell",
        RiskLimits(price_band=D("0.02")),
        Account(),
        order("sell", price="98"),
        order("sell", price="97.99"),
        "price_band",
    ),
    (
        "the quiet side of the band",
        RiskLimits(price_band=D("0.02"), band="both"),
        Account(),
        order(price="98"),
        order(price="97.99"),
        "price_band",
    ),
    (
        "a stop's limit against its trigger",
        RiskLimits(price_band=D("0.02")),
        Account(),
        order(kind="stop_limit", price="204", trigger="200"),
        order(kind="stop_limit", price="204.01", trigger="200"),
        "price_band",
    ),
]


@pytest.mark.parametrize(
    ("limits", "account", "good", "bad", "limit"), [row[1:] for row in EDGES], ids=[row[0] for row in EDGES]
)
def test_a_value_on_the_limit_passes_and_one_beyond_does_not(
    limits: RiskLimits, account: Account, good: NewOrder, bad: NewOrder, limit: str
) -> None:
    assert refusal(judge(limits, account), good) is None
    refused = refusal(judge(limits, account), bad)
    assert refused is not None
    assert refused.limit == limit
    assert refused.value is not None
    assert refused.maximum is not None
    assert refused.value > refused.maximum
    assert str(refused.value) in str(refused)
    assert str(refused.maximum) in str(refused)


def test_the_number_in_the_refusal_is_exact() -> None:
    refused = refusal(
        judge(RiskLimits(max_order_notional=D(1))), order(price="0.1", size="10.000000000000000000000000001")
    )
    assert refused is not None
    assert refused.value == D("1.0000000000000000000000000001")


def test_open_orders_are_counted_with_those_on_their_way() -> None:
    account = Account(orders=[resting(client_id="x"), resting(symbol=SPOT, id="2")])
    limits = RiskLimits(max_open_orders=4)
    on_the_way = order(client_id="y")
    assert refusal(judge(limits, account), order(), on_the_way) is None
    refused = refusal(judge(limits, account), order(), on_the_way, order(client_id="z"))
    assert refused is not None
    assert (refused.limit, refused.value, refused.maximum) == ("max_open_orders", 5, 4)
    seen = order(client_id="x")
    assert refusal(judge(limits, account), order(), on_the_way, seen) is None, "what the account shows counts once"


def test_orders_of_one_batch_count_together_against_a_position() -> None:
    limits = RiskLimits(max_position=D(3))
    others = [order(client_id=str(n), size="1") for n in range(2)]
    assert refusal(judge(limits), order(size="1"), *others) is None
    assert refusal(judge(limits), order(size="1.001"), *others) is not None


def test_what_only_closes_is_let_through() -> None:
    limits = RiskLimits(max_order_notional=D(1), max_order_size=D("0.001"), max_position=D(0), max_open_orders=0)
    long = Account(positions=[position(size="2")], orders=[resting("sell", "0.5")])
    strict = judge(limits, long)
    assert refusal(strict, order("sell", size="1.5")) is None, "with what waits it closes exactly"
    assert refusal(strict, order("sell", size="1.501")) is not None, "the rest would open"
    assert refusal(strict, order("buy", size="0.01")) is not None
    assert refusal(strict, order("sell", size="99", reduce_only=True)) is None, "the venue lets it only reduce"
    assert refusal(strict, order("sell", size="1", position_side="long")) is None
    assert refusal(strict, order("buy", size="1", position_side="long")) is not None
    blind = judge(limits, Account(live=False))
    assert refusal(blind, order("sell", size="1")) is not None, "without a view nobody knows that it closes"
    assert refusal(blind, order("sell", size="1", reduce_only=True)) is None


def test_closing_keeps_to_the_price_band() -> None:
    limits = RiskLimits(price_band=D("0.1"))
    refused = refusal(judge(limits), order("sell", price="89", reduce_only=True))
    assert refused is not None
    assert refused.limit == "price_band"


def test_spot_sells_are_held_to_size_but_not_to_exposure() -> None:
    limits = RiskLimits(max_order_size=D(2), max_position=D(0), max_open_orders=0)
    assert refusal(judge(limits), order("sell", SPOT, size="2")) is None
    assert refusal(judge(limits), order("sell", SPOT, size="3")) is not None


NEED_PRICE = [
    (RiskLimits(max_order_notional=D(1)), order(kind="market", size="1")),
    (RiskLimits(price_band=D(1)), order()),
    (RiskLimits(max_position_notional=D(1)), order()),
    (RiskLimits(max_order_size=D(1)), order(kind="market", symbol=SPOT, cost="5")),
]
NEED_ACCOUNT = [
    RiskLimits(max_position=D(9)),
    RiskLimits(max_position_notional=D(9)),
    RiskLimits(max_open_orders=9),
    RiskLimits(daily_loss=D(9)),
    RiskLimits(drawdown=D("0.9")),
]


@pytest.mark.parametrize(("limits", "asked"), NEED_PRICE)
def test_without_a_price_the_setting_decides(limits: RiskLimits, asked: NewOrder) -> None:
    refused = refusal(judge(limits, price=None), asked)
    assert refused is not None
    assert refused.value is None
    assert "cannot be judged" in str(refused)
    allowing = RiskLimits(**{**as_dict(limits), "without_reference": "allow"})
    assert refusal(judge(allowing, price=None), asked) is None


@pytest.mark.parametrize("limits", NEED_ACCOUNT)
@pytest.mark.parametrize("account", [None, Account(live=False)], ids=["none", "not live"])
def test_without_an_account_the_setting_decides(limits: RiskLimits, account: Account | None) -> None:
    strict = judge(limits)
    strict.account = account
    refused = refusal(strict, order())
    assert refused is not None
    assert "cannot be judged" in str(refused)
    allowing = judge(RiskLimits(**{**as_dict(limits), "without_account": "allow"}))
    allowing.account = account
    assert refusal(allowing, order()) is None


def as_dict(limits: RiskLimits) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in limits.__struct_fields__}


def test_a_daily_loss_stops_opening_at_its_edge_and_a_new_day_begins_anew() -> None:
    account = Account(balances=[balance("EUR", "1000")])
    held = judge(RiskLimits(daily_loss=D(50), currency="EUR"), account)
    assert refusal(held, order(), wall=10 * DAY) is None
    account.held = [balance("EUR", "950")]
    assert refusal(held, order(), wall=10 * DAY + 5) is None, "exactly the limit"
    account.held = [balance("EUR", "949.99")]
    refused = refusal(held, order(), wall=10 * DAY + 6)
    assert refused is not None
    assert (refused.limit, refused.value, refused.maximum) == ("daily_loss", D("50.01"), 50)
    assert refusal(held, order("sell", reduce_only=True), wall=10 * DAY + 7) is None, "closing goes on"
    assert refusal(held, order(), wall=11 * DAY) is None, "the next day starts from what is left"
    account.held = [balance("EUR", "899")]
    assert refusal(held, order(), wall=11 * DAY + 1) is not None
    held.meter.rebase()
    assert refusal(held, order(), wall=11 * DAY + 2) is None, "after money was moved the count begins anew"


def test_a_drawdown_counts_from_the_highest_worth_over_all_days() -> None:
    account = Account(balances=[balance("EUR", "1000")])
    held = judge(RiskLimits(drawdown=D("0.1"), currency="EUR"), account)
    assert refusal(held, order(), wall=0) is None
    account.held = [balance("EUR", "2000")]
    assert refusal(held, order(), wall=DAY) is None
    account.held = [balance("EUR", "1800")]
    assert refusal(held, order(), wall=2 * DAY) is None
    account.held = [balance("EUR", "1799")]
    refused = refusal(held, order(), wall=3 * DAY)
    assert refused is not None
    assert (refused.value, refused.maximum) == (D("0.1005"), D("0.1"))


def test_worth_is_what_is_held_at_its_price_and_the_profit_of_what_is_open() -> None:
    prices = {"BTC/EUR": D(100), "BTC/EUR:EUR": D(110)}
    view = Account(
        balances=[balance("EUR", "500"), balance("BTC", "2"), balance("EUR", "300", "margin")],
        positions=[position(size="3"), position("short", "1", pnl=D("-7"))],
    )
    # 500 + 2*100 + 300 + 3*(110-100) - 7
    assert account_worth(view, "EUR", prices.get) == D(1023)
    view.held.append(balance("DOGE", "1"))
    assert account_worth(view, "EUR", prices.get) == "DOGE"
    assert account_worth(view, "EUR", prices.get, ("DOGE",)) == D(1023)
    told = Account(balances=[balance("EUR", "300", "margin", equity=D(330))], positions=[position(size="3", pnl=D(30))])
    assert account_worth(told, "EUR", prices.get) == 330, "the venue's equity holds the open profit already"


def test_a_change_is_held_to_the_limits_of_what_the_order_becomes() -> None:
    account = Account(orders=[resting(size="1", price="100"), resting("sell", "3", id="2")])
    limits = RiskLimits(max_order_notional=D(200), max_position=D(2), price_band=D("0.05"))

    def refused(**change: Any) -> str | None:
        exact = {name: D(value) for name, value in change.items() if name in ("price", "size")}
        named = Amendment(OrderRef(PERP, id=change.get("id", "1")), **exact)
        try:
            judge(limits, account).check_amendment(named, instrument(PERP), ())
        except RiskRejected as error:
            return error.limit
        return None

    assert refused(size="2") is None, "it counts once, not twice"
    assert refused(size="2.01") == "max_order_notional"
    assert refused(size="1.9", price="105") is None
    assert refused(price="105.01") == "price_band"
    assert refused(size="2", price="99") is None
    assert refused(id="9", size="1") == "amend", "an order that nobody knows cannot be judged"


@pytest.mark.parametrize(
    "wrong",
    [{"max_order_notional": 5.0}, {"max_order_size": D(-1)}, {"daily_loss": D("nan")}, {"max_open_orders": -1},
     {"max_position": {"*": 3}}, {"reference_age": 0.0}],
)  # fmt: skip
def test_limits_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="RiskLimits"):
        RiskLimits(**wrong)
