"""``--follow``: how an account stands from events alone, how it is drawn, and the commands over simulated venues."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from decimal import Decimal
from typing import Any

import msgspec
import pyte
import pytest
from rich.console import Console

from unitape.cli.balances import _columns as balance_columns
from unitape.cli.describe import describe
from unitape.cli.follow import ENDED_SHOWN, Following, Standing, drawing
from unitape.cli.trade import order_columns
from unitape_schemas import Balance, Event, Fill, Order, Position, Status

D = Decimal
NOW = 1_723_075_200_000_000_000
UNITAPE = [sys.executable, "-m", "unitape"]
LEAVES = b"\x1b[?1049l"
"""What gives a terminal its own screen back."""
ORDERS = Following("orders", order_columns)


def order(name: str = "7", **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "venue": "one", "symbol": "A/B", "ts_event": NOW, "ts_sent": NOW, "ts_recv": NOW, "id": name,
        "client_id": f"mine-{name}", "side": "buy", "kind": "limit", "tif": "gtc", "price": D("96400.12345678"),
        "trigger": None, "size": D("0.01000000"), "filled": D(0), "average": None, "status": "open",
        "reduce_only": None, "position_side": None, "ts_created": NOW, "ts_updated": NOW, "origin": "stream",
        "raw_status": "NEW",
    }  # fmt: skip
    return Order(**(fields | changes))


def balance(**parts: Any) -> Balance:
    names = ("free", "locked", "total", "equity", "available_margin", "unrealized_pnl")
    return Balance("one", "", NOW, 0, NOW, currency="USDT", market="perp", **{name: parts.get(name) for name in names})


def position(size: str) -> Position:
    return Position("one", "A/B", NOW, 0, NOW, "long", D(size), D(5), None, None, None, None, None, None)


def status(code: Any, subscription: str = "orders spot *") -> Status:
    return Status("one", "", 0, 0, NOW, code, subscription, None, "why")


def words(standing: Standing, width: int, following: Following = ORDERS) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(drawing(standing, following, "the title", width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_an_order_stands_until_it_ends_and_is_shown_a_while_longer() -> None:
    standing = Standing()
    standing.deliver([order("1"), order("2"), order("1", filled=D("0.01"), status="filled")])
    assert [(one.id, one.status) for one in standing.rows] == [("2", "open")]
    assert [(one.id, one.status) for one in standing.ended] == [("1", "filled")]
    standing.deliver([order("1", filled=D("0.01"), status="filled", average=D(5))])
    assert [one.average for one in standing.ended] == [D(5)], "told again it is one order still"
    standing.deliver([order(str(n), status="canceled") for n in range(10, 30)])
    assert [one.id for one in standing.ended] == [str(n) for n in range(30 - ENDED_SHOWN, 30)]


def test_what_a_push_leaves_out_of_a_balance_stays() -> None:
    standing = Standing()
    standing.deliver([balance(free=D(90), total=D(100), equity=D(101))])
    standing.deliver([balance(total=D(99))])
    (one,) = standing.rows
    assert (one.free, one.total, one.equity) == (D(90), D(99), D(101))


def test_a_closed_position_is_gone() -> None:
    standing = Standing()
    standing.deliver([position("2")])
    assert [one.size for one in standing.rows] == [D(2)]
    standing.deliver([position("0")])
    assert standing.rows == []


def test_it_is_live_when_the_stream_of_every_market_is() -> None:
    standing = Standing()
    assert standing.state == "waiting"
    standing.deliver([status("connected"), status("connected", "orders perp *"), status("subscribed")])
    assert standing.state == "connected"
    standing.deliver([status("subscribed", "orders perp *")])
    assert standing.state == "live"
    standing.deliver([status("disconnected")])
    assert standing.state == "disconnected"
    assert [one.code for one in standing.news] == ["disconnected"]
    standing.deliver([status("connected"), status("subscribed"), status("recovered")])
    assert standing.state == "live"


@pytest.mark.parametrize("width", [80, 100, 120, 160, 220])
def test_no_number_is_ever_cut(width: int) -> None:
    standing = Standing()
    standing.deliver([order("49600000001", size=D("123456.78900000"), filled=D("1.5"))])
    shown = words(standing, width)
    for number in ("96400.12345678", "123456.789", "1.5"):
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.…])", shown), shown
    assert "…" not in shown
    assert ("mine-49600000001" in shown) == (width >= 120), shown
    assert max(len(line) for line in shown.splitlines()) <= width


def test_a_wide_screen_shows_every_column_and_an_empty_one_says_so() -> None:
    standing = Standing()
    assert "none" in words(standing, 80)
    assert "the title" in words(standing, 80)
    standing.deliver([balance(free=D("1000.50"), total=D("1000.50"), equity=D("1000.50"))])
    shown = words(standing, 140, Following("balances", balance_columns))
    assert "perp" in shown
    assert shown.count("1000.5 ") == 3


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (order(), "buy            0.01 @ 96400.12345678  open  filled 0  order 7"),
        (
            order(price=None, kind="market", filled=D("0.010"), average=D("5.50"), status="filled"),
            "buy            0.01 market  filled  filled 0.01 at 5.5  order 7",
        ),
        (balance(total=D("99.10"), equity=D("100.00")), "USDT  total 99.1  equity 100  perp"),
        (position("0.50"), "long 0.5  entry 5"),
    ],
)
def test_one_line_says_what_a_person_wants_to_know(event: Any, said: str) -> None:
    assert describe(event).endswith(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("orders", "binance", "--follow", "--history"), "--history does not go with it"),
        (("orders", "binance", "-f", "--client-id", "x", "-s", "BTC/USDT"), "--client-id does not go with it"),
        (("fills", "binance", "-f", "--since", "1h"), "--since does not go with it"),
        (("balances", "binance", "-f", "--paper", "x.paper"), "there is nothing to follow"),
        (("balances", "binance", "-f"), "set UNITAPE_BINANCE_KEY and …_SECRET"),
        (("positions", "binance", "-f", "--sim", "-s", "BTC/USDT"), "no stream of positions"),
    ],
)
def test_what_cannot_be_followed_is_said_in_a_line(
    run: Any, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    for name in ("UNITAPE_BINANCE_KEY", "UNITAPE_BINANCE_SECRET", "UNITAPE_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    done = run(*words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_piped_every_change_is_a_line_of_json() -> None:
    ran = subprocess.run(
        [*UNITAPE, "orders", "weex", "--follow", "--sim", "--limit", "14"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    decoder = msgspec.json.Decoder(Event)
    events = [decoder.decode(line) for line in ran.stdout.splitlines()]
    assert len(events) == 14
    assert {type(one) for one in events} == {Order, Status}
    live = {one.subscription for one in events if isinstance(one, Status) and one.code == "subscribed"}
    assert live == {"orders spot *", "orders contract *"}
    last = {(one.symbol, one.id): one for one in events if isinstance(one, Order)}
    assert [one for one in last.values() if one.status == "filled" and one.filled == one.size]


def test_executions_alone_can_be_waited_for() -> None:
    ran = subprocess.run(
        [*UNITAPE, "fills", "binance", "-f", "--sim", "--market", "spot", "--limit", "2", "--no-status"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    fills = [msgspec.json.decode(line, type=Fill) for line in ran.stdout.splitlines()]
    assert [one.symbol for one in fills] == ["BTC/USDT"] * 2
    assert len({one.id for one in fills}) == 2


def test_on_a_terminal_it_is_a_table_until_q_and_the_end_stays() -> None:
    screen = pyte.Screen(100, 30)
    feed = pyte.ByteStream(screen)
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [*UNITAPE, "balances", "binance", "--follow", "--sim", "--market", "spot"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    pictures: list[str] = []
    asked, read = False, b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            read += (news := os.read(terminal, 65_536))
        except OSError:
            break
        feed.feed(news)
        pictures.append("\n".join(screen.display))
        counted = re.search(r"live +(\d+) events", pictures[-1])
        if not asked and counted and int(counted[1]) >= 5:
            os.write(terminal, b"q")
            asked = True
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 0, pictures[-1]
    drawn = next(picture for picture in reversed(pictures) if "q quits" in picture)
    assert drawn.startswith("unitape balances, binance simulated")
    for currency in ("BTC", "ETH", "USDT"):
        assert re.search(rf"spot +{currency} +[\d.]+ +[\d.]+ +[\d.]+", drawn), drawn
    left = read.rpartition(LEAVES)[2].decode()
    assert re.search(r"spot +USDT +[\d.]+", left), "what stood at the end is left on the terminal"
    assert "q quits" not in left


def test_a_market_that_wants_a_symbol_says_how_to_name_one(run: Any) -> None:
    done = run("orders", "mexc", "--sim")
    assert (done.status, done.out) == (2, "")
    assert "give --symbol, or name another market with --market" in done.err
    assert run("orders", "mexc", "--sim", "--market", "futures").status == 0


def test_a_symbol_that_is_not_listed_is_said(run: Any) -> None:
    done = run("orders", "binance", "-f", "--sim", "--no-status", "-s", "NOPE/NOPE")
    assert (done.status, done.out) == (2, "")
    assert "no instrument 'NOPE/NOPE'" in done.err
