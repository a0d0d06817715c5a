"""The board behind the live screens, and how it looks."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from unitape.cli.board import Board
from unitape.cli.screen import picture, plain_line, price, summary_lines
from unitape_schemas import BookDelta, BookSnapshot, Quote, Status, Ticker, Trade

SECOND = 1_000_000_000
NOW = 1_723_075_200 * SECOND


def trade(at: float, price: float = 100.0, symbol: str = "A/B", venue: str = "one", delay: float = 0.0) -> Trade:
    ts = NOW + int(at * SECOND)
    return Trade(venue, symbol, ts - int(delay * SECOND), 0, ts, "1", price, 1.0, "buy")


def status(code, *, symbol: str = "", venue: str = "one", subscription=None, text: str = "") -> Status:
    return Status(venue, symbol, 0, 0, NOW, code, subscription, None, text)


def snapshot(seq: int = 7, epoch: int = 1) -> BookSnapshot:
    return BookSnapshot("one", "A/B", 0, 0, NOW, ((99.0, 1.0), (98.0, 2.0)), ((101.0, 1.0),), seq, seq, None, epoch)


@pytest.fixture
def board():
    return Board(lambda venue, symbol: "perp" if ":" in symbol else "spot")


def test_the_book_gives_the_best_prices_and_follows_deltas(board):
    board.deliver([snapshot()])
    (row,) = board.rows(NOW)
    assert (row.bid, row.ask, row.seq, row.epoch, row.spread, row.state) == (99.0, 101.0, 7, 1, 2.0, "live")
    assert row.spread_bps == pytest.approx(200.0)
    board.deliver([BookDelta("one", "A/B", 0, 0, NOW, ((99.0, 0.0),), (), 8, 8, 7, 1)])
    (row,) = board.rows(NOW)
    assert (row.bid, row.seq) == (98.0, 8)


def test_a_quote_serves_where_there_is_no_book_and_the_book_wins(board):
    board.deliver([Quote("one", "A/B", 0, 0, NOW, 50.0, 1.0, 51.0, 1.0, None)])
    assert [(r.bid, r.ask, r.seq) for r in board.rows(NOW)] == [(50.0, 51.0, None)]
    board.deliver([snapshot()])
    assert [(r.bid, r.ask) for r in board.rows(NOW)] == [(99.0, 101.0)]


def test_rates_are_over_the_last_five_seconds_or_since_the_beginning(board):
    board.deliver([trade(n * 0.1) for n in range(20)])
    assert board.rows(NOW + 2 * SECOND)[0].trades_per_second == pytest.approx(10.0)
    assert board.rows(NOW + 4 * SECOND)[0].trades_per_second == pytest.approx(5.0)
    assert board.rows(NOW + 6 * SECOND)[0].trades_per_second == pytest.approx(9 / 5, abs=0.21)
    assert board.rows(NOW + 60 * SECOND)[0].trades_per_second == 0.0
    assert board.rows(NOW + 60 * SECOND)[0].age == pytest.approx(58.1)


def test_latency_is_measured_where_the_venue_says_the_time(board):
    board.deliver([trade(n, delay=0.020) for n in range(10)])
    assert board.rows(NOW)[0].latency == pytest.approx(0.020)
    board.deliver([Trade("one", "C/D", 0, 0, NOW, None, 1.0, 1.0, "buy")])
    assert board.rows(NOW)[1].latency is None


def test_statuses_mark_the_rows_they_are_about(board):
    board.deliver([trade(0), trade(0, symbol="C/D"), trade(0, venue="two")])
    board.deliver([status("gap", symbol="A/B"), status("stale", symbol="A/B")])
    rows = {(r.venue, r.symbol): r for r in board.rows(NOW)}
    assert (rows["one", "A/B"].gaps, rows["one", "A/B"].state) == (1, "stale")
    assert (rows["one", "C/D"].gaps, rows["one", "C/D"].state) == (0, "live")
    board.deliver([status("disconnected")])
    states = {(r.venue, r.symbol): r.state for r in board.rows(NOW)}
    assert states == {("one", "A/B"): "disconnected", ("one", "C/D"): "disconnected", ("two", "A/B"): "live"}
    board.deliver([status("connected"), status("resynced", symbol="A/B")])
    assert {r.state for r in board.rows(NOW)} == {"live"}
    assert board.gaps == 1


def test_a_ticker_gives_a_last_price_until_a_trade_does(board):
    ticker = Ticker("one", "A/B", 0, 0, NOW, 90.0, None, None, None, None, None, None, None, None, None, None)
    board.deliver([ticker])
    assert board.rows(NOW)[0].last == 90.0
    board.deliver([trade(0, 91.0), ticker])
    assert board.rows(NOW)[0].last == 91.0


def test_an_expected_row_waits_until_something_comes(board):
    board.expect("one", "A/B:B")
    (row,) = board.rows(NOW)
    assert (row.state, row.market, row.age, row.bid, row.spread_bps) == ("waiting", "perp", None, None, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (96412.37, "96,412.37"),
        (96412.375, "96,412.375"),
        (96406.90382194, "96,406.90382194"),  # a fixed number of places would end in 939995
        (0.00001234, "0.00001234"),
        (3.5, "3.5"),
        (1e-12, "0.000000000001"),
        (1.5e-13, "0.00000000000015"),
        (0.0, "0"),
        (1000.0, "1,000.00"),
        (None, "-"),
    ],
)
def test_prices_are_written_in_full(value, text):
    assert price(value) == text


def test_a_plain_line_and_the_summary_say_it_all(board):
    board.deliver([snapshot(), trade(0, delay=0.015), status("gap", symbol="A/B"), status("connected")])
    board.expect("two", "A/B")
    rows = board.rows(NOW)
    line = plain_line(rows[0], NOW)
    for word in ("00:00:00", "one spot", "A/B", "99", "101", "200.00bp", "15.0ms", "seq 7", "gaps 1"):
        assert word in line
    lines = summary_lines(board, rows, 10.0)
    assert lines[0] == "summary: 4 events in 10.0 s from 2 markets, 2 symbols"
    assert "book_snapshot 1, trade 1" in lines[1]
    assert "connected 1, gap 1" in lines[2]
    assert "1 joined, 0 crossed, 1 gaps" in lines[3]
    assert "two A/B" in lines[4]


@pytest.mark.parametrize("width", [80, 100, 120, 140, 200])
def test_the_picture_fits_the_terminal_and_cuts_nothing_off(board, width):
    long = BookSnapshot(
        "one", "BTC/USDT:USDT", 0, 0, NOW, ((96452.25, 1.0),), ((96453.75, 1.0),), None, 50093421584, None, 1
    )
    board.deliver(
        [snapshot(), long, trade(0, delay=0.015), status("gap", symbol="A/B", text="update 9 does not follow")]
    )
    screen = io.StringIO()
    console = Console(file=screen, width=width, height=20, force_terminal=False)
    console.print(picture(board, NOW, title="the title", width=width))
    text = screen.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for word in (
        "the title",
        "one perp",
        "BTC/USDT:USDT",
        "96,452.25",
        "96,453.75",
        "does not follow",
        "q quits",
        "live",
    ):
        assert word in text
    for word in ("book seq", "50093421584", "latency", "15.0 ms", "200.00bp"):
        assert (word in text) or width < 120
