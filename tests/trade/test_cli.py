"""The commands, against a scripted exchange where a live venue would be."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.trade.bourse import KEY, PASSPHRASE, SECRET, Bourse
from unitape import registry
from unitape.cli import main
from unitape.clock import SystemClock
from unitape.transport.memory import MemoryTransport
from unitape_schemas import Balance, Fill, Order, Position

ORDER = ("place", "bourse", "BTC/EUR", "buy", "--size", "1", "--price", "100")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Done:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err
        assert not any(hidden in out + err for hidden in (KEY, SECRET, PASSPHRASE))

    def rows(self, kind: Any) -> list[Any]:
        return [msgspec.json.decode(line, type=kind) for line in self.out.splitlines()]


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bourse]:
    """A live venue: the toy exchange behind the network, its keys in the environment."""
    exchange = Bourse(SystemClock(), latency=0.0)
    entries = {**registry._entries(), "bourse": EntryPoint("bourse", "tests.trade.bourse:VENUE", registry.GROUP)}
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    monkeypatch.setattr("unitape.adapter.open_transport", lambda *_, **__: MemoryTransport(exchange))
    monkeypatch.setenv("UNITAPE_BOURSE_KEY", KEY)
    monkeypatch.setenv("UNITAPE_BOURSE_SECRET", SECRET)
    monkeypatch.setenv("UNITAPE_BOURSE_PASSPHRASE", PASSPHRASE)
    registry.load_venue.cache_clear()
    yield exchange
    registry.load_venue.cache_clear()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run a command; ``answer`` is what a person types, None: nobody is there."""

    def run(*words: str, answer: str | None = None) -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO() if answer is None else Terminal(answer + "\n"))
        status = main(list(words))
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return run


Call = Callable[..., Done]


@pytest.mark.parametrize("answer", ["y", "yes", "Y"])
def test_a_live_order_asks_and_is_placed_when_agreed(live: Bourse, call: Call, answer: str) -> None:
    done = call(*ORDER, answer=answer)
    assert done.status == 0
    assert "bourse live: buy BTC/EUR 1 (base units) limit price 100. Place this order? [y/N]" in done.err
    (order,) = done.rows(Order)
    assert (order.symbol, order.side, order.status, str(order.price)) == ("BTC/EUR", "buy", "open", "100")
    assert len(live.orders) == 1


@pytest.mark.parametrize("answer", ["", "n", "no", "yep"])
def test_it_is_not_placed_otherwise(live: Bourse, call: Call, answer: str) -> None:
    done = call(*ORDER, answer=answer)
    assert (done.status, done.out) == (1, "")
    assert "not placed" in done.err
    assert live.seen == []


def test_where_nobody_can_be_asked_it_must_be_said(live: Bourse, call: Call) -> None:
    done = call(*ORDER)
    assert done.status == 2
    assert "--yes" in done.err
    assert live.seen == []
    assert call(*ORDER, "--yes").status == 0
    assert len(live.orders) == 1


@pytest.mark.parametrize(("option", "paths"), [("--dry-run", []), ("--validate", ["/spot/check"])])
def test_checking_asks_nobody_and_places_nothing(live: Bourse, call: Call, option: str, paths: list[str]) -> None:
    done = call(*ORDER, option)
    assert done.status == 0
    assert done.rows(Order)[0].status == "pending"
    assert [one.path for one in live.seen if one.path not in ("/time", "/instruments")] == paths
    assert live.orders == {}


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [
        ((*ORDER[:-1], "100.001", "--yes"), "prices are never rounded: give 100 or 100.01", 1),
        ((*ORDER[:-1], "ten", "--yes"), "ten is not a number", 2),
        (("place", "bourse", "NIX/EUR", "buy", "--size", "1", "--price", "5", "--yes"), "no instrument 'NIX/EUR'", 1),
        (("place", "bourse", "BTC/EUR", "buy", "--price", "5"), "one of the arguments --size --cost is required", 2),
        (("cancel", "bourse", "BTC/EUR"), "one of the arguments --id --client-id is required", 2),
        (("cancel", "bourse", "BTC/EUR", "--id", "77"), "unknown order", 1),
        (("orders", "bourse", "--id", "77"), "--symbol together with --id", 2),
        (("orders", "bourse", "--history"), "name a symbol or a market", 2),
        (("orders", "bourse", "--since", "yesterday"), "yesterday is no age", 2),
        (("positions", "bourse", "-s", "BTC/EUR"), "no positions", 2),
        (("balances", "nix"), "no venue 'nix'", 2),
        (("balances", "bourse", "--sim"), "no simulator ships with bourse", 2),
        (("balances", "bourse", "--env", "moon"), "no environment 'moon'", 2),
        (("place", "bourse", "BTC/EUR", "buy", "--size", "0", "--price", "100", "--yes"), "size 0 must be above 0", 2),
        ((*ORDER, "--yes", "--wait", "5"), "--wait is for orders on paper", 2),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    live: Bourse, call: Call, words: tuple[str, ...], said: str, status: int
) -> None:
    done = call(*words)
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert live.orders == {}


def test_an_order_whose_answer_is_lost_is_found_and_shown(live: Bourse, call: Call) -> None:
    live.fail("/spot/order", "lost")
    done = call(*ORDER, "--yes", "--client-id", "fate-1")
    assert done.status == 0
    assert [(one.client_id, one.status, one.origin) for one in done.rows(Order)] == [("fate-1", "open", "reconciled")]
    assert live.count("/spot/order", "POST") == 1


def test_orders_fills_balances_positions_and_cancels(live: Bourse, call: Call) -> None:
    for _ in range(3):
        call(*ORDER, "--yes")
    call("place", "bourse", "BTC/EUR:EUR", "sell", "--kind", "stop", "--size", "1", "--trigger", "90", "--yes")
    assert [one.id for one in call("orders", "bourse").rows(Order)] == ["1", "2", "3", "4"]
    assert [one.id for one in call("cancel", "bourse", "BTC/EUR", "--id", "2").rows(Order)] == ["2"]
    live.fills = [{"id": "f1", "oid": "1", "t": live.now() - 5_000, "p": "100", "q": "0.5"}]
    live.fills += [{"id": "f0", "oid": "1", "t": live.now() - 9_000_000, "p": "100", "q": "0.5"}]
    assert [one.id for one in call("fills", "bourse", "-s", "BTC/EUR", "--since", "1h").rows(Fill)] == ["f1"]
    assert {one.id for one in call("fills", "bourse", "-s", "BTC/EUR", "--order", "1").rows(Fill)} == {"f0", "f1"}
    assert [(one.market, str(one.free)) for one in call("balances", "bourse").rows(Balance)] == [
        ("spot", "1000.50"),
        ("margin", "7"),
    ]
    live.positions = [{"s": "BTCEURP", "side": "long", "q": "0.25"}, {"s": "ETHEURP", "side": "long", "q": "0"}]
    assert [str(one.size) for one in call("positions", "bourse").rows(Position)] == ["0.25"]
    done = call("cancel-all", "bourse")
    assert done.status == 0
    assert [one.id for one in done.rows(Order)] == ["1", "3", "4"]
    assert call("orders", "bourse").out == ""
    call(*ORDER, "--yes")
    live.fail("/spot/all", *["lost"] * 3)
    done = call("cancel-all", "bourse", "--symbol", "BTC/EUR")
    assert done.status == 1
    assert "spot: BTC/EUR: bourse: no answer to cancel_all" in done.err


def test_on_a_terminal_orders_are_a_table(live: Bourse, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call(*ORDER, "--yes")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["orders", "bourse"]) == 0
    head, row = screen.getvalue().splitlines()
    assert head.split()[:3] == ["symbol", "id", "client"]
    assert row.split()[:2] == ["BTC/EUR", "1"]
    assert head.index("status") == row.index("open")


def test_keys_come_from_a_private_file(
    live: Bourse, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KEY", "SECRET", "PASSPHRASE"):
        monkeypatch.delenv(f"UNITAPE_BOURSE_{name}")
    bare = call("balances", "bourse")
    assert bare.status == 2
    assert "needs an API key" in bare.err
    keys = tmp_path / "keys.toml"
    keys.write_text(f"[bourse]\nkey = {json.dumps(KEY)}\nsecret = {json.dumps(SECRET)}\npassphrase = '{PASSPHRASE}'\n")
    keys.chmod(0o644)
    open_file = call("balances", "bourse", "--keys", str(keys))
    assert (open_file.status, "chmod 600" in open_file.err) == (2, True)
    keys.chmod(0o600)
    assert call("balances", "bourse", "--keys", str(keys)).status == 0


def test_a_simulated_venue_comes_with_a_demo_account(call: Call) -> None:
    balances = call("balances", "binance", "--sim", "--market", "spot").rows(Balance)
    assert ("USDT", "100000") in [(one.currency, f"{one.free.normalize():f}") for one in balances]
    placed = call("place", "binance", "BTC/USDT", "buy", "--kind", "market", "--size", "0.01", "--sim", "--seed", "3")
    assert placed.status == 0
    (order,) = placed.rows(Order)
    assert (order.status, str(order.size.normalize())) == ("filled", "0.01")
    refused = call("place", "binance", "BTC/USDT", "buy", "--size", "0.0100001", "--price", "50000", "--sim")
    assert refused.status == 1
    assert "round_size=True" in refused.err


def test_a_market_that_cancels_by_symbol_only_says_so(call: Call) -> None:
    done = call("cancel-all", "mexc", "--market", "spot", "--sim")
    assert done.status == 1
    assert "spot: mexc spot needs a symbol for open orders: give --symbol" in done.err.splitlines()
