"""One user at one simulated market: asks through the adapter, and can look into the ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.sim.rig import HandClock
from unitape.sim.exchange import SimExchange
from unitape.sim.faults import Faults, FaultSchedule
from unitape.sim.host import SimHost
from unitape.sim.instruments import coins
from unitape.spi import (
    Credentials,
    HttpRequest,
    HttpResponse,
    Instruments,
    NewOrder,
    TradingSettings,
)
from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import FaceOptions
from unitape_binance import SPOT, USDM
from unitape_binance.simulator import face

D = Decimal
START = 1_793_923_200_000_000_000
SECOND = 1_000_000_000
S, U = "BTC/USDT", "BTC/USDT:USDT"
ANN = SimUser("ann", "ann-key", "ann-secret", balances={"USDT": "50000.5", "BTC": "1.25"})
READER = SimUser("reader", "reader-key", "reader-secret", permissions=("read",), balances={"USDT": "5"})
SEED = bytes(range(32))
PAIR = Ed25519PrivateKey.from_private_bytes(SEED)
PRIVATE = PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = PAIR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ED = SimUser("ed", "ed-key", PUBLIC, balances={"USDT": "100"})


class Desk:
    """One user at one simulated market. Agents have left their orders in the book and do nothing more."""

    def __init__(self, market="spot", *, seed=1, user=ANN, mode="one_way", enforce_limits=True):
        self.clock = HandClock()
        self.linear = market == "usdm"
        self.symbol = U if self.linear else S
        faults = Faults(FaultSchedule(()), f"x/{market}", 0)
        self.exchange = SimExchange(
            f"x/{market}",
            coins(8),
            linear=self.linear,
            seed=seed,
            start=START,
            users=(ANN, READER, ED),
            history_minutes=10,
        )
        self.exchange.pause_agents()
        wire = face(self.exchange, market, FaceOptions(faults=faults, enforce_limits=enforce_limits))
        self.host = SimHost(f"x/{market}", self.exchange, wire, faults, self.clock)
        self.user = user
        self.keys = Credentials(user.key, user.secret)
        self.market = USDM if self.linear else SPOT
        info = self.send(HttpRequest("GET", "/fapi/v1/exchangeInfo" if self.linear else "/api/v3/exchangeInfo"))
        self.instruments = Instruments(self.market.read_instruments(info.body))
        self.trading = self.market.trading(self.instruments, TradingSettings(position_mode=mode))
        self.spec = self.exchange.instrument(self.symbol)
        self.last = info
        self.made = 0

    def send(self, request):
        response = self.host.http(request).response
        assert isinstance(response, HttpResponse)
        return response

    def ask(self, query, *, late=0.0):
        signed = self.trading.sign(query.request, self.keys, self.exchange.now - round(late * SECOND))
        self.last = self.send(signed)
        return query.read(self.last, self.exchange.now)

    def new(self, side="buy", kind="limit", size="0.01", price=None, **fields):
        self.made += 1
        fields.setdefault("client_id", f"t-{self.made}")
        fields.setdefault("symbol", self.symbol)
        wanted = {"side": side, "kind": kind, "size": None if size is None else D(size), "price": price, **fields}
        return NewOrder(**wanted)

    def place(self, *args, **fields):
        return self.ask(self.trading.place(self.new(*args, **fields)))

    def price(self, ticks):
        return ticks * self.spec.tick

    @property
    def best(self):
        return self.exchange.best(self.symbol)

    def far(self, side="buy"):
        """A price at which an order rests, on the grid and within the band."""
        touch = self.best.bid if side == "buy" else self.best.ask
        return self.price(touch * 98 // 100 if side == "buy" else touch * 102 // 100)

    def deep(self):
        """(price, size) with which a buy takes the best ask and leaves half as much again in the book."""
        return self.price(self.best.ask), (self.best.ask_size * 3 // 2 + 1) * self.spec.step

    def check(self):
        """Balances and executions as the wire tells them are those of the ledger, to the last digit."""
        accounts, name = self.exchange.accounts, self.user.name
        told = {b.currency: b for b in self.ask(self.trading.balances())}
        sums = {}
        for entry in accounts.ledger(name):
            sums[entry.currency] = sums.get(entry.currency, 0) + entry.change_e8
        assert {c: b.total for c, b in told.items()} == {c: D(v).scaleb(-8) for c, v in sums.items() if v}, sums
        for held in accounts.balances(name):
            if held.currency in told:
                if self.linear:
                    assert told[held.currency].equity == D(held.equity_e8).scaleb(-8)
                    assert told[held.currency].available_margin == D(held.free_e8).scaleb(-8)
                else:
                    assert told[held.currency].locked == D(held.locked_e8).scaleb(-8)
        fills = self.ask(self.trading.fills(self.symbol))
        assert [
            (f.id, f.side, f.price, f.size, f.fee, f.fee_currency, f.liquidity, f.realized_pnl or D(0)) for f in fills
        ] == [
            (
                str(f.id),
                f.side,
                f.price * self.spec.tick,
                f.size * self.spec.step,
                D(f.fee_e8).scaleb(-8),
                f.fee_currency,
                f.liquidity,
                D(f.realized_e8).scaleb(-8),
            )
            for f in accounts.fills(name, self.symbol)
        ]
        return fills


MARKETS = pytest.mark.parametrize("market", ["spot", "usdm"])
