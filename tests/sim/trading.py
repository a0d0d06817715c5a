"""What tests of accounts share: a market with two users, requests in short, and sums made from the outside."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from unitape.sim.exchange import SimExchange
from unitape.sim.instruments import coins
from unitape.spi.simulated_accounts import AccountRules, SimOrderRequest, SimUser

START = 1_793_923_200_000_000_000
SECOND = 1_000_000_000
CENT = Decimal("1e-8")
SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"
ANN = SimUser("ann", "sim-ann", "sim-ann-secret", "sim-ann-pass", balances={"USDT": "50000.5", "BTC": "1.25"})
BOB = SimUser("bob", "sim-bob", "sim-bob-secret", "sim-bob-pass", balances={"USDT": "80000", "BTC": "3"})


def market(*, linear=False, seed=1, rate=20.0, quiet=True, symbols=2, users=(ANN, BOB), start=START, **rules):
    """A market whose agents have left their orders in the book; with ``quiet`` they do nothing more."""
    exchange = SimExchange(
        "x/linear" if linear else "x/spot",
        coins(symbols),
        linear=linear,
        seed=seed,
        start=start,
        rate=rate,
        history_minutes=10,
        users=users,
    )
    exchange.accounts.configure(AccountRules(**rules))
    if quiet:
        exchange.pause_agents()
    return exchange


def request(side, size=None, price=None, *, symbol=SPOT, kind=None, **more):
    chosen = kind or ("market" if price is None else "limit")
    return SimOrderRequest(symbol=symbol, side=side, kind=chosen, size=size, price=price, **more)


def e8(value):
    """A number of units of 1e-8 as a decimal."""
    return Decimal(value) * CENT


def fee_of(amount, rate):
    return (amount * rate).quantize(CENT, ROUND_CEILING)


def worth(exchange, fill):
    """(base, quote) that a fill or trade moved."""
    spec = exchange.instrument(fill.symbol)
    base = fill.size * spec.step
    return base, base * fill.price * spec.tick


def assert_fills_are_public(exchange, users=("ann", "bob")):
    """Every fill is a public trade of the same time, price and size, on the right side of it."""
    seen = 0
    for user in users:
        for fill in exchange.accounts.fills(user):
            [trade] = exchange.trades_from(fill.symbol, fill.id, 1)
            taker = fill.side if fill.liquidity == "taker" else {"buy": "sell", "sell": "buy"}[fill.side]
            assert (trade.id, trade.price, trade.size, trade.ts, trade.taker) == (
                fill.id,
                fill.price,
                fill.size,
                fill.ts,
                taker,
            ), exchange.seed
            seen += 1
    return seen


def assert_ledger_adds_up(exchange, users=("ann", "bob")):
    for user in users:
        sums = {}
        for entry in exchange.accounts.ledger(user):
            sums[entry.currency] = sums.get(entry.currency, 0) + entry.change_e8
        assert sums == {row.currency: row.total_e8 for row in exchange.accounts.balances(user)}, exchange.seed
