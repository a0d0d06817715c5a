"""What leaves the house and how often: signing, lost answers, clocks, budgets, secrets."""

from __future__ import annotations

import gc
import io
import itertools
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.trade import bourse as toy
from tests.trade.bourse import KEY, PASSPHRASE, SECRET, Bourse, refusal
from unitape.adapter import VenueAdapter
from unitape.errors import (
    AuthenticationFailed,
    ConfigError,
    ExchangeUnavailable,
    InsufficientFunds,
    OutcomeUnknown,
    RateLimited,
    TimestampOutOfWindow,
    TransportError,
    UnitapeError,
    VenueError,
)
from unitape.spi import Budget, Credentials, HttpRequest, HttpResponse
from unitape.tape.record import Recorder
from unitape.trade.requests import OrderRequest, TradingOptions
from unitape_schemas import Order, Subscription

pytestmark = pytest.mark.anyio
Make = Callable[..., VenueAdapter]
SPOT = "BTC/EUR"


async def buy(trader: VenueAdapter, **changes: Any) -> Order:
    return await trader.place("BTC/EUR", "buy", **{"size": "1", "price": "100.5", **changes})


async def test_an_order_arrives_signed_by_the_venues_clock(bourse: Bourse, trader: Make) -> None:
    bourse.skew = 4321.0  # far outside the window for whoever signs by its own clock
    async with trader() as adapter:
        order = await buy(adapter, client_id="mine-1")
    assert (order.id, order.client_id, order.status) == ("1", "mine-1", "open")
    (sent,) = [one for one in bourse.seen if one.path == "/spot/order"]
    assert sent.method == "POST"
    named = {name: value for name, value in sent.params.items() if name not in ("ts", "sig")}
    assert named == {"s": "BTCEUR", "side": "buy", "kind": "limit", "cid": "mine-1", "q": "1", "p": "100.5"}


async def test_every_order_has_an_id_of_its_own(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        ids = [(await buy(adapter)).client_id for _ in range(3)]
    assert len({*ids}) == 3
    assert [one.params["cid"] for one in bourse.seen if one.path == "/spot/order"] == ids


# Lost answers -------------------------------------------------------------------------------------------------------

Verb = Callable[[VenueAdapter], Awaitable[Any]]
WRITES: dict[str, tuple[str, Verb]] = {
    "place": ("/spot/order", lambda a: buy(a, client_id="fate")),
    "cancel": ("/spot/order", lambda a: a.cancel("BTC/EUR", client_id="fate")),
    "amend": ("/spot/order", lambda a: a.amend("BTC/EUR", client_id="fate", price="101")),
    "leverage": ("/margin/leverage", lambda a: a.set_leverage("BTC/EUR:EUR", 5)),
    "position mode": ("/margin/mode", lambda a: a.set_position_mode("hedge")),
}
LOST: dict[str, Any] = {
    "lost before": "lose",
    "lost after": "lost",
    "no answer": "hang",
    "a fault below": "explode",
    "500": HttpResponse(500, b"oops"),
    "502 page": HttpResponse(502, b"<html>bad gateway</html>"),
    "503": refusal(503, "-7", "unavailable"),
    "the venue does not know": refusal(200, "-8", "x"),
    "the venue says so": refusal(400, "-8", "timeout inside"),
    "no json": HttpResponse(200, b"<html>"),
    "not the shape": HttpResponse(200, b"[]"),
    "empty": HttpResponse(200, b""),
}


IGNORE_BODIES = ("leverage", "position mode")
"""Bourse's settings have answers that nobody reads, so that none of them can be misread."""
CASES = [
    (verb, fault)
    for verb in WRITES
    for fault in LOST
    if not (verb in IGNORE_BODIES and fault in ("not the shape", "the venue does not know"))
]


@pytest.mark.parametrize(("verb", "fault"), CASES)
async def test_an_open_outcome_is_said_and_never_tried_again(
    bourse: Bourse, trader: Make, verb: str, fault: str
) -> None:
    path, call = WRITES[verb]
    bourse.fail(path, LOST[fault])
    async with trader() as adapter:
        await adapter.balances()
        before = len(bourse.seen)
        started = anyio.current_time()
        with pytest.raises(OutcomeUnknown) as unknown:
            await call(adapter)
        waited = anyio.current_time() - started
        await anyio.sleep(600)
    writes = [one for one in bourse.seen[before:] if one.method != "GET"]
    assert [one.path for one in writes] == [path]
    assert unknown.value.client_id == (None if verb in IGNORE_BODIES else "fate")
    assert not unknown.value.retryable
    assert waited < 10.5


async def test_what_was_never_sent_is_no_open_outcome(bourse: Bourse, trader: Make) -> None:
    bourse.fail("/spot/order", "refused")
    async with trader() as adapter:
        with pytest.raises(TransportError, match="refused") as failed:
            await buy(adapter)
    assert not failed.value.sent
    assert bourse.count("/spot/order") == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(400, "-2", "too poor"), InsufficientFunds),
        (refusal(500, "-2", "too poor"), InsufficientFunds),
        (refusal(400, "-7", "busy, not executed"), ExchangeUnavailable),
        (refusal(403, "-99", "go away"), VenueError),
    ],
)
async def test_a_refusal_is_told_in_the_venues_words(
    bourse: Bourse, trader: Make, answer: HttpResponse, kind: type[VenueError]
) -> None:
    bourse.fail("/spot/order", answer)
    async with trader() as adapter:
        with pytest.raises(VenueError) as refused:
            await buy(adapter)
    assert type(refused.value) is kind
    assert refused.value.status == answer.status
    assert refused.value.text in answer.body.decode()
    assert bourse.count("/spot/order") == 1


async def test_reads_are_tried_again_with_growing_pauses(bourse: Bourse, trader: Make) -> None:
    bourse.fail("/spot/balances", "lose", HttpResponse(502, b"x"))
    async with trader() as adapter:
        assert [str(one.free) for one in await adapter.balances("spot")] == ["1000.50"]
        at = [one.at for one in bourse.seen if one.path == "/spot/balances"]
        assert [round(b - a, 3) for a, b in itertools.pairwise(at)] == [0.275, 0.525]
        bourse.fail("/spot/balances", *["lose"] * 9)
        with pytest.raises(TransportError):
            await adapter.balances("spot")
    assert bourse.count("/spot/balances") == 6


async def test_reads_wait_for_as_long_as_the_venue_says_but_not_for_ever(bourse: Bourse, trader: Make) -> None:
    slow = refusal(429, "-5", "slow")
    body = slow.body.replace(b"{", b'{"after": 4.0, ', 1)
    bourse.fail("/spot/balances", HttpResponse(429, body))
    async with trader() as adapter:
        await adapter.balances("spot")
        first, second = [one.at for one in bourse.seen if one.path == "/spot/balances"]
        assert second - first == pytest.approx(4.025, abs=0.01)
        bourse.fail("/spot/balances", HttpResponse(429, body.replace(b"4.0", b"99.0")))
        with pytest.raises(RateLimited) as limited:
            await adapter.balances("spot")
        assert limited.value.retry_after == 99.0
        started = anyio.current_time()
        await buy(adapter)
        assert anyio.current_time() - started > 98.0, "a venue that wants quiet gets it from everybody"


# The clock ----------------------------------------------------------------------------------------------------------


async def test_a_time_outside_the_window_is_measured_again_and_sent_once_more(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await adapter.balances("spot")
        bourse.skew = 30.0  # the venue's clock was set
        order = await buy(adapter, client_id="once")
    assert order.client_id == "once"
    sent = [one.params for one in bourse.seen if one.path == "/spot/order"]
    assert [one["cid"] for one in sent] == ["once", "once"]
    assert int(sent[1]["ts"]) - int(sent[0]["ts"]) == pytest.approx(30_000, abs=500)
    assert len(bourse.orders) == 1


async def test_a_time_that_stays_outside_is_refused_after_the_second(bourse: Bourse, trader: Make) -> None:
    bourse.window = -1.0
    async with trader() as adapter:
        with pytest.raises(TimestampOutOfWindow):
            await buy(adapter)
    assert bourse.count("/spot/order") == 2
    assert bourse.orders == {}


async def test_the_second_try_is_not_repeated_when_its_answer_is_lost(bourse: Bourse, trader: Make) -> None:
    bourse.fail("/spot/order", refusal(400, "-9", "time"), "lost")
    async with trader() as adapter:
        with pytest.raises(OutcomeUnknown):
            await buy(adapter)
    assert bourse.count("/spot/order") == 2
    assert len(bourse.orders) == 1


async def test_nothing_is_signed_by_a_clock_that_is_not_known(bourse: Bourse, trader: Make) -> None:
    bourse.fail("/time", *["lose"] * 5)
    async with trader() as adapter:
        with pytest.raises(TransportError):
            await buy(adapter)
        assert bourse.count("/spot/order") == 0
        assert bourse.count("/time") == 5
        bourse.latency = 3.0
        with pytest.raises(TransportError, match=r"known only to ±1\.5"):
            await buy(adapter)
        assert bourse.count("/spot/order") == 0
        bourse.latency = 0.05
        await buy(adapter)


async def test_the_clock_is_measured_again_beside_orders(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await buy(adapter)
        first = bourse.count("/time")
        await anyio.sleep(241)
        started = anyio.current_time()
        await buy(adapter)
        assert anyio.current_time() - started == pytest.approx(0.05, abs=0.001), "the order did not wait for it"
        await anyio.sleep(5)
        assert bourse.count("/time") > first


# Budgets ------------------------------------------------------------------------------------------------------------


async def test_orders_wait_for_their_count_and_cancels_pass_them(bourse: Bourse, trader: Make) -> None:
    cancels: list[float] = []
    async with trader() as adapter:  # 20 orders in 10 s, of which 18 are used
        placed = await buy(adapter, client_id="first")

        async def cancel() -> None:
            await anyio.sleep(1.0)
            started = anyio.current_time()
            await adapter.cancel("BTC/EUR", id=placed.id)
            cancels.append(anyio.current_time() - started)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            for _ in range(24):
                tasks.start_soon(buy, adapter)
    at = [one.at for one in bourse.seen if one.path == "/spot/order" and one.method == "POST"]
    assert len(at) == 25
    assert max(sum(begin <= one < begin + 9.999 for one in at) for begin in at) == 18
    assert cancels == [pytest.approx(0.05, abs=0.001)]


async def test_refusing_instead_of_waiting_says_for_how_long(bourse: Bourse, trader: Make) -> None:
    async with trader(trading=TradingOptions(when_limited="refuse")) as adapter:
        for _ in range(18):
            await buy(adapter)
        with pytest.raises(RateLimited, match="nothing was sent") as limited:
            await buy(adapter)
        assert bourse.count("/spot/order") == 18
        assert limited.value.retry_after is not None
        await anyio.sleep(limited.value.retry_after)
        await buy(adapter)
    assert bourse.count("/spot/order") == 19


async def test_cancels_keep_room_when_everything_else_is_used_up(bourse: Bourse, trader: Make) -> None:
    budgets = (Budget("weight", 100, 60.0, header="x-used"),)
    async with trader(declaration=toy.venue(limits=toy.limits(budgets))) as adapter:
        placed = await buy(adapter)
        bourse.used = 95
        await adapter.balances("spot")  # the venue says that 95 of 100 are gone; 90 are ours to use
        started = anyio.current_time()
        await adapter.cancel("BTC/EUR", id=placed.id)
        assert anyio.current_time() - started < 0.1
        await buy(adapter)
        assert anyio.current_time() - started > 5.0


async def test_one_accounts_orders_do_not_count_for_another(bourse: Bourse, trader: Make) -> None:
    budgets: Any = None
    async with trader() as one:
        budgets = one._budgets
        for _ in range(18):
            await buy(one)
        async with trader(budgets=budgets, credentials=Credentials("other", "x" * 8)) as other:
            started = anyio.current_time()
            with pytest.raises(VenueError):
                await buy(other)
            assert anyio.current_time() - started < 1.0
        async with trader(budgets=budgets) as same:
            started = anyio.current_time()
            await buy(same)
            assert anyio.current_time() - started > 5.0, "the account's count is shared by its adapters"


# Credentials --------------------------------------------------------------------------------------------------------


async def test_without_a_key_nothing_private_is_sent(
    bourse: Bourse, trader: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNITAPE_BOURSE_KEY", raising=False)
    async with trader(credentials=None) as adapter:
        with pytest.raises(ConfigError, match="UNITAPE_BOURSE_KEY"):
            await buy(adapter)
    assert [one.path for one in bourse.seen] == ["/instruments"]


async def test_the_environments_key_is_for_the_venue_itself_only(
    bourse: Bourse, trader: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNITAPE_BOURSE_KEY", KEY)
    monkeypatch.setenv("UNITAPE_BOURSE_SECRET", SECRET)
    monkeypatch.setenv("UNITAPE_BOURSE_PASSPHRASE", PASSPHRASE)
    async with trader(credentials=None) as adapter:
        assert (await buy(adapter)).status == "open"
    moved = {"spot": toy.BourseMarket(name="spot").endpoints["live"]}
    async with trader(credentials=None, endpoints=moved) as adapter:
        with pytest.raises(ConfigError, match="API key"):
            await buy(adapter)


def echo(request: HttpRequest) -> HttpResponse:
    """A venue that sends back all it was sent."""
    return HttpResponse(400, f'{{"code": "-4", "msg": "{request.target} {dict(request.headers)}"}}'.encode())


def echo_unreadable(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, f"<{request.target} {dict(request.headers)}>".encode())


def locals_of(error: BaseException) -> str:
    """What a traceback with locals shows of everything below the test."""
    stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    frames = [frame for frame in stack if "/tests/" not in frame.filename]
    assert frames
    assert all(frame.locals for frame in frames)
    return "\n".join(str(frame.locals) for frame in frames)


@pytest.mark.parametrize("fault", ["lose", "explode", echo, echo_unreadable, "lost", None])
async def test_a_trading_run_shows_its_secrets_nowhere(
    bourse: Bourse, trader: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    shown: list[str] = []
    caught: list[UnitapeError] = []
    try:
        with Recorder(tmp_path / "run.tape") as recorder:
            async with trader(record=recorder.begin) as adapter:
                await adapter.subscribe([Subscription("trades", "BTC/EUR")])
                for path in ("/spot/order", "/spot/orders", "/spot/balances", "/spot/open"):
                    if fault is not None:
                        bourse.fail(path, *[fault] * 3)
                client = await adapter.trading_client(adapter.declaration.market("spot"))
                shown += [repr(adapter), repr(client), repr(adapter.declaration), str(vars(client))]
                for call in (
                    buy(adapter),
                    adapter.cancel("BTC/EUR", client_id="x"),
                    adapter.balances("spot"),
                    adapter.open_orders(SPOT),
                ):
                    try:
                        shown.append(repr(await call))
                    except UnitapeError as error:
                        caught.append(error)
                        logging.getLogger("app").exception("failed")
                many = [OrderRequest(symbol="BTC/EUR", side="buy", size="1", price="7") for _ in range(2)]
                shown += [repr(one) for one in await adapter.place_many(many)]
    finally:
        logging.getLogger().removeHandler(handler)
    for error in caught:
        shown += [
            repr(error),
            str(error),
            repr(vars(error)),
            "".join(traceback.format_exception(error)),
            locals_of(error),
        ]
        assert error.__context__ is None
        assert error.__cause__ is None
    shown += [log.getvalue(), caplog.text]
    from unitape.tape.tape import Tape

    shown += [repr(record) for record in Tape(tmp_path / "run.tape").records()]
    shown.append((tmp_path / "run.tape").read_bytes().decode("latin-1"))
    signatures = [one.params["sig"] for one in bourse.seen if "sig" in one.params]
    assert len(signatures) >= 3
    assert (fault is None) is (len(caught) <= 1)
    text = "\n".join(shown)
    assert "/spot/order" in text or fault is None
    for hidden in (KEY, SECRET, PASSPHRASE, *signatures):
        assert hidden not in text


async def test_a_fault_in_signing_shows_nothing_either(
    bourse: Bourse, trader: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign(self: Any, request: HttpRequest, credentials: Credentials, ts: int) -> HttpRequest:
        raise ValueError(f"could not parse {credentials.secret}")

    monkeypatch.setattr(toy.BourseTrading, "sign", sign)
    async with trader() as adapter:
        with pytest.raises(ConfigError, match=r"cannot be signed: ValueError: could not parse \*\*\*") as failed:
            await buy(adapter)
    assert SECRET not in locals_of(failed.value)
    assert SECRET not in "".join(traceback.format_exception(failed.value))
    assert failed.value.__context__ is None


async def test_a_bad_signature_is_the_callers_turn(bourse: Bourse, trader: Make) -> None:
    async with trader(credentials=Credentials(KEY, "wrong-secret", PASSPHRASE)) as adapter:
        with pytest.raises(VenueError, match="bad signature") as refused:
            await buy(adapter)
    assert not isinstance(refused.value, AuthenticationFailed), "this venue has no code for it"
    assert bourse.count("/spot/order") == 1


async def test_leaving_the_adapter_leaves_no_task(bourse: Bourse, trader: Make) -> None:
    async with trader() as adapter:
        await buy(adapter)
        await anyio.sleep(300)
        await buy(adapter)
    gc.collect()
    assert bourse.count("/spot/order") == 2
