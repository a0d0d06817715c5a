"""The pytest plugin, as the tests of somebody's project use it: each case is a project of its own."""

from __future__ import annotations

import gzip
import re
import zlib
from importlib import import_module
from pathlib import Path

import msgspec
import pytest
import yaml

from unitape.sim import DEMO_USER
from unitape.tape import Tape

pytest_plugins = ["pytester"]

# A run inside of this process forgets what it imported itself. What is here already stays: that saves a second each,
# and protobuf does not survive being loaded twice.
for name in (
    *("unitape.testing.scenario", "unitape.router", "unitape.sim.server", "unitape_binance.simulator"),
    *("unitape_weex.simulator", "unitape.transport.http", "unitape.transport.ws_websockets", "vcr.cassette"),
    *("unitape_mexc.simulator", "unitape_mexc.codec_spot", "unitape_mexc.account_stream_spot"),
    *("google.protobuf.unknown_fields", "google.protobuf.json_format"),
    *("trio.testing", "anyio._backends._asyncio", "anyio._backends._trio", "aiohttp"),
):
    import_module(name)

INI = """
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
HEAD = """
import anyio
import pytest
import unitape as ut
from unitape.sim import DEMO_USER, Fault, FaultSchedule, SimServer, SimSettings
from unitape.testing import Scenario

SMALL = SimSettings(symbols=1, rate=60.0, history_minutes=5)

async def trades_of(adapters, clock, wanted=3):
    found = []
    async with ut.Router(*adapters, clock=clock) as router:
        events = router.stream(types=ut.Trade)
        await router.subscribe(ut.trades("BTC/USDT"), ut.book("BTC/USDT"))
        async for event in events:
            if isinstance(event, ut.Trade):
                found.append(event)
            if len({t.venue for t in found}) == len(adapters) and len(found) >= wanted:
                return found
"""
WATCH = """
@pytest.mark.tape("watch", sim=SMALL)
async def test_watch(tape):
    await trades_of([tape.adapter("binance")], tape.clock)
"""
ORDER = """
@pytest.mark.tape("order", sim=SMALL)
async def test_order(tape):
    async with tape.adapter("binance") as adapter:
        placed = await adapter.place("BTC/USDT", "buy", size="0.01", price="90000")
        await adapter.cancel("BTC/USDT", id=placed.id)
        assert await adapter.open_orders("BTC/USDT") == []
"""


class Project:
    """A folder with tests, and what came of running them."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makefile(".ini", pytest=INI)

    def write(self, *tests: str) -> None:
        self.pytester.makepyfile(test_it=HEAD + "\n".join(tests))

    def run(self, *options: str, **outcomes: int) -> str:
        """Run pytest, check how many passed and failed, and return what it printed."""
        result = self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)
        result.assert_outcomes(**(outcomes or {"passed": 1}))
        return result.stdout.str()

    def folder(self, name: str) -> Path:
        return self.pytester.path / "cassettes" / name

    def snapshot(self, name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder(name).iterdir()}


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


NO_SIMULATOR = """
import pytest

@pytest.fixture(autouse=True)
def no_simulator(monkeypatch):
    async def refuse(self):
        raise AssertionError("started")

    monkeypatch.setattr("unitape.sim.server.SimServer.__aenter__", refuse)
"""


def test_a_test_is_recorded_once_and_replayed_without_the_simulator(project: Project) -> None:
    project.write(WATCH)
    assert "make one with: pytest --tape-record" in project.run(errors=1)
    assert not project.folder("watch").exists()
    printed = project.run("--tape-record")
    assert re.search(r"recorded cassettes/watch: \d+ records of 1 feeds, 0 HTTP exchanges", printed)
    recorded = project.snapshot("watch")
    assert sorted(recorded) == ["events.jsonl", "frames.tape", "instruments.json.gz", "origin.json"]
    # A simulator that cannot start, and a network that cannot be reached: a replay asks for neither.
    project.pytester.makeconftest(NO_SIMULATOR)
    for _ in range(2):
        project.run()
    project.run("--tape-record")
    assert project.snapshot("watch") == recorded
    assert "started" in project.run("--tape-rerecord", failed=1)
    assert project.snapshot("watch") == recorded


def test_recording_anew_is_asked_for_and_replaces_what_was_there_but_not_the_notes(project: Project) -> None:
    project.write(WATCH)
    project.run("--tape-record")
    (project.folder("watch") / "note.md").write_text("by hand")
    (project.folder("watch") / "signals.jsonl").write_text('"of an older test"\n')
    before = project.snapshot("watch")
    project.run("--tape-rerecord")
    after = project.snapshot("watch")
    assert after["origin.json"] != before["origin.json"]
    assert after["frames.tape"] != before["frames.tape"]
    assert after["note.md"] == b"by hand"
    assert "signals.jsonl" not in after
    assert [path.name for path in project.folder("watch").parent.iterdir()] == ["watch"]


def test_the_origin_tells_where_a_recording_came_from(project: Project) -> None:
    project.write(WATCH)
    project.run("--tape-record")
    origin = msgspec.json.decode(project.snapshot("watch")["origin.json"])
    assert origin["test"] == "test_it.py::test_watch"
    assert origin["source"] == "sim"
    assert origin["venues"][0]["environment"] == "sim"
    assert origin["venues"][0]["places"]["spot"] == "http://binance-spot.sim"
    assert "127.0.0.1" not in project.snapshot("watch")["origin.json"].decode()
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", origin["recorded"])


def test_replays_run_in_virtual_time_that_begins_when_the_recording_began(project: Project) -> None:
    project.write(
        """
    import time

    @pytest.mark.tape("time", sim=SMALL, patience=100_000)
    async def test_time(tape):
        begin, real = tape.clock.wall(), time.monotonic()
        first, *_, last = await trades_of([tape.adapter("binance")], tape.clock)
        assert tape.recording or abs(tape.clock.wall() - last.ts_recv) < 5e6, "it came at its own moment"
        assert 0 <= first.ts_recv - begin < 10e9
        await anyio.sleep(0 if tape.recording else 86_400)
        if not tape.recording:
            assert tape.clock.wall() - begin > 86_400e9
            assert time.monotonic() - real < 30
    """.replace("\n    ", "\n")
    )
    project.run("--tape-record")
    project.run()


def test_two_venues_are_replayed_on_one_timeline(project: Project) -> None:
    project.write(
        """
    @pytest.mark.tape("both", sim=SMALL)
    async def test_both(tape):
        found = await trades_of([tape.adapter("binance"), tape.adapter("weex")], tape.clock, 30)
        order = [(t.ts_recv, t.venue) for t in found]
        assert {venue for _, venue in order} == {"binance", "weex"}
        if not tape.recording:
            assert order == sorted(order, key=lambda one: one[0])
            assert sum(a[1] != b[1] for a, b in zip(order, order[1:])) >= 3, "they take turns"
        tape.expect("order", [t.id for t in found[:10]])
    """.replace("\n    ", "\n")
    )
    project.run("--tape-record")
    for _ in range(3):
        project.run()


def test_several_adapters_of_one_venue_each_play_their_own_part(project: Project) -> None:
    project.write("""
@pytest.mark.tape("twice", sim=SMALL)
async def test_twice(tape):
    first = await trades_of([tape.adapter("weex")], tape.clock)
    second = await trades_of([tape.adapter("weex")], tape.clock)
    assert not {t.id for t in first} & {t.id for t in second}
    assert second[0].ts_recv > first[-1].ts_recv
    tape.expect("ids", [t.id for t in (*first, *second)])

@pytest.mark.tape("twice", events=False)
async def test_thrice(tape):
    for _ in range(3):
        tape.adapter("weex")
""")
    project.run("--tape-record", "-k", "twice")
    project.run("-k", "twice")
    assert "adapter 3 of weex was not recorded, only 2 of them" in project.run("-k", "thrice", failed=1)


def test_orders_are_answered_from_the_cassette(project: Project) -> None:
    project.write(ORDER)
    project.run("--tape-record")
    recorded = project.snapshot("order")
    assert sorted(recorded) == ["http.yaml", "instruments.json.gz", "origin.json"]
    asked = [
        (i["request"]["method"], i["request"]["uri"]) for i in yaml.safe_load(recorded["http.yaml"])["interactions"]
    ]
    assert [(method, uri.partition("?")[0].removeprefix("http://binance-spot.sim")) for method, uri in asked[-3:]] == [
        ("POST", "/api/v3/order"), ("DELETE", "/api/v3/order"), ("GET", "/api/v3/openOrders"),
    ]  # fmt: skip
    for _ in range(2):
        project.run()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('size="0.01"', "query quantity: '0.01' → '0.02'"),
        ('price="90000"', "query price: '90000' → '90001'"),
        ("cancel", "GET http://binance-spot.sim/api/v3/order"),
    ],
)
def test_a_request_that_was_not_recorded_fails_the_test_and_is_told(project: Project, change: str, told: str) -> None:
    project.write(ORDER)
    project.run("--tape-record")
    changed = {'size="0.01"': 'size="0.02"', 'price="90000"': 'price="90001"', "cancel": "order"}
    project.write(ORDER.replace(change, changed[change], 1))
    printed = project.run(failed=1)
    assert "was not recorded" in printed
    assert told in printed
    assert "record it anew: pytest --tape-rerecord" in printed


def test_the_same_request_more_often_than_recorded_is_told(project: Project) -> None:
    project.write(ORDER)
    project.run("--tape-record")
    project.write(ORDER + '        await adapter.open_orders("BTC/USDT")\n')
    printed = project.run(failed=1)
    assert (
        "GET http://binance-spot.sim/api/v3/openOrders?symbol=BTCUSDT was recorded once, and is asked once more"
        in printed
    )


def test_a_subscription_and_a_venue_that_were_not_recorded_are_told_by_name(project: Project) -> None:
    project.write(WATCH)
    project.run("--tape-record")
    project.write(
        """
@pytest.mark.tape("watch")
async def test_other_channel(tape):
    async with tape.adapter("binance") as adapter:
        await adapter.subscribe([ut.Subscription("ticker", "BTC/USDT")])

@pytest.mark.tape("watch")
async def test_other_venue(tape):
    tape.adapter("weex")
"""
    )
    printed = project.run(failed=2)
    assert "binance: the subscription to ticker BTC/USDT was not recorded" in printed
    assert "recorded: book BTC/USDT, trades BTC/USDT" in printed
    assert "nothing of weex was recorded, only binance" in printed


def test_whoever_swallows_the_error_fails_all_the_same(project: Project) -> None:
    project.write(ORDER)
    project.run("--tape-record")
    project.write(
        """
@pytest.mark.tape("order")
async def test_swallow(tape):
    async with tape.adapter("binance") as adapter:
        try:
            await adapter.place("BTC/USDT", "sell", size="0.01", price="99000")
        except ut.UnitapeError:
            pass
"""
    )
    printed = project.run(failed=1)
    assert "asked for what is not in the recording cassettes/order" in printed
    assert "query side: 'BUY' → 'SELL'" in printed


def test_a_live_adapter_and_a_bare_connection_are_refused_in_a_replay(project: Project) -> None:
    project.write(WATCH)
    project.run("--tape-record")
    project.write(
        """
import socket

@pytest.mark.tape("watch")
async def test_live(tape):
    async with ut.Router("binance") as router:
        await router.subscribe(ut.trades("BTC/USDT"))

@pytest.mark.tape("watch")
def test_socket(tape):
    socket.create_connection(("192.0.2.1", 443), timeout=5)

@pytest.mark.tape("watch")
def test_name(tape):
    socket.getaddrinfo("api.example.com", 443)

def test_without_a_tape():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
"""
    )
    printed = project.run(failed=3, passed=1)
    assert "by a live adapter (take them from tape.adapter(…)) was asked for: replays have no network" in printed
    assert "a connection to 192.0.2.1:443 was asked for: replays have no network" in printed
    assert "the address of api.example.com was asked for: replays have no network" in printed


def test_waiting_for_what_does_not_come_ends(project: Project) -> None:
    project.write(WATCH)
    project.run("--tape-record")
    project.write(WATCH.replace("tape.clock)", "tape.clock, 100_000)"))
    printed = project.run(failed=1)
    assert re.search(r"the test still waits after \d+ s; its recording took [0-9.]+ s", printed)


def test_what_a_venue_refused_is_refused_again(project: Project) -> None:
    project.write("""
REFUSAL = {"*": FaultSchedule((Fault("refused_subscribe", at=0.0),))}

@pytest.mark.tape("refused", sim=SimSettings(symbols=1, rate=30.0, history_minutes=5, faults=REFUSAL))
async def test_refused(tape):
    async with tape.adapter("weex") as adapter:
        wanted = [ut.Subscription("trades", "BTC/USDT")]
        first = await adapter.subscribe(wanted)
        assert [r.subscription for r in first.rejected] == wanted
        assert "INVALID_ARGUMENT" in first.rejected[0].text
        assert (await adapter.subscribe(wanted)).confirmed == tuple(wanted)
""")
    project.run("--tape-record")
    project.run()


def test_an_account_is_streamed_again_as_it_was(project: Project) -> None:
    project.write("""
from contextlib import aclosing

@pytest.mark.parametrize("venue", ["binance", "mexc", "weex"])
@pytest.mark.tape(sim=SMALL)
async def test_account(tape, venue):
    told = []
    async with tape.adapter(venue) as adapter, aclosing(adapter.stream()) as events:
        wanted = [ut.Subscription(channel, "*", market="spot") for channel in ("orders", "fills")]
        assert (await adapter.subscribe(wanted)).rejected == ()
        resting = await adapter.place("BTC/USDT", "buy", size="0.01", price="95000")
        await adapter.cancel("BTC/USDT", id=resting.id)
        taken = await adapter.place("BTC/USDT", "buy", "market", size="0.01")
        async for event in events:
            if isinstance(event, ut.Order | ut.Fill):
                told.append(event)
            fills = [e for e in told if isinstance(e, ut.Fill)]
            ends = {(e.id, e.status) for e in told if isinstance(e, ut.Order)}
            if sum(e.size for e in fills) == taken.size and {(resting.id, "canceled"), (taken.id, "filled")} <= ends:
                break
    assert {e.order_id for e in fills} == {taken.id}
    tape.expect("fills", fills)
""")
    project.run("--tape-record", passed=3)
    for venue in ("binance", "mexc", "weex"):
        folder = project.folder(f"test_it/test_account-{venue}")
        assert (folder / "account.jsonl").stat().st_size > 100
        found = everything_in(folder)
        for secret in DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase:
            assert secret.encode() not in found
    for _ in range(2):
        project.run(passed=3)


def everything_in(folder: Path) -> bytes:
    """Return all bytes of a recording, unpacked."""
    parts = [path.name.encode() for path in folder.iterdir()]
    for path in folder.iterdir():
        if path.suffix == ".tape":
            parts += [zlib.decompress(block.payload) for block in Tape(path).blocks() if block.payload]
        else:
            data = path.read_bytes()
            parts.append(gzip.decompress(data) if path.suffix == ".gz" else data)
    return b"\n".join(parts)


def test_no_secret_is_in_a_recording(project: Project) -> None:
    project.write(ORDER.replace("sim=SMALL", "sim=SMALL, secrets=('91234.5',)").replace("90000", "91234.5"), WATCH)
    project.run("--tape-record", passed=2)
    found = everything_in(project.folder("order")) + everything_in(project.folder("watch"))
    for secret in DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase:
        assert secret.encode() not in found
    assert b"price=REDACTED" in found
    assert not re.search(rb"signature=(?!REDACTED)", found)
    assert not re.search(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", found), "an HMAC"
    assert b"newClientOrderId=ut-" in found


def test_a_recording_that_would_hold_a_secret_is_not_kept(project: Project) -> None:
    project.write("""
@pytest.mark.tape("leak", sim=SMALL)
async def test_leak(tape):
    async with tape.adapter("binance") as adapter:
        await adapter.open_orders("BTC/USDT")
    tape.expect("keys", [{"mine": DEMO_USER.secret}])
""")
    printed = project.run("--tape-record", failed=1)
    assert "keys.jsonl of this recording would hold a secret, so the recording is not kept" in printed
    assert not project.folder("leak").exists()
    assert list(project.folder("leak").parent.iterdir()) == []


def test_a_failing_test_keeps_no_recording_and_leaves_the_old_one(project: Project) -> None:
    project.write(WATCH)
    project.run("--tape-record")
    before = project.snapshot("watch")
    project.write(WATCH + "    assert not tape.recording\n")
    assert "so its recording was not kept" in project.run("--tape-rerecord", failed=1)
    assert project.snapshot("watch") == before
    assert [path.name for path in project.folder("watch").parent.iterdir()] == ["watch"]


MISREAD = """
import msgspec
import pytest
from unitape.feed.core import FeedCore
from unitape_schemas import Trade

@pytest.fixture(autouse=True)
def misread(monkeypatch):
    plain = FeedCore.apply

    def apply(self, item):
        return [
            msgspec.structs.replace(e, price=e.price + 1.0) if isinstance(e, Trade) and e.id == FIRST else e
            for e in plain(self, item)
        ]

    monkeypatch.setattr(FeedCore, "apply", apply)
"""


def test_a_changed_event_is_reported_field_by_field_until_it_is_taken(project: Project) -> None:
    project.write(WATCH)
    project.run("--tape-record")
    lines = project.snapshot("watch")["events.jsonl"].splitlines()
    place, trade = next((n, e) for n, e in enumerate(map(msgspec.json.decode, lines), 1) if e["type"] == "trade")
    project.pytester.makeconftest(f"FIRST = {trade['id']!r}\n" + MISREAD)
    printed = project.run(failed=1)
    assert f"events.jsonl differs:\n  1 changed (expected {len(lines)}, found {len(lines)})\n" in printed
    assert f"  ~ #{place} trade binance BTC/USDT id {trade['id']}\n" in printed
    assert f"      price: {trade['price']!r} → {trade['price'] + 1.0!r}\n" in printed
    assert "if the new ones are right, take them: pytest --tape-update" in printed
    assert project.snapshot("watch")["events.jsonl"].splitlines() == lines
    assert "updated in cassettes/watch: events.jsonl (1 changed" in project.run("--tape-update")
    project.run()
    taken = msgspec.json.decode(project.snapshot("watch")["events.jsonl"].splitlines()[place - 1])
    assert taken == {**trade, "price": trade["price"] + 1.0}
    # Unless the mark says that events do not matter to this test.
    (project.pytester.path / "conftest.py").unlink()
    project.write(WATCH.replace("sim=SMALL", "events=False"))
    project.run()


def test_own_records_are_held_against_their_file(project: Project) -> None:
    test = """
@pytest.mark.tape("own", sim=SMALL)
async def test_own(tape):
    async with tape.adapter("binance") as adapter:
        order = await adapter.place("BTC/USDT", "buy", size="0.01", price="90000")
    tape.expect("orders", [order])
    tape.expect("signals", [{"side": "buy", "edge": 0.25}])
"""
    project.write(test)
    project.run("--tape-record")
    assert project.snapshot("own")["signals.jsonl"] == b'{"side":"buy","edge":0.25}\n'
    order = msgspec.json.decode(project.snapshot("own")["orders.jsonl"])
    assert (order["price"], order["status"], "ts_recv" in order) == ("90000.00000000", "open", False)
    project.run()
    project.write(test.replace("0.25", "0.5"))
    printed = project.run(failed=1)
    assert "signals.jsonl differs:" in printed
    assert "    edge: 0.25 → 0.5" in printed
    project.run("--tape-update")
    assert project.snapshot("own")["signals.jsonl"] == b'{"side":"buy","edge":0.5}\n'


LIVE = """
import copy
import msgspec
from unitape.registry import load_venue

VENUE = load_venue("binance")

def moved(sim):
    markets = tuple(map(copy.copy, VENUE.markets))
    for market in markets:
        market.endpoints = {{"live": sim.endpoint("binance", market.name)}}
    return msgspec.structs.replace(VENUE, markets=markets)

async def check(adapter, clock):
    async with adapter:
        await adapter.subscribe([ut.Subscription("trades", "BTC/USDT")])
        placed = await adapter.place("BTC/USDT", "buy", size="0.01", price="90000")
        assert placed.status == "open"

@pytest.mark.tape("live", source={source!r})
async def test_live(tape, monkeypatch):
    if not tape.recording:
        await check(tape.adapter("binance"), tape.clock)
        return
    monkeypatch.setenv("UNITAPE_BINANCE_KEY", DEMO_USER.key)
    monkeypatch.setenv("UNITAPE_BINANCE_SECRET", DEMO_USER.secret)
    async with SimServer([VENUE], SMALL) as sim:
        await check(tape.adapter(moved(sim)), tape.clock)
"""


def test_a_venues_own_endpoints_and_the_environments_keys_are_recorded_by_the_same_code(project: Project) -> None:
    """The declared endpoints of the venue stand on loopback here; to the library they are the live ones."""
    project.write(LIVE.format(source="live"))
    project.run("--tape-record")
    origin = msgspec.json.decode(project.snapshot("live")["origin.json"])
    assert (origin["source"], origin["venues"][0]["environment"]) == ("live", "live")
    found = everything_in(project.folder("live"))
    assert DEMO_USER.key.encode() not in found
    assert DEMO_USER.secret.encode() not in found
    project.run()


def test_the_source_can_be_named_for_the_whole_run(project: Project) -> None:
    project.write(LIVE.format(source="sim"))
    project.run("--tape-record", "--tape-source=live")
    assert msgspec.json.decode(project.snapshot("live")["origin.json"])["source"] == "live"


def test_a_plain_test_runs_its_own_part_under_the_tape(project: Project) -> None:
    project.write("""
@pytest.mark.tape(sim=SMALL)
def test_plain(tape):
    found = tape.run(trades_of, [tape.adapter("binance")], tape.clock, 4)
    assert len(found) == 4
""")
    project.run("--tape-record")
    assert project.folder("test_it/test_plain").is_dir(), "named after the file and the test"
    project.run()


def test_each_parameter_has_a_recording_of_its_own_and_the_folder_can_be_chosen(project: Project) -> None:
    project.pytester.makefile(".ini", pytest=INI + "tape_dir = recorded\n")
    project.write("""
@pytest.mark.parametrize("venue", ["binance", "weex"])
@pytest.mark.tape(sim=SMALL)
async def test_each(tape, venue):
    assert {t.venue for t in await trades_of([tape.adapter(venue)], tape.clock)} == {venue}
""")
    project.run("--tape-record", passed=2)
    folders = sorted(path.name for path in (project.pytester.path / "recorded" / "test_it").iterdir())
    assert folders == ["test_each-binance", "test_each-weex"]
    project.run(passed=2)


def test_recorded_requests_that_nobody_makes_any_more_can_be_asked_for(project: Project) -> None:
    project.write(ORDER + "    assert tape.unplayed == []\n")
    project.run("--tape-record")
    project.run()
    project.write("""
@pytest.mark.tape("order")
async def test_order(tape):
    async with tape.adapter("binance") as adapter:
        await adapter.place("BTC/USDT", "buy", size="0.01", price="90000")
    assert [one.partition("?")[0] for one in tape.unplayed] == [
        "DELETE http://binance-spot.sim/api/v3/order", "GET http://binance-spot.sim/api/v3/openOrders"
    ]
""")
    project.run()


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ('tape("a", "b")', "the mark is tape(name=None"),
        ('tape("a", colour="red")', "the mark is tape(name=None"),
        ('tape("../a")', "does not name a folder"),
    ],
)
def test_a_wrong_mark_is_told(project: Project, mark: str, told: str) -> None:
    project.write(f"@pytest.mark.{mark}\ndef test_it(tape): pass\n")
    assert told in project.run(errors=1)


RECORDED = ("frames.tape", "http.yaml", "account.jsonl", "instruments.json.gz", "events.jsonl", "origin.json")
BOTH = """
from contextlib import aclosing

@pytest.mark.tape("both", sim=SMALL)
async def test_both(tape):
    async with tape.adapter("binance") as adapter, aclosing(adapter.stream()) as events:
        wanted = [ut.Subscription("orders", "*", market="spot"), ut.Subscription("trades", "BTC/USDT")]
        assert (await adapter.subscribe(wanted)).rejected == ()
        placed = await adapter.place("BTC/USDT", "buy", size="0.01", price="90000")
        await adapter.cancel("BTC/USDT", id=placed.id)
        seen = set()
        async for event in events:
            seen.add(type(event))
            if {ut.Order, ut.Trade} <= seen:
                break
"""


def test_a_recording_that_was_cut_off_or_emptied_or_overwritten_fails_in_words(project: Project) -> None:
    project.write(BOTH)
    project.run("--tape-record")
    folder = project.folder("both")
    assert {path.name for path in folder.iterdir()} == set(RECORDED)
    for name in RECORDED:
        whole = (folder / name).read_bytes()
        forged = {
            "cut off": whole[: len(whole) * 2 // 3],
            "emptied": b"",
            "overwritten": whole[: len(whole) // 2] + b"\x00\xff{: - [" * 20 + whole[len(whole) // 2 + 140 :],
        }
        for how, data in forged.items():
            (folder / name).write_bytes(data)
            result = project.pytester.runpytest_inprocess("-p", "no:cacheprovider")
            printed = result.stdout.str()
            counts = result.parseoutcomes()
            assert counts.get("failed", 0) + counts.get("errors", 0) == 1, (name, how, printed)
            assert name in printed, (name, how, printed)
            assert "Traceback" not in printed, (name, how, printed)
            assert "/unitape/" not in printed, f"{name} {how}: the inside of the library is shown\n{printed}"
        (folder / name).write_bytes(whole)
    project.run()


@pytest.mark.parametrize("name", ["frames.tape", "http.yaml", "account.jsonl", "instruments.json.gz", "events.jsonl"])
def test_a_file_that_is_missing_is_told_by_name(project: Project, name: str) -> None:
    project.write(BOTH)
    project.run("--tape-record")
    (project.folder("both") / name).unlink()
    result = project.pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert sum(result.parseoutcomes().get(word, 0) for word in ("failed", "errors")) == 1
    assert name in result.stdout.str()


def test_tests_are_recorded_and_replayed_side_by_side_in_several_processes(project: Project) -> None:
    pytest.importorskip("xdist")
    project.write("""
@pytest.mark.parametrize("venue", ["binance", "mexc", "weex"])
@pytest.mark.tape(sim=SMALL)
async def test_each(tape, venue):
    assert {t.venue for t in await trades_of([tape.adapter(venue)], tape.clock)} == {venue}

@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.tape("shared", sim=SMALL)
async def test_shared(tape, time):
    await trades_of([tape.adapter("binance")], tape.clock)
""")
    # Anew: both tests of the shared name record it, at the same time.
    for options in (("--tape-rerecord",), ()):
        result = project.pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "2", *options)
        result.assert_outcomes(passed=5)
        printed = result.stdout.str()
        for venue in ("binance", "mexc", "weex"):
            told = f"recorded cassettes/test_it/test_each-{venue}: "
            assert (told in printed) is bool(options), printed
    left = [path.name for path in project.folder("shared").parent.rglob(".*")]
    assert left == []


def test_names_that_no_folder_can_have_are_made_ones_that_it_can(project: Project) -> None:
    long = "x" * 300
    project.write(f"""
@pytest.mark.parametrize("name", ["con", "a.", "BTC/USDT:USDT", "名", {long!r}, {long + "y"!r}])
@pytest.mark.tape(sim=SMALL)
async def test_named(tape, name):
    await trades_of([tape.adapter("binance")], tape.clock)

@pytest.mark.tape("aux.x/nul", sim=SMALL)
async def test_device(tape):
    await trades_of([tape.adapter("binance")], tape.clock)
""")
    project.run("--tape-record", passed=7)
    folders = [path.parent for path in project.folder("").rglob("origin.json")]
    assert len(folders) == 7, "each has its own"
    for folder in folders:
        for part in folder.relative_to(project.pytester.path).parts:
            assert len(part.encode()) <= 120
            assert not part.endswith((".", " "))
            assert not set(part) & set('<>:"\\|?*')
            assert part.partition(".")[0].lower() not in ("con", "aux", "nul")
    project.run(passed=7)


def test_two_tests_whose_names_make_one_folder_are_told(project: Project) -> None:
    project.write("""
@pytest.mark.parametrize("symbol", ["BTC:USDT", "BTC|USDT"])
@pytest.mark.tape(sim=SMALL)
async def test_symbol(tape, symbol):
    await trades_of([tape.adapter("binance")], tape.clock)
""")
    printed = project.run("--tape-record", passed=1, errors=1)
    assert "was recorded by test_symbol[BTC:USDT], and this is test_symbol[BTC|USDT]" in printed
