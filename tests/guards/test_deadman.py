"""The dead-man switch: a venue that cancels by itself, kept from it only while somebody is alive here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.guards.answers import Bench
from tests.trade import bourse as toy
from tests.trade.bourse import Bourse, BourseMarket, BourseTrading
from unitape.adapter import VenueAdapter
from unitape.errors import ConfigError, TradingHalted, Unsupported
from unitape.spi import Countdown, HttpResponse, Instruments, TradingSettings, Venue

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]
SPOT, MARGIN = "BTC/EUR", "BTC/EUR:EUR"


@dataclass
class Counting(BourseTrading):
    def countdown(self, symbol: str, seconds: float) -> Any:
        params = {"s": self._raw(symbol), "ms": round(seconds * 1000)}
        return self._query("countdown", "POST", "/countdown", lambda body, ts: None, params)


@dataclass(frozen=True)
class CountingMarket(BourseMarket):
    def trading(self, instruments: Instruments, settings: TradingSettings) -> Counting:
        return Counting(self, instruments, settings)


@dataclass
class Venetian(Bourse):
    """Notes each countdown as (now, symbol, seconds)."""

    set_at: list[tuple[float, str, float]] = field(default_factory=list)

    def _post_countdown(self, market: str, params: dict[str, str]) -> HttpResponse:
        self.set_at.append((anyio.current_time(), params["s"], int(params["ms"]) / 1000))
        return HttpResponse(200, b"{}")

    def fires_at(self, symbol: str = "BTCEURP") -> float | None:
        last = [(at, seconds) for at, name, seconds in self.set_at if name == symbol][-1]
        return None if last[1] == 0 else sum(last)


@pytest.fixture
def bourse(clock: Any) -> Venetian:
    return Venetian(clock)


def venue() -> Venue:
    plain = toy.venue()
    spec = structs.replace(toy.MARGIN_SPEC, countdown=True)
    return structs.replace(
        plain, markets=(plain.markets[0], CountingMarket(name="margin", spec=spec, limits=toy.limits()))
    )


async def test_it_is_kept_alive_while_healthy_and_called_off_when_left(bourse: Venetian, trader: Make) -> None:
    async with trader(declaration=venue()) as adapter:
        await adapter.dead_man.arm(MARGIN, 30)
        began = anyio.current_time()
        assert bourse.fires_at() is not None, "it is set before arm returns"
        for _ in range(100):
            await anyio.sleep(3)
            fires = bourse.fires_at()
            assert fires is not None
            assert fires - anyio.current_time() > 15, "never closer to firing than half its time"
        assert len(bourse.set_at) <= 2 + (anyio.current_time() - began) / 10, "and no more often than it must be"
        assert adapter.dead_man.armed == {MARGIN: 30}
    assert bourse.fires_at() is None
    done = len(bourse.set_at)
    await anyio.sleep(100)
    assert len(bourse.set_at) == done


async def test_a_hiccup_of_the_network_does_not_end_it(bourse: Venetian, trader: Make) -> None:
    async with trader(declaration=venue()) as adapter:
        await adapter.dead_man.arm(MARGIN, 30)
        bourse.fail("/margin/countdown", "lose", HttpResponse(502, b""))
        await anyio.sleep(60)
        fires = bourse.fires_at()
        assert fires is not None
        assert fires > anyio.current_time() + 15


async def test_when_trading_halts_the_venue_is_left_to_fire(bourse: Venetian, trader: Make) -> None:
    async with trader(declaration=venue()) as adapter:
        await adapter.dead_man.arm(MARGIN, 30)
        adapter.guards.halt("by hand")
        await anyio.sleep(100)
        fires = bourse.fires_at()
        assert fires is not None
        assert fires < anyio.current_time(), "nobody kept it from firing"
        with pytest.raises(TradingHalted):
            await adapter.dead_man.arm(MARGIN, 30)
    assert bourse.fires_at() == fires, "nor is it called off by leaving"


async def test_disarmed_it_stays_so(bourse: Venetian, trader: Make) -> None:
    async with trader(declaration=venue()) as adapter:
        await adapter.dead_man.arm(MARGIN, 30)
        await adapter.dead_man.disarm(MARGIN)
        assert bourse.fires_at() is None
        await anyio.sleep(100)
        assert bourse.fires_at() is None
        await adapter.dead_man.arm(MARGIN, 12)
        await anyio.sleep(50)
        fires = bourse.fires_at()
        assert fires is not None
        assert fires > anyio.current_time()


async def test_elsewhere_it_is_refused_before_any_request(bourse: Venetian, trader: Make) -> None:
    async with trader(declaration=venue()) as adapter:
        for symbol, seconds, kind in (
            (SPOT, 30.0, Unsupported),
            (MARGIN, 0.5, ConfigError),
            ("NO/EUR:EUR", 30.0, ConfigError),
        ):
            with pytest.raises(kind):
                await adapter.dead_man.arm(symbol, seconds)
        assert adapter.dead_man.armed == {}
    assert bourse.set_at == []


@pytest.mark.parametrize(
    "market", [("binance", "spot"), ("mexc", "futures"), ("weex", "contract"), ("binance", "usdm")]
)
def test_the_venues_that_have_it_say_so(market: tuple[str, str]) -> None:
    bench = Bench(*market)
    has = market == ("binance", "usdm")
    assert bench.trading.spec.countdown is has
    assert isinstance(bench.trading, Countdown) is has


def test_the_request_is_the_one_that_the_venue_documents() -> None:
    trading = Bench("binance", "usdm").trading
    assert isinstance(trading, Countdown)
    query = trading.countdown("BTC/USDT:USDT", 60.0)
    request = query.request
    assert (request.method, request.path, request.query) == (
        "POST",
        "/fapi/v1/countdownCancelAll",
        "symbol=BTCUSDT&countdownTime=60000",
    )
    assert (request.auth, request.write, request.weight) == ("signed", True, 10)
    assert query.read(HttpResponse(200, b'{"symbol":"BTCUSDT","countdownTime":"60000"}'), 0) is None
