"""A user before one simulated market, under virtual time: a venue's own requests and its own private stream.

Nothing stands behind them that would repeat, resolve or reconnect, so that a test sees what a fault does.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal

import anyio

from unitape.errors import UnitapeError
from unitape.registry import load_venue, venue_names
from unitape.sim import DEMO_USER, FaultSchedule, SimNetwork, SimSettings
from unitape.sim.host import SimHost
from unitape.spi import Credentials, Instruments, NewOrder, Streaming, Tradable, TradingSettings
from unitape.spi.private import Ready
from unitape.spi.simulated_accounts import SimOrderRequest, SimReject, SimUser
from unitape.transport.base import WsOptions

KEYS = Credentials(DEMO_USER.key, DEMO_USER.secret, DEMO_USER.passphrase)
OTHER = SimUser("other", "other-key", "other-secret", "other-pass", balances={"USDT": "1000000", "BTC": "50"})
MARKETS = {
    f"{venue.name}/{market.name}": market
    for venue in map(load_venue, venue_names())
    if venue.simulator is not None
    for market in venue.markets
}
TRADABLE = [label for label, market in MARKETS.items() if isinstance(market, Tradable)]
STREAMING = [label for label, market in MARKETS.items() if isinstance(market, Streaming)]
WITH_KEYS = [
    label
    for label in STREAMING
    if MARKETS[label].account_stream(Instruments(), TradingSettings()).spec.keep_every is not None
]
LATENCY = 0.02


class Client:
    """One user before one market."""

    def __init__(self, network: SimNetwork, label: str) -> None:
        name, self.market_name = label.split("/")
        self.market = MARKETS[label]
        self.network = network
        self.host: SimHost = network.host(name, self.market_name)
        self.endpoint = network.endpoint(name, self.market_name)
        self.exchange = self.host.exchange
        self.exchange.pause_agents()
        self.symbol = "BTC/USDT:USDT" if self.exchange.linear else "BTC/USDT"
        self.spec = self.exchange.instrument(self.symbol)
        self.began = anyio.current_time()
        self.skew = 0
        self.made = 0

    async def start(self) -> None:
        query = self.market.rest(Instruments()).instruments()
        answer = await self.network.http(self.endpoint.rest, query.request)
        instruments = Instruments(query.read(answer, 0))
        assert isinstance(self.market, Tradable)
        bare = self.market.trading(instruments, TradingSettings()).spec.position_modes
        self.hedge = bare == ("hedge",)
        self.instruments = instruments
        self.settings = TradingSettings(position_mode="hedge") if self.hedge else TradingSettings(leverage=5)
        self.trading = self.market.trading(instruments, self.settings)

    async def ask(self, query):
        request = self.trading.sign(query.request, KEYS, self.exchange.now + self.skew)
        return query.read(await self.network.http(self.endpoint.rest, request), self.network.clock.wall())

    def order(self) -> NewOrder:
        """An order that rests as the best bid, or among those at it where the spread has no room."""
        self.made += 1
        best = self.exchange.best(self.symbol)
        price = min(best.bid + 1, best.ask - 1) * self.spec.tick
        size = (Decimal(200) / price / self.spec.step).to_integral_value() * self.spec.step
        side = {"position_side": "long"} if self.hedge else {}
        return NewOrder(self.symbol, "buy", "limit", f"fault-{self.made}", size=size, price=price, **side)

    async def place(self):
        """Place an order; return what came of the request."""
        try:
            return await self.ask(self.trading.place(self.order()))
        except UnitapeError as error:
            return error

    def met(self) -> None:
        """Let somebody else sell all that is bid at the price of the resting order or above it."""
        (order,) = self.exchange.accounts.open_orders(DEMO_USER.name, self.symbol)
        size = sum(size for price, size in self.exchange.book(self.symbol, 5000).bids if price >= order.price)
        side = {"position_side": "short"} if self.hedge else {}
        request = SimOrderRequest(self.symbol, "sell", "limit", size=size, price=order.price, tif="ioc", **side)
        assert not isinstance(self.exchange.accounts.place(OTHER.name, request), SimReject)

    def booked(self) -> list[str]:
        """The client ids of the open orders in the ledger."""
        return [order.client_id for order in self.exchange.accounts.open_orders(DEMO_USER.name)]

    def hits(self):
        return [hit.kind for hit in self.host.faults.log]


class Ear:
    """One private connection: ``heard`` holds (time, output) in order of arrival."""

    def __init__(self, client: Client) -> None:
        self.client = client
        assert isinstance(client.market, Streaming)
        self.stream = client.market.account_stream(client.instruments, client.settings)
        self.session = self.stream.session()
        self.heard = []
        self.raw: list[bytes] = []
        self.ended = None
        self.connection = None
        self.key = None
        self.ready = anyio.Event()

    async def run(self) -> None:
        """Connect, and read until the connection ends."""
        client = self.client
        query = self.stream.open_key()
        if query is not None:
            self.key = await client.ask(query)
        dial = self.stream.dial(client.endpoint, self.key, KEYS, client.exchange.now)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tick)
            options = WsOptions(headers=(*client.endpoint.headers, *dial.headers))
            self.ended = await client.network.transport.run(dial.url, self, options)
            tasks.cancel_scope.cancel()

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(0.25)
            if self.connection is not None:
                self._take(self.session.on_tick(self.client.network.clock.mono()))

    def opened(self, connection) -> None:
        self.connection = connection
        self.session.on_open(KEYS, self.client.exchange.now)
        self._send()

    def frame(self, data: bytes, text: bool) -> None:
        self.raw.append(bytes(data))
        self._take(self.session.on_frame(data, self.client.network.clock.wall()))

    def ping(self) -> None:
        """Nothing to do."""

    def flush(self) -> None:
        """Nothing to do."""

    def _take(self, outputs) -> None:
        now = anyio.current_time()
        for output in outputs:
            self.heard.append((now, output))
            if isinstance(output, Ready):
                self.ready.set()
        self._send()

    def _send(self) -> None:
        for message in self.session.outbox:
            data = message.encode() if isinstance(message, str) else message
            self.connection.send(data, isinstance(message, str))
        self.session.outbox.clear()

    def of(self, kind):
        return [output for _, output in self.heard if isinstance(output, kind)]

    def when(self, kind):
        return [at for at, output in self.heard if isinstance(output, kind)]


@asynccontextmanager
async def client(label, *faults, **settings):
    chosen = SimSettings(
        symbols=("BTC",),
        markets=(label,),
        faults={"*": FaultSchedule(faults)},
        accounts=(DEMO_USER, OTHER),
        **settings,
    )
    async with SimNetwork([load_venue(label.split("/")[0])], chosen, latency=LATENCY) as network:
        made = Client(network, label)
        await made.start()
        yield made


@asynccontextmanager
async def listener(label, *faults, **settings):
    """A client and its private connection, once that is ready."""
    async with client(label, *faults, **settings) as desk, anyio.create_task_group() as tasks:
        ear = Ear(desk)
        tasks.start_soon(ear.run)
        with anyio.fail_after(12):
            await ear.ready.wait()
        yield desk, ear
        tasks.cancel_scope.cancel()
