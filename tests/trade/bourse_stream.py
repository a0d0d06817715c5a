"""Bourse with private streams: a test pushes what the session shall say, and breaks whatever it wants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from tests.trade.bourse import MARGIN_SPEC, NAME, SPOT_SPEC, Bourse, BourseMarket, limits
from unitape.errors import TransportError, WireError
from unitape.spi import (
    Credentials,
    Dial,
    Endpoint,
    Heartbeat,
    HttpRequest,
    HttpResponse,
    Instruments,
    PrivateSpec,
    Query,
    Ready,
    TradingSettings,
    Venue,
)
from unitape.transport.memory import MemoryPeer

LISTEN_KEY = "listen-4f9a81c2d7e6b5a09988"
SPEC = PrivateSpec(
    "private", ("orders", "fills", "balances"), Heartbeat("protocol", 20.0, 3600.0, 60.0), source="a test"
)


@dataclass
class Said:
    """What messages mean, by the number that they carry."""

    outputs: list[Any] = field(default_factory=list)
    on_open: Any = None
    """An error that logging on raises."""
    on_tick: Any = None


class Session:
    def __init__(self, said: Said) -> None:
        self.said = said
        self.outbox: list[bytes | str] = []

    def on_open(self, credentials: Credentials, ts: int) -> None:
        if self.said.on_open is not None:
            raise self.said.on_open
        self.outbox.append(f"LOGON {credentials.key}")

    def on_frame(self, data: bytes | str, ts_recv: int) -> Sequence[Any]:
        number = json.loads(data)["n"]
        output = Ready() if number < 0 else self.said.outputs[number]
        if isinstance(output, Exception):
            raise output
        return output if isinstance(output, list) else [output]

    def on_tick(self, now: int) -> Sequence[Any]:
        if self.said.on_tick is not None:
            raise self.said.on_tick
        return []


@dataclass(frozen=True)
class StreamMarket(BourseMarket):
    said: Said = field(default_factory=Said)
    private: PrivateSpec = SPEC
    listen: bool = False

    def account_stream(self, instruments: Instruments, settings: TradingSettings) -> Any:
        return Stream(self)


@dataclass
class Stream:
    market: StreamMarket

    @property
    def spec(self) -> PrivateSpec:
        return self.market.private

    def open_key(self) -> Query[str] | None:
        return self._key("open_key", "") if self.market.listen else None

    def keep_key(self, key: str) -> Query[None] | None:
        return self._key("keep_key", f"listenKey={key}")

    def _key(self, name: str, query: str) -> Query[Any]:
        def read(response: HttpResponse, ts: int) -> Any:
            if response.status != 200:
                raise self.market.read_error(response, request)
            return json.loads(response.body)["key"]

        request = HttpRequest("PUT" if query else "POST", f"/{self.market.name}/listen", query, auth="signed")
        return Query(name, request, read)

    def dial(self, endpoint: Endpoint, key: str | None, credentials: Credentials, ts: int) -> Dial:
        return Dial(f"ws://bourse.test/private?listenKey={key}", (("X-SIGN", "5f" * 20),))

    def session(self) -> Session:
        return Session(self.market.said)


@dataclass
class StreamBourse(Bourse):
    """Takes private connections. ``refuse`` is the error of the next ones, ``mute`` lets them stand unconfirmed."""

    said: Said = field(default_factory=Said)
    peers: list[MemoryPeer] = field(default_factory=list)
    refuse: list[Any] = field(default_factory=list)
    mute: bool = False
    held: Any = None
    """An event that connections wait for before they stand."""
    balance: dict[str, str] = field(default_factory=lambda: {"EUR": "1000.50"})

    async def accept(self, url: str, headers: tuple[tuple[str, str], ...], peer: MemoryPeer) -> None:
        if "private" not in url:
            return
        if self.refuse:
            error = self.refuse.pop(0)
            if error is None:
                self.peers.append(peer)
                return
            raise error if isinstance(error, Exception) else TransportError(f"{error} {url} {dict(headers)}")
        if self.held is not None:
            await self.held.wait()
        self.peers.append(peer)

    def receive(self, peer: MemoryPeer, data: bytes, text: bool) -> None:
        if data.startswith(b"LOGON"):
            if not self.mute:
                peer.send(b'{"n":-1}')
            return
        super().receive(peer, data, text)

    def push(self, *outputs: Any) -> None:
        """Send one message with these to the newest connection."""
        self.said.outputs.append(list(outputs))
        self.peers[-1].send(json.dumps({"n": len(self.said.outputs) - 1}).encode())

    def push_broken(self, error: Exception | None = None) -> None:
        self.said.outputs.append(error or WireError("not understood", b"x", venue=NAME))
        self.peers[-1].send(json.dumps({"n": len(self.said.outputs) - 1}).encode())

    def _get_balances(self, market: str, params: dict[str, str]) -> HttpResponse:
        return HttpResponse(200, json.dumps(self.balance).encode())

    def _post_listen(self, market: str, params: dict[str, str]) -> HttpResponse:
        return HttpResponse(200, json.dumps({"key": LISTEN_KEY}).encode())

    _put_listen = _post_listen


def stream_venue(said: Said, **changes: Any) -> Venue:
    given = {
        "limits": limits(),
        "said": said,
        "endpoints": {"live": Endpoint("http://bourse.test", {"public": "ws://bourse.test", "private": "ws://p.test"})},
        **changes,
    }
    both = (
        StreamMarket(name="spot", spec=SPOT_SPEC, **given),
        StreamMarket(
            name="margin", spec=structs.replace(MARGIN_SPEC, query_by_client_id=True, cancel_by_client_id=True), **given
        ),
    )
    return Venue(NAME, "Bourse", both)
