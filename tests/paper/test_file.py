"""Paper accounts from the command line: one command goes on where the last one ended."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.paper.world import PERP, SPOT, D, World, check_books
from unitape.cli import main
from unitape.errors import ConfigError
from unitape.paper import PaperExchange
from unitape.paper.file import load_account, save_account

BIDS, ASKS = ((100.0, 3.0),), ((100.1, 3.0),)


def test_an_account_comes_back_as_it_was(tmp_path: Path) -> None:
    world = World()
    for symbol in (SPOT, PERP):
        world.book(BIDS, ASKS, symbol)
        world.place("buy", "market", symbol, size="0.7")
        world.place("buy", symbol=symbol, size="1", price="99")
    save_account(world.exchange, tmp_path / "a.paper")
    assert world.exchange.open_orders() == [], "between two commands nothing rests"
    again = PaperExchange("toy", world.settings, lambda events: None)
    load_account(again, tmp_path / "a.paper")
    assert again.fills == world.exchange.fills
    for market, account in world.exchange.accounts.items():
        assert again.accounts[market].wallet.totals == account.wallet.totals
        assert again.accounts[market].positions(0) == [
            type(one)(
                *[
                    getattr(one, name) if name not in ("mark", "unrealized_pnl") else None
                    for name in one.__struct_fields__
                ]
            )
            for one in account.positions(0)
        ]
    assert [one.shown("toy", 0) for one in again.orders.values()] == [
        one.shown("toy", 0) for one in world.exchange.orders.values()
    ]
    world.exchange = again
    for symbol in (SPOT, PERP):
        world.book(BIDS, ASKS, symbol)
        world.place("sell", "market", symbol, size="0.7")
    assert again.orders["paper-5"].filled == D("0.7"), "numbers go on"
    assert world.position() is None


def test_what_is_no_account_of_this_venue_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.paper"
    world = World()
    load_account(world.exchange, file)
    assert world.exchange.accounts == {}, "no file, nothing to load"
    save_account(world.exchange, file)
    with pytest.raises(ConfigError, match="toy"):
        load_account(PaperExchange("other", world.settings, lambda events: None), file)
    file.write_text("{}")
    with pytest.raises(ConfigError, match="no paper account"):
        load_account(world.exchange, file)
    check_books(World())


def test_commands_share_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "a.paper")

    def call(*words: str) -> tuple[list[dict[str, Any]], str]:
        assert main([*words, "--paper", file, "--sim"]) == 0
        captured = capsys.readouterr()
        return [json.loads(line) for line in captured.out.splitlines()], captured.err

    (order,), _ = call("place", "mexc", "BTC/USDT", "buy", "--kind", "market", "--size", "0.01")
    assert (order["status"], order["filled"]) == ("filled", "0.01")
    (resting,), said = call("place", "mexc", "BTC/USDT", "buy", "--price", "50000", "--size", "0.01", "--wait", "0.1")
    assert resting["status"] == "open"
    assert "none outlives the command" in said
    held = {row["currency"]: Decimal(row["total"]) for row in call("balances", "mexc", "--market", "spot")[0]}
    (fill,), _ = call("fills", "mexc")
    assert held["BTC"] == Decimal("0.01") - Decimal(fill["fee"])
    assert held["USDT"] == 100_000 - Decimal(fill["price"]) * Decimal("0.01")
    past, _ = call("orders", "mexc", "--history")
    assert [row["status"] for row in past] == ["filled", "canceled"]
    assert call("orders", "mexc")[0] == []
    checked, _ = call("place", "mexc", "BTC/USDT", "buy", "--kind", "market", "--size", "0.01", "--dry-run")
    assert checked[0]["status"] == "pending"
    assert len(call("fills", "mexc")[0]) == 1
