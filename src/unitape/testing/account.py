"""Private connections of a recorded test: what an account's stream said, kept and played at the same moments."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio
import msgspec
from msgspec import Struct

from unitape.clock import Clock
from unitape.errors import TapeError, TransportError
from unitape.feed.inputs import Frame
from unitape.spi import Endpoint
from unitape.tape.redact import Redactor
from unitape.transport import Connection, Ended, Receiver

__all__ = ["ACCOUNT", "AccountFrame", "AccountKeeper", "AccountPlayer", "KeepingReceiver", "market_at"]

ACCOUNT: Final = "account"
NANOS: Final = 1_000_000_000


class AccountFrame(Struct, frozen=True, omit_defaults=True):
    """One line of ``account.jsonl``: a private connection opened, brought a message, or ended."""

    place: str
    """``venue/market``."""
    conn: int
    """The number of the connection in the recording."""
    ts: int
    """Wall clock in nanoseconds."""
    text: str | None = None
    """The message."""
    binary: str | None = None
    """The message in base64, where it is no text."""
    ended: str | None = None
    """How the connection ended."""
    code: int | None = None
    """The close code."""


class AccountKeeper:
    """What private connections brought while recording."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._conns = 0
        self._said: list[tuple[AccountFrame, bytes | None, bool]] = []

    def receiver(self, place: str, inner: Receiver) -> KeepingReceiver:
        """Return a receiver that keeps what the inner one gets."""
        self._conns += 1
        return KeepingReceiver(self, place, self._conns, inner)

    def keep(self, place: str, conn: int, data: bytes | None = None, *, text: bool = True) -> None:
        """Keep that a connection opened, or what it brought."""
        self._said.append((AccountFrame(place, conn, self._clock.wall()), data, text))

    def keep_end(self, place: str, conn: int, end: Ended) -> None:
        """Keep how a connection ended."""
        frame = AccountFrame(place, conn, self._clock.wall(), ended=end.text, code=end.code)
        self._said.append((frame, None, True))

    def write(self, path: Path, redactor: Redactor) -> None:
        """Write what was kept, without secrets; nothing where nothing was."""
        if self._said:
            lines = [msgspec.json.encode(_clean(redactor, *said)) + b"\n" for said in self._said]
            path.write_bytes(b"".join(lines))


def _clean(redactor: Redactor, frame: AccountFrame, data: bytes | None, text: bool) -> AccountFrame:
    """Put a message into its line, without secrets."""
    if data is None:
        return msgspec.structs.replace(frame, ended=redactor.text(frame.ended)) if frame.ended else frame
    clean = redactor.record(Frame(frame.ts, 0, frame.conn, data, text))
    said = clean.data if isinstance(clean, Frame) else b""
    if text:
        return msgspec.structs.replace(frame, text=said.decode("utf-8", "replace"))
    return msgspec.structs.replace(frame, binary=base64.b64encode(said).decode())


class KeepingReceiver:
    """A receiver in between."""

    def __init__(self, keeper: AccountKeeper, place: str, conn: int, inner: Receiver) -> None:
        self._keeper = keeper
        self._place = place
        self._conn = conn
        self._inner = inner

    def opened(self, connection: Connection) -> None:
        """The handshake is done."""
        self._keeper.keep(self._place, self._conn)
        self._inner.opened(connection)

    def frame(self, data: bytes, text: bool) -> None:
        """One whole message."""
        self._keeper.keep(self._place, self._conn, data, text=text)
        self._inner.frame(data, text)

    def ping(self) -> None:
        """A protocol ping or pong came in."""
        self._inner.ping()

    def flush(self) -> None:
        """All frames of one socket read were handed over."""
        self._inner.flush()

    def ended(self, end: Ended) -> None:
        """The connection ended by itself."""
        self._keeper.keep_end(self._place, self._conn, end)


class AccountPlayer:
    """Plays the private connections of one adapter, market by market, in the order in which they were made."""

    def __init__(self, frames: Iterable[AccountFrame], clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, list[list[AccountFrame]]] = {}
        by_conn: dict[int, list[AccountFrame]] = {}
        for frame in frames:
            if frame.conn not in by_conn:
                by_conn[frame.conn] = []
                self._waiting.setdefault(frame.place, []).append(by_conn[frame.conn])
            by_conn[frame.conn].append(frame)

    @staticmethod
    def read(path: Path) -> list[AccountFrame]:
        """Read ``account.jsonl``; nothing where there is none.

        Raises:
            TapeError: it is something else.
        """
        if not path.exists():
            return []
        try:
            frames = [msgspec.json.decode(line, type=AccountFrame) for line in path.read_bytes().splitlines() if line]
            for frame in frames:
                base64.b64decode(frame.binary or "", validate=True)
        except (msgspec.DecodeError, ValueError) as error:
            raise TapeError(f"{path.name} cannot be read: {error}") from error
        if not frames:
            raise TapeError(f"{path.name} is empty: put it back, or record the test anew")
        return frames

    def holds(self, place: str) -> bool:
        """Tell whether another connection to ``venue/market`` was recorded."""
        return bool(self._waiting.get(place))

    async def play(self, place: str, receiver: Receiver) -> Ended:
        """Play the next connection. One that stood when the recording ended stands for ever."""
        waiting = self._waiting.get(place)
        if not waiting:
            raise TransportError(f"no further connection to the account on {place} was recorded", sent=False)
        line = _Line()
        for number, frame in enumerate(waiting.pop(0)):
            with anyio.move_on_after(max(0.0, (frame.ts - self._clock.wall()) / NANOS)):
                await line.closed.wait()
            if line.closed.is_set():
                return Ended("closed", 1000)
            if number == 0:
                receiver.opened(line)
            elif frame.ended is not None:
                return Ended(frame.ended, frame.code)
            else:
                binary = frame.binary is not None
                data = base64.b64decode(frame.binary or "") if binary else (frame.text or "").encode()
                receiver.frame(data, not binary)
                receiver.flush()
        await line.closed.wait()
        return Ended("closed", 1000)


class _Line:
    """Our end of a played connection. What is sent on it goes nowhere: what the venue said to it is recorded."""

    def __init__(self) -> None:
        self.closed = anyio.Event()

    def send(self, data: bytes, text: bool) -> None:
        """Take a message."""

    def pause(self) -> None:
        """Nothing waits in a socket."""

    def resume(self) -> None:
        """Likewise."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End it."""
        self.closed.set()


def market_at(url: str, endpoints: Mapping[str, Endpoint]) -> str:
    """Return the name of the market that a URL belongs to, by its host; the host where none does."""
    host = urlsplit(url).netloc
    for name, endpoint in endpoints.items():
        if any(urlsplit(known).netloc == host for known in (endpoint.rest, *endpoint.ws.values())):
            return name
    return host
