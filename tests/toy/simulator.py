"""Pebble's wire protocol before a simulated exchange: what a stranger writes to run the conformance cases."""

from __future__ import annotations

from collections.abc import Sequence

from unitape.spi import SECOND, HttpRequest, HttpResponse
from unitape.spi.simulation import (
    BookChange,
    CloseFrame,
    Exchange,
    Face,
    FaceOptions,
    FaceOutput,
    SimInstrument,
    SimTrade,
    Text,
)

PING_EVERY = 10 * SECOND
ANSWER_WITHIN = 30 * SECOND
STREAMS = 4


class Client:
    """One connection: what it follows, and since when it owes an answer to a heartbeat."""

    def __init__(self, now: int) -> None:
        self.streams: dict[tuple[str, str], bool] = {}
        """(channel, symbol) and whether it is served: a silent one is acknowledged and brings nothing."""
        self.pinged = now
        self.owes: int | None = None


class PebbleFace:
    """All connections of the one market."""

    def __init__(self, exchange: Exchange, options: FaceOptions) -> None:
        self.outbox: list[FaceOutput] = []
        self._exchange = exchange
        self._options = options
        self._symbols = {instrument.symbol.replace("/", "-"): instrument.symbol for instrument in exchange.instruments}
        self._clients: dict[int, Client] = {}
        self._cursor = exchange.cursor
        self._now = 0
        self._pings = 0
        self._shutdown_at: int | None = None

    def http(self, request: HttpRequest) -> HttpResponse:
        for kind in ("http_429", "http_418"):
            seconds = self._options.faults.take("http_429" if kind == "http_429" else "http_418", request.path)
            if seconds is not None:
                return HttpResponse(int(kind[-3:]), b"slow down", (("retry-after", f"{seconds:g}"),))
        if (request.method, request.path) != ("GET", "/pairs"):
            return HttpResponse(404, b"no such page")
        rows = [f"{pair},{self._ins(s).tick},{self._ins(s).step},open" for pair, s in self._symbols.items()]
        return HttpResponse(200, "\n".join(rows).encode())

    def ws_open(self, conn: int, target: str, headers: Sequence[tuple[str, str]]) -> HttpResponse | None:
        if target != "/feed":
            return HttpResponse(404, b"")
        self._clients[conn] = Client(self._now)
        return None

    def ws_frame(self, conn: int, data: bytes, text: bool) -> None:
        client = self._clients[conn]
        match data.decode().split(" "):
            case ["!", _]:
                client.owes = None
            case ["SUB", number, ("trades" | "book") as channel, pair]:
                self._subscribe(conn, client, number, channel, pair)
            case ["END", number, channel, pair]:
                client.streams.pop((channel, self._symbols.get(pair, "")), None)
                self._send(conn, f"OK {number}")
            case _:
                self._close(conn, "what?")

    def ws_pong(self, conn: int, data: bytes) -> None:
        """Pebble has heartbeats of its own."""

    def ws_ping(self, conn: int, data: bytes) -> None:
        """Likewise."""

    def ws_close(self, conn: int) -> None:
        self._clients.pop(conn, None)

    def tick(self, now: int) -> None:
        self._now = now
        self._tell()
        for conn, client in list(self._clients.items()):
            if client.owes is not None and now - client.owes > ANSWER_WITHIN:
                self._close(conn, "no heartbeat")
            elif now - client.pinged >= PING_EVERY:
                client.pinged = now
                client.owes = now if client.owes is None else client.owes
                self._pings += 1
                self._send(conn, f"? {self._pings}")
        self._shut_down(now)

    def _subscribe(self, conn: int, client: Client, number: str, channel: str, pair: str) -> None:
        symbol = self._symbols.get(pair)
        faults, stream = self._options.faults, f"{channel} {pair}".lower()
        if symbol is None:
            self._send(conn, f"NO {number} no such pair")
            return
        full = (channel, symbol) not in client.streams and len(client.streams) >= STREAMS
        if full or faults.take("refused_subscribe", stream) is not None:
            self._send(conn, f"NO {number} not now")
            return
        # What happened up to now belongs before the image.
        self._tell()
        silent = faults.take("silent_ack", stream) is not None
        client.streams[channel, symbol] = not silent
        self._send(conn, f"OK {number}")
        if channel == "book" and not silent:
            image = self._exchange.book(symbol)
            sides = " ".join(
                ",".join(f"{self._ins(symbol).price_text(price)}:{size}" for price, size in side) or "-"
                for side in (image.bids, image.asks)
            )
            self._send(conn, f"I {pair} {image.seq} {sides}", stream)

    def _tell(self) -> None:
        """Send what happened to those who follow it."""
        events = self._exchange.events(self._cursor)
        self._cursor += len(events)
        for event in events:
            if isinstance(event, SimTrade):
                self._publish("trades", event.symbol, self._trade(event))
            elif isinstance(event, BookChange):
                level = f"{self._ins(event.symbol).price_text(event.price)}:{event.size}"
                sides = f"{level} -" if event.side == "buy" else f"- {level}"
                self._publish("book", event.symbol, f"D {_pair(event.symbol)} {event.seq} {sides}")

    def _trade(self, trade: SimTrade) -> str:
        seconds = f"{trade.ts // SECOND}.{trade.ts % SECOND // 1_000_000:03d}"
        price, side = self._ins(trade.symbol).price_text(trade.price), "B" if trade.taker == "buy" else "S"
        return f"T {_pair(trade.symbol)} {trade.id} {seconds} {price} {trade.size} {side}"

    def _publish(self, channel: str, symbol: str, line: str) -> None:
        for conn, client in self._clients.items():
            if client.streams.get((channel, symbol)):
                self._send(conn, line, f"{channel} {_pair(symbol)}".lower())

    def _shut_down(self, now: int) -> None:
        notice = self._options.faults.take("server_shutdown", "pebble") if self._clients else None
        if notice is not None:
            self._shutdown_at = now + round(notice * SECOND)
        if self._shutdown_at is not None and self._shutdown_at <= now:
            self._shutdown_at = None
            for conn in list(self._clients):
                self._close(conn, "bye")

    def _close(self, conn: int, reason: str) -> None:
        del self._clients[conn]
        self.outbox.append(CloseFrame(conn, 1001, reason))

    def _send(self, conn: int, line: str, stream: str = "") -> None:
        self.outbox.append(Text(conn, line.encode(), stream))

    def _ins(self, symbol: str) -> SimInstrument:
        return self._exchange.instrument(symbol)


def _pair(symbol: str) -> str:
    return symbol.replace("/", "-")


def face(exchange: Exchange, market: str, options: FaceOptions) -> Face:
    """Return the face of the market ``spot``; KeyError for any other."""
    if market != "spot":
        raise KeyError(market)
    return PebbleFace(exchange, options)
