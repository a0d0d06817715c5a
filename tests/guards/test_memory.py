"""A halt that outlives its process."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trade import bourse as toy
from tests.trade.bourse import Bourse, refusal
from unitape.adapter import VenueAdapter
from unitape.errors import ConfigError, TradingHalted
from unitape.guards import Alert, KillRules
from unitape.trade.requests import TradingOptions
from unitape_schemas import Event, Status

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]
SPOT = "BTC/EUR"
CLOSED = refusal(400, "-66", "under maintenance")


class Sink:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def deliver(self, events: Any) -> None:
        self.events += events


def options(folder: Path, **rules: Any) -> TradingOptions:
    return TradingOptions(kill=KillRules(state_file=folder / "halt.json", **rules))


def files(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


async def place(adapter: VenueAdapter) -> str | None:
    return (await adapter.place(SPOT, "buy", size="1", price="100")).id


async def test_a_new_process_starts_halted_until_somebody_resets_it(
    bourse: Bourse, trader: Make, tmp_path: Path
) -> None:
    async with trader(trading=options(tmp_path)) as adapter:
        await place(adapter)
        adapter.guards.halt("the numbers look wrong")
    kept = tmp_path / "halt.bourse.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not any(secret in kept.read_text() for secret in (toy.KEY, toy.SECRET, toy.PASSPHRASE))

    alerts: list[Alert] = []
    sink = Sink()
    second = trader(trading=options(tmp_path))
    second.guards.on_alert(alerts.append)
    second.attach(sink)
    async with second:
        assert [(one.severity, one.halt.reason) for one in alerts] == [("critical", "the numbers look wrong")]
        assert [one.code for one in sink.events if isinstance(one, Status)] == ["halted"]
        with pytest.raises(TradingHalted, match="the numbers look wrong"):
            await place(second)
        second.guards.reset("the feed was late")
        await place(second)
    assert files(tmp_path) == []
    async with trader(trading=options(tmp_path)) as third:
        await place(third)


async def test_what_an_earlier_process_could_not_cancel_is_canceled_when_its_market_is_used(
    bourse: Bourse, trader: Make, tmp_path: Path
) -> None:
    async with trader(trading=options(tmp_path, cancel_tries=1)) as adapter:
        await place(adapter)
        for path in ("/spot/all", "/spot/order"):
            bourse.fail(path, *[CLOSED] * 9)
        adapter.guards.halt("by hand")
    bourse.faults.clear()
    assert [row["st"] for row in bourse.orders.values()] == ["open"]
    alerts: list[Alert] = []
    second = trader(trading=options(tmp_path))
    second.guards.on_alert(alerts.append)
    async with second:
        assert "nothing is open on spot" in alerts[0].text
        with pytest.raises(TradingHalted):
            await place(second)
    assert [row["st"] for row in bourse.orders.values()] == ["canceled"]
    assert [one.severity for one in alerts] == ["critical", "warning"]


async def test_what_was_seen_to_be_gone_is_not_canceled_again(bourse: Bourse, trader: Make, tmp_path: Path) -> None:
    """An order that a person placed by hand after the halt is none of ours."""
    async with trader(trading=options(tmp_path)) as adapter:
        await place(adapter)
        adapter.guards.halt("by hand")
    async with trader() as person:
        await place(person)
    async with trader(trading=options(tmp_path)) as second:
        with pytest.raises(TradingHalted):
            await place(second)
        assert len(await second.open_orders(SPOT)) == 1
    assert [row["st"] for row in bourse.orders.values()] == ["canceled", "open"]


async def test_a_file_that_cannot_be_read_is_no_leave_to_trade(trader: Make, tmp_path: Path) -> None:
    for content in (b"", b"{}", b"\xff\xfe", b'{"venue":"another","halt":{"reason":"x","source":"hand","ts":1}}'):
        (tmp_path / "halt.bourse.json").write_bytes(content)
        with pytest.raises(ConfigError, match=r"halt\.bourse\.json"):
            trader(trading=options(tmp_path))
    with pytest.raises(ConfigError, match="no folder"):
        trader(trading=options(tmp_path / "missing"))


async def test_a_disk_that_fails_keeps_no_halt_from_halting(
    bourse: Bourse, trader: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    alerts: list[Alert] = []
    async with trader(trading=options(tmp_path)) as adapter:
        adapter.guards.on_alert(alerts.append)
        await place(adapter)
        monkeypatch.setattr(os, "fsync", full)
        adapter.guards.halt("by hand")
        with pytest.raises(TradingHalted):
            await place(adapter)
    assert [row["st"] for row in bourse.orders.values()] == ["canceled"]
    assert "NO SPACE" in alerts[0].text.upper()
