"""The kill switch against the pattern that the venues' history describes, and against ordinary noise."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.guards.answers import GONE, PAGE, SECOND, Bench, answer, futures, futures_placed
from unitape.errors import ConfigError, TradingHalted
from unitape.guards import KillRules, SignalRule
from unitape.spi import HttpResponse

SEEDS = 2_000
Step = Callable[[Bench], None]


def place(response: HttpResponse, symbol: str | None = None) -> Step:
    return lambda bench: bench.hear(bench.place(symbol), response)


def cancel(response: HttpResponse) -> Step:
    return lambda bench: bench.hear(bench.cancel(), response)


def ask(response: HttpResponse) -> Step:
    return lambda bench: bench.hear(bench.ask(), response)


ERROR_404 = HttpResponse(404, b"")
MAINTENANCE = futures(500, "Under maintenance")
NAMELESS = answer(200, {"success": True, "code": 0, "data": {}})

PATTERNS: dict[str, list[Step]] = {
    "404 thrice": [place(ERROR_404)] * 3,
    "405 thrice": [place(HttpResponse(405, b"<html></html>"))] * 3,
    "410 thrice": [place(HttpResponse(410, b"gone"))] * 3,
    "moved to another page": [place(HttpResponse(302, b"", (("location", "https://example.com/"),)))] * 3,
    "a page where JSON should be": [place(PAGE)] * 3,
    "mixed ways to be gone": [place(ERROR_404), place(PAGE), place(GONE)],
    "queries gone": [ask(ERROR_404)] * 3,
    "cancels gone": [cancel(PAGE)] * 3,
    "511 twice": [place(futures(511, "inaccessible"))] * 2,
    "604 twice": [place(futures(604, "maintaining"))] * 2,
    "801 twice": [place(futures(801))] * 2,
    "6001 twice": [place(futures(6001, "trading forbidden"))] * 2,
    "maintenance in the text": [place(MAINTENANCE)] * 2,
    "not supported in the text": [place(futures(9998, "This API is NOT SUPPORTed any more"))] * 2,
    "1002 on every contract": [
        place(futures(1002), symbol) for symbol in ("SOL/USDT:USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")
    ],
    "a success without an order id": [place(NAMELESS)],
    "401 thrice": [place(futures(401))] * 3,
    "key expired": [place(futures(402))] * 3,
    "address not allowed": [place(futures(406))] * 3,
    "signature": [ask(futures(602))] * 3,
    "permission": [place(futures(code)) for code in (701, 703, 704)],
}

# What happens on any day: none of it is a fault of key or endpoint.
REJECTS = [2005, 2011, 2015, 2003, 2004, 2018, 2031, 2036, 2008, 2009, 600, 1001, 7002, 2040, 2041]
NOISE: list[Step] = [
    *[place(futures(code, "order refused")) for code in REJECTS],
    *[
        cancel(answer(200, {"success": True, "code": 0, "data": [{"orderId": 123, "errorCode": code}]}))
        for code in (2040, 2041)
    ],
    place(answer(429, {"code": 429, "msg": "too many requests"}, (("retry-after", "1"),))),
    place(futures(510, "too frequent")),
    place(HttpResponse(403, b"<html>slow down</html>")),
    ask(futures(510)),
    place(futures(513, "clock differs")),
    place(futures(1002, "not activated"), "SOL/USDT:USDT"),
    ask(HttpResponse(502, b"<html>bad gateway</html>")),
    place(HttpResponse(503, b"")),
    place(futures(501, "system busy")),
]
SUCCESS: list[Step] = [
    place(futures_placed()),
    ask(answer(200, {"success": True, "code": 0, "data": []})),
    cancel(answer(200, {"success": True, "code": 0, "data": [{"orderId": 123, "errorCode": 0}]})),
]


def timeout(rng: random.Random, bench: Bench) -> None:
    """An order's answer is lost, and its fate is found a little later."""
    bench.unknown[f"lost-{bench.time.now}"] = bench.time.now


def day(bench: Bench, rng: random.Random, steps: int, *, successes: bool = True) -> None:
    """Ordinary trading: rejects, rate limits, gateway failures, lost answers that are found within the minute."""
    for _ in range(steps):
        bench.time.now += rng.randrange(1, 20 * SECOND)
        for name, since in list(bench.unknown.items()):
            if bench.time.now - since > 40 * SECOND or rng.random() < 0.3:
                del bench.unknown[name]
        kind = rng.random()
        if kind < 0.05 and len(bench.unknown) < 3:
            timeout(rng, bench)
        elif kind < 0.45 or not successes:
            rng.choice(NOISE)(bench)
        else:
            rng.choice(SUCCESS)(bench)
        bench.guards.tick()


@pytest.fixture(scope="module", autouse=True)
def fast_reading() -> Any:
    """Read each answer once: the streams repeat the same few thousands of times."""
    known: dict[tuple[str, str, int, bytes], Any] = {}
    slow = Bench.read

    def read(self: Bench, query: Any, response: HttpResponse) -> Any:
        key = (query.name, query.request.path, response.status, response.body)
        if key not in known:
            known[key] = slow(self, query, response)
        return known[key]

    Bench.read = read  # type: ignore[method-assign]
    yield
    Bench.read = slow  # type: ignore[method-assign]


def test_ordinary_noise_never_halts() -> None:
    for seed in range(SEEDS):
        bench = Bench("mexc", "futures")
        day(bench, random.Random(seed), 60)
        assert not bench.halted, f"seed {seed}: {bench.guards.halted}"


@pytest.mark.parametrize("name", PATTERNS)
def test_each_pattern_halts_in_the_midst_of_noise(name: str) -> None:
    pattern = PATTERNS[name]
    for seed in range(120):
        rng = random.Random(f"{name} {seed}")
        bench = Bench("mexc", "futures")
        day(bench, rng, rng.randrange(30))
        for step in pattern[:-1]:
            step(bench)
            bench.time.now += rng.randrange(1, 15 * SECOND)
            day(bench, rng, rng.randrange(2), successes=False)
        assert not bench.halted, f"{name}, seed {seed}: {bench.guards.halted} before the last signal"
        pattern[-1](bench)
        assert bench.halted, f"{name}, seed {seed}"
        with pytest.raises(TradingHalted):
            bench.guard.check(())


def test_three_vanished_answers_within_a_minute_halt_whatever_succeeds_between() -> None:
    for gap, halts in ((29, True), (30, True), (31, False)):
        bench = Bench("mexc", "futures")
        for _ in range(3):
            bench.hear(bench.place(), ERROR_404)
            bench.hear(bench.place(), futures_placed())
            bench.time.now += gap * SECOND
        assert bench.halted is halts, f"{gap} s apart"


def test_a_success_of_the_same_family_starts_the_count_anew_and_one_of_another_does_not() -> None:
    refused, fine = futures(801), futures_placed()
    bench = Bench("mexc", "futures")
    for response in (refused, fine, refused, fine, refused):
        bench.hear(bench.place(), response)
    assert not bench.halted
    bench.hear(bench.ask(), answer(200, {"success": True, "code": 0, "data": []}))
    bench.hear(bench.place(), refused)
    assert bench.halted


def test_families_are_counted_apart() -> None:
    bench = Bench("mexc", "futures")
    for query in (bench.place(), bench.cancel(), bench.ask()):
        for _ in range(2):
            bench.hear(query, ERROR_404)
    assert not bench.halted
    bench.hear(bench.cancel(), ERROR_404)
    assert bench.guards.halted is not None
    assert bench.guards.halted.family == "order.cancel"
    assert len(bench.guards.halted.signals) == 7


def test_one_closed_contract_is_its_own_affair() -> None:
    bench = Bench("mexc", "futures")
    for _ in range(50):
        bench.hear(bench.place("SOL/USDT:USDT"), futures(1002))
        bench.hear(bench.place("ETH/USDT:USDT"), futures(1002))
    assert not bench.halted


def test_too_many_orders_of_unknown_fate_halt_and_so_does_one_for_too_long() -> None:
    bench = Bench("mexc", "futures")
    bench.unknown = dict.fromkeys("abc", bench.time.now)
    bench.guards.tick()
    assert not bench.halted
    bench.unknown["d"] = bench.time.now
    bench.guards.tick()
    assert bench.guards.halted is not None
    assert set(bench.guards.halted.unknown) == set("abcd")

    late = Bench("mexc", "futures")
    late.unknown = {"a": late.time.now}
    late.time.now += 60 * SECOND
    late.guards.tick()
    assert not late.halted
    late.time.now += 1
    late.guards.tick()
    assert late.halted


def test_only_an_explicit_reset_ends_it_and_the_count_begins_anew() -> None:
    bench = Bench("mexc", "futures")
    bench.unknown = {"a": bench.time.now - 61 * SECOND}
    bench.guards.tick()
    assert bench.guards.halted is not None
    first = bench.guards.halted
    bench.guards.halt("again")
    for _ in range(10):
        bench.hear(bench.place(), futures_placed())
        bench.guards.tick()
    assert bench.guards.halted is first, "successes and time do not end it"
    with pytest.raises(ConfigError, match="why"):
        bench.guards.reset("  ")
    assert bench.halted
    bench.guards.reset("looked at the order on the venue's page: it is gone")
    bench.guards.tick()
    assert not bench.halted, "who resets has accepted the orders that are unknown now"
    bench.unknown["b"] = bench.time.now
    bench.time.now += 61 * SECOND
    bench.guards.tick()
    assert bench.halted, "new ones count"
    assert [line.what for line in bench.guards.records] == ["halted", "reset", "halted"]


def test_by_hand_it_halts_at_once_and_with_rules_switched_off_only_so() -> None:
    bench = Bench("mexc", "futures", KillRules(enabled=False))
    bench.unknown = dict.fromkeys("abcdefgh", 0)
    for _ in range(20):
        bench.hear(bench.place(), ERROR_404)
        bench.guards.tick()
    assert not bench.halted
    bench.guards.halt("the strategy went mad")
    with pytest.raises(TradingHalted, match="the strategy went mad") as refused:
        bench.guard.check(())
    assert refused.value.reason == "the strategy went mad"


VENUE_PATTERNS: dict[str, tuple[str, str, list[Step], bool]] = {
    "mexc spot closed": ("mexc", "spot", [place(answer(400, {"code": 11444, "msg": "unavailable"}))] * 2, True),
    "mexc spot key": ("mexc", "spot", [place(answer(400, {"code": 700006, "msg": "IP not allowed"}))] * 3, True),
    "mexc spot funds": ("mexc", "spot", [place(answer(400, {"code": 30004, "msg": "insufficient"}))] * 30, False),
    "binance gone": ("binance", "usdm", [place(ERROR_404)] * 3, True),
    "binance page": ("binance", "spot", [place(PAGE)] * 3, True),
    "binance key": ("binance", "spot", [place(answer(401, {"code": -2015, "msg": "Invalid API-key"}))] * 3, True),
    "binance service": (
        "binance",
        "spot",
        [place(answer(400, {"code": -1016, "msg": "no longer available"}))] * 2,
        True,
    ),
    "binance no id": ("binance", "usdm", [place(answer(200, {"symbol": "BTCUSDT"}))], True),
    "binance funds": (
        "binance",
        "usdm",
        [place(answer(400, {"code": -2019, "msg": "Margin is insufficient."}))] * 30,
        False,
    ),
    "binance order gone": (
        "binance",
        "spot",
        [cancel(answer(400, {"code": -2011, "msg": "Unknown order sent."}))] * 30,
        False,
    ),
    "binance overload": (
        "binance",
        "usdm",
        [place(answer(503, {"code": -1008, "msg": "Server is currently overloaded"}))] * 30,
        False,
    ),
    "binance band": (
        "binance",
        "spot",
        [place(answer(400, {"code": -1013, "msg": "Filter failure: PRICE_FILTER"}))] * 30,
        False,
    ),
    "weex path gone": ("weex", "contract", [place(answer(404, {"code": -1054, "msg": "not found"}))] * 3, True),
    "weex no id": ("weex", "spot", [place(answer(200, {"success": True}))], True),
    "weex forbidden": ("weex", "contract", [place(answer(403, {"code": -3236, "msg": "not permitted"}))] * 2, True),
    "weex order gone": ("weex", "spot", [cancel(answer(404, {"code": -2200, "msg": "order not found"}))] * 30, False),
    "weex step": ("weex", "contract", [place(answer(400, {"code": -1054, "msg": "stepSize"}))] * 30, False),
}


@pytest.mark.parametrize("name", VENUE_PATTERNS)
def test_the_tables_of_each_venue_tell_a_change_from_a_refusal(name: str) -> None:
    venue, market, steps, halts = VENUE_PATTERNS[name]
    bench = Bench(venue, market)
    for step in steps[:-1]:
        step(bench)
        assert not bench.halted, bench.guards.halted
    steps[-1](bench)
    assert bench.halted is halts, bench.guards.halted


def test_a_batch_of_which_every_row_is_refused_is_no_success() -> None:
    bench = Bench("binance", "usdm")
    query = bench.trading.place_many([bench.order()])
    assert query.name == "place_many"
    rows = [bench.read(bench.place(), answer(400, {"code": -2015, "msg": "Invalid API-key"}))] * 2
    for _ in range(3):
        bench.guard.heard(query, answer(200, []), rows)
    assert bench.halted


def test_throttled_orders_wait_longer_each_time_until_one_goes_through() -> None:
    bench = Bench("mexc", "futures")
    waits = []
    for _ in range(8):
        bench.hear(bench.place(), futures(510))
        waits.append(round(bench.guard.wait()))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    bench.time.now += 61 * SECOND
    assert bench.guard.wait() == 0
    bench.hear(bench.place(), futures_placed())
    bench.hear(bench.place(), futures(510))
    assert round(bench.guard.wait()) == 1
    assert not bench.halted


@pytest.mark.parametrize(
    "wrong",
    [
        {"removed": SignalRule(consecutive=0)},
        {"disabled": SignalRule(count=0)},
        {"symbols": 1},
        {"window": 0},
        {"unknown_for": -1.0},
        {"cancel_tries": 0},
    ],
)
def test_rules_that_would_halt_at_once_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="KillRules"):
        Bench("mexc", "futures", KillRules(**wrong))
