"""When the venue's host no longer cancels: another one from the settings does, and nothing else goes there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from tests.trade.bourse import Bourse
from unitape.adapter import VenueAdapter
from unitape.errors import ConfigError, TradingHalted
from unitape.guards import Alert, KillRules
from unitape.spi import HttpRequest, HttpResponse, NewOrder
from unitape.trade.requests import TradingOptions

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]
SPOT, MARGIN = "BTC/EUR", "BTC/EUR:EUR"
SPARE = "https://spare.bourse.test"
RULES = KillRules(other_hosts={"spot": SPARE, "margin": SPARE})


@dataclass
class TwoHosts(Bourse):
    """One exchange behind two hosts. ``usual`` says what the usual one does: ``ok``, ``gone`` or ``hangs``."""

    usual: str = "ok"
    spared: list[tuple[str, str]] = field(default_factory=list)

    async def http(self, base: str, request: HttpRequest) -> HttpResponse:
        if base == SPARE:
            self.spared.append((request.method, request.path))
        elif self.usual == "gone":
            return HttpResponse(404, b"<html>we have moved</html>")
        elif self.usual == "hangs":
            await anyio.sleep_forever()
        return await super().http(base, request)


@pytest.fixture
def bourse(clock: Any) -> TwoHosts:
    return TwoHosts(clock)


async def halted(adapter: VenueAdapter, bourse: TwoHosts, usual: str) -> list[Alert]:
    alerts: list[Alert] = []
    adapter.guards.on_alert(alerts.append)
    for price in ("90", "91"):
        await adapter.place(SPOT, "buy", size="1", price=price)
    await adapter.place(MARGIN, "buy", size="1", price="90")
    await adapter.place(MARGIN, "buy", "stop", size="1", trigger="120")
    bourse.usual = usual
    adapter.guards.halt("by hand")
    await adapter._keeper.swept()
    return alerts


def open_rows(bourse: TwoHosts) -> list[str]:
    return [row["id"] for row in (*bourse.orders.values(), *bourse.stops.values()) if row["st"] == "open"]


@pytest.mark.parametrize("usual", ["gone", "hangs"])
async def test_what_the_usual_host_does_not_cancel_the_other_one_does(
    bourse: TwoHosts, trader: Make, usual: str
) -> None:
    async with trader(trading=TradingOptions(kill=RULES)) as adapter:
        alerts = await halted(adapter, bourse, usual)
    assert open_rows(bourse) == []
    assert [alert.severity for alert in alerts] == ["critical", "warning"]
    assert "other host of spot, margin" in alerts[-1].text
    assert {method for method, _ in bourse.spared} == {"GET", "DELETE"}


async def test_without_one_it_stays_an_emergency(bourse: TwoHosts, trader: Make) -> None:
    async with trader(trading=TradingOptions(kill=KillRules(other_hosts={"spot": SPARE}))) as adapter:
        alerts = await halted(adapter, bourse, "gone")
    assert alerts[-1].severity == "emergency"
    assert {name.split()[0] for name in alerts[-1].open} == {MARGIN}
    assert not any(row["st"] == "open" for row in bourse.orders.values() if row["s"] == "BTCEUR")


async def test_a_host_that_works_is_not_left(bourse: TwoHosts, trader: Make) -> None:
    async with trader(trading=TradingOptions(kill=RULES)) as adapter:
        alerts = await halted(adapter, bourse, "ok")
    assert open_rows(bourse) == []
    assert "other host" not in alerts[-1].text
    assert bourse.spared == []


async def test_no_order_is_ever_created_there(bourse: TwoHosts, trader: Make) -> None:
    """Neither while halted nor, by mistake in the library, at any other time."""
    async with trader(trading=TradingOptions(kill=RULES)) as adapter:
        await halted(adapter, bourse, "gone")
        with pytest.raises(TradingHalted):
            await adapter.place(SPOT, "buy", size="1", price="90")
        adapter.guards.reset("the test says so")
        bourse.usual = "ok"
        assert (await adapter.place(SPOT, "buy", size="1", price="90")).status == "open"
        client = await adapter.trading_client(adapter.declaration.market("spot"))
        other = client.elsewhere(SPARE)
        for query in (
            client.trading.place(NewOrder(SPOT, "buy", "limit", "x")),
            client.trading.set_leverage(SPOT, 3),
        ):
            with pytest.raises(ConfigError, match="another host"):
                await other.write(query, client_id="x", urgent=True)
    assert not [path for method, path in bourse.spared if method not in ("GET", "DELETE")]


async def test_a_host_for_a_market_that_is_none_is_refused(trader: Make) -> None:
    with pytest.raises(ConfigError, match="futures"):
        trader(trading=TradingOptions(kill=KillRules(other_hosts={"futures": SPARE})))
    with pytest.raises(ConfigError, match="https://"):
        trader(trading=TradingOptions(kill=KillRules(other_hosts={"spot": "spare.bourse.test"})))
