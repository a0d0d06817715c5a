"""Makes cassettes/<venue>/<market>/trading.yaml: one short trading session per market, from a fixed seed.

    python tools/make_trading_cassettes.py            every market whose simulator trades
    python tools/make_trading_cassettes.py binance    those of one venue

An adapter trades with the demo user against the simulated market, and every HTTP exchange is kept in the format of
vcrpy. Keys, signatures and the times of signed requests are taken out. Nothing of it comes from outside; the same code
and seed give the same files again. Needs the extra ``vcr`` and trio, for time is virtual.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import anyio
from msgspec import structs
from notes import write_note
from trio.testing import MockClock

from unitape.adapter import VenueAdapter
from unitape.clock import LoopClock
from unitape.errors import TransportError, UnitapeError
from unitape.registry import load_venue, venue_names
from unitape.sim import DEMO_USER, SimSettings
from unitape.sim.build import make_host
from unitape.spi import Credentials, HttpRequest, HttpResponse, Market, Tradable, Venue
from unitape.tape.redact import REDACTED, Redactor
from unitape.tape.vcr import Exchange, write_cassette
from unitape.transport import Ended, Receiver, WsOptions

FOLDER: Final = Path(__file__).resolve().parents[1] / "cassettes"
START: Final = 1_793_923_200_000_000_000
SEED: Final = 20_261_121
ANSWER_AFTER: Final = 0.02
LOW: Final = "95000"
"""A price below the book of every simulated market, within every venue's band."""
SIZE: Final = "0.01"

TIME_PARAMETER: Final = re.compile(r"((?:^|&)timestamp=)[^&]*")
TIME_HEADERS: Final = frozenset(("access-timestamp", "request-time"))


class Recording:
    """A transport whose network is one simulated market, and which keeps every exchange."""

    name = "recording"

    def __init__(self, venue: Venue, market: Market) -> None:
        label = f"{venue.name}/{market.name}"
        self.clock = LoopClock(START)
        self.host = make_host(
            venue, market, SimSettings(seed=SEED, symbols=("BTC",), markets=(label,), history_minutes=10), self.clock
        )
        self.host.exchange.pause_agents()
        self.exchanges: list[Exchange] = []

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Ask the market, and let time pass."""
        self.host.step()
        response = self.host.http(request).response
        await anyio.sleep(ANSWER_AFTER)
        if response is None:
            raise TransportError(f"{base}: no answer within {timeout:g} s")
        self.exchanges.append(Exchange(base, without_time(request), response, self.clock.wall()))
        return response

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Refuse: this session is HTTP only."""
        raise TransportError(f"{url}: there are no sockets here", sent=False)

    async def aclose(self) -> None:
        """Do nothing."""


def without_time(request: HttpRequest) -> HttpRequest:
    """Return a signed request without the time that its signature covers; others as they are."""
    if request.auth != "signed":
        return request
    blank = rf"\g<1>{REDACTED}"
    return structs.replace(
        request,
        query=TIME_PARAMETER.sub(blank, request.query),
        body=TIME_PARAMETER.sub(blank, request.body.decode()).encode(),
        headers=tuple((name, REDACTED if name.lower() in TIME_HEADERS else value) for name, value in request.headers),
    )


async def trade(adapter: VenueAdapter, market: Market) -> None:
    """Do what a trader does in a minute. The tests that replay it ask for the same, in the same order."""
    linear = market.owns("BTC/USDT:USDT")
    symbol = "BTC/USDT:USDT" if linear else "BTC/USDT"
    hedged: Any = {"position_side": "long"} if adapter.capabilities(market.name).position_modes == ("hedge",) else {}
    await adapter.account_flags(market.name)
    await adapter.balances(market.name)
    resting = await adapter.place(symbol, "buy", size=SIZE, price=LOW, client_id="cassette-1", **hedged)
    await adapter.order(symbol, client_id="cassette-1")
    await adapter.open_orders(symbol)
    await adapter.balances(market.name)
    await adapter.cancel(symbol, id=resting.id)
    await adapter.open_orders(symbol)
    taken = await adapter.place(symbol, "buy", "market", size=SIZE, client_id="cassette-2", **hedged)
    await adapter.order(symbol, id=taken.id)
    await adapter.fills(symbol)
    await adapter.balances(market.name)
    if linear:
        await adapter.positions(symbol)


async def record(venue: Venue, market: Market) -> Sequence[Exchange]:
    """Return the exchanges of one market's session."""
    recording = Recording(venue, market)
    place = f"{venue.name}-{market.name}.sim"
    adapter = VenueAdapter(
        venue,
        endpoints={market.name: market.endpoints["live"].at(f"http://{place}", f"ws://{place}")},
        transport=recording,
        clock=recording.clock,
        credentials=Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase),
        seed=SEED,
    )
    async with adapter:
        if adapter.capabilities(market.name).position_modes == ("hedge",):
            recording.host.exchange.accounts.set_position_mode(DEMO_USER.name, "hedge")
        await trade(adapter, market)
    return recording.exchanges


def note(venue: Venue, market: Market) -> None:
    """Say beside a cassette where it came from."""
    write_note(
        FOLDER / venue.name / market.name / "trading.yaml",
        source=f"the simulator of {venue.title} {market.name}, traded on by its demo user",
        holds="one short trading session over HTTP: account, balances, an order that rests and is canceled, one that "
        "is filled, its execution",
        seed=SEED,
        start="2026-11-06 00:00:00 UTC",
        command=f"python tools/make_trading_cassettes.py {venue.name}",
    )


def main(names: Sequence[str]) -> int:
    """Make the cassettes of these venues; none named: of all that have a simulator."""
    redactor = Redactor((DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase))
    failed = 0
    for venue in map(load_venue, names or venue_names()):
        if venue.simulator is None or find_spec(venue.simulator.partition(":")[0]) is None:
            continue
        for market in venue.markets:
            if not isinstance(market, Tradable):
                continue
            try:
                exchanges = anyio.run(
                    record, venue, market, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)}
                )
            except UnitapeError as error:
                print(f"{venue.name}/{market.name}: {error}", file=sys.stderr)
                failed = 1
                continue
            path = FOLDER / venue.name / market.name / "trading.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            count = write_cassette(path, exchanges, redactor=redactor)
            note(venue, market)
            print(f"{path.relative_to(FOLDER.parent)}: {count} exchanges, {path.stat().st_size} bytes")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
