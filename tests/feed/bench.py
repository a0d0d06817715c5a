"""A hand on a ``FeedCore``: feeds inputs at a chosen time, keeps events and commands apart by kind."""

from __future__ import annotations

from typing import Any, TypeVar

from tests.feed import quarry
from unitape.feed.core import FeedCore
from unitape.feed.inputs import (
    Close,
    Closed,
    Connect,
    Failed,
    Fetch,
    Frame,
    Opened,
    Ping,
    Response,
    Send,
    Subscribe,
    Tick,
    Unsubscribe,
)
from unitape.feed.options import FeedOptions
from unitape.spi import HttpResponse, Instruments
from unitape_schemas import Status, Subscription, Trade

SECOND = 1_000_000_000
ORIGIN = 1_790_000_000_000_000_000
TRADES = Subscription("trades", "BTC/EUR")
ETH = Subscription("trades", "ETH/EUR")
BOOK = Subscription("book", "BTC/EUR")

T = TypeVar("T")


class Bench:
    def __init__(self, market: quarry.QuarryMarket | None = None, options: FeedOptions | None = None) -> None:
        self.market = market or quarry.QuarryMarket()
        self.core = FeedCore(self.market, Instruments(self.market.catalogue), options)
        self.now = 0.0
        self.events: list[Any] = []
        self.commands: list[Any] = []

    def _stamp(self) -> tuple[int, int]:
        mono = round(self.now * SECOND)
        return ORIGIN + mono, mono

    def _apply(self, kind: type[Any], *args: Any) -> list[Any]:
        fresh = list(self.core.apply(kind(*self._stamp(), *args)))
        return self._keep(fresh)

    def _keep(self, fresh: list[Any]) -> list[Any]:
        self.events += fresh
        self.commands += self.core.commands
        self.core.commands.clear()
        return fresh

    def subscribe(self, *subscriptions: Subscription) -> list[Any]:
        return self._apply(Subscribe, subscriptions)

    def unsubscribe(self, *subscriptions: Subscription) -> list[Any]:
        return self._apply(Unsubscribe, subscriptions)

    def open(self, conn: int) -> list[Any]:
        return self._apply(Opened, conn)

    def closed(self, conn: int, text: str = "gone", code: int | None = 1006) -> list[Any]:
        return self._apply(Closed, conn, text, code)

    def frame(self, conn: int, *messages: bytes) -> list[Any]:
        fresh: list[Any] = []
        for message in messages:
            fresh += self._apply(Frame, conn, message)
        return fresh

    def ping(self, conn: int) -> list[Any]:
        return self._apply(Ping, conn)

    def answer(self, fetch: Fetch, response: HttpResponse) -> list[Any]:
        return self._apply(Response, fetch.fetch, response)

    def fail(self, fetch: Fetch, text: str = "timed out") -> list[Any]:
        return self._apply(Failed, fetch.fetch, text)

    def tick(self) -> list[Any]:
        return self._apply(Tick)

    def wait(self, seconds: float) -> list[Any]:
        """Let the clock tick once a second."""
        fresh: list[Any] = []
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            fresh += self.tick()
        return fresh

    def take(self, kind: type[T]) -> list[T]:
        """Return and forget the commands of one kind."""
        found = [command for command in self.commands if isinstance(command, kind)]
        self.commands = [command for command in self.commands if not isinstance(command, kind)]
        return found

    def connects(self) -> list[tuple[int, str, int]]:
        return [(c.conn, c.route, c.attempt) for c in self.take(Connect)]

    def sent(self, conn: int | None = None) -> list[str]:
        return [c.data.decode() for c in self.take(Send) if conn is None or c.conn == conn]

    def fetches(self) -> list[Fetch]:
        return self.take(Fetch)

    def closes(self) -> list[int]:
        return [c.conn for c in self.take(Close)]

    def up(self, *subscriptions: Subscription) -> int:
        """Subscribe, connect and confirm; return the connection's number."""
        self.subscribe(*subscriptions)
        ((conn, _, _),) = self.connects()
        self.open(conn)
        self.frame(conn, quarry.ok(*subscriptions))
        self.events.clear()
        self.take(Send)
        return conn


def codes(events: list[Any]) -> list[str]:
    return [event.code for event in events if isinstance(event, Status)]


def ids(events: list[Any]) -> list[str]:
    return [event.id for event in events if isinstance(event, Trade)]


def statuses(events: list[Any], code: str) -> list[Status]:
    return [event for event in events if isinstance(event, Status) and event.code == code]
