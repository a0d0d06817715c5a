"""One private connection: made, kept alive, read, and given up. Its secrets stay here."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import anyio
from msgspec import structs

from unitape.errors import (
    AuthenticationFailed,
    ConfigError,
    PermissionDenied,
    UnitapeError,
    VenueError,
    WireError,
)
from unitape.spi import (
    AccountStream,
    Closing,
    Credentials,
    Dial,
    Outgoing,
    PrivateOutput,
    Query,
    Ready,
    Refused,
)
from unitape.trade.secrets import SHORTEST_SIGNATURE, Hidden
from unitape.transport import Transport
from unitape.transport.base import Connection, WsOptions

if TYPE_CHECKING:
    from unitape.trade.client import TradingClient

__all__ = ["Ending", "PrivateLine"]

T = TypeVar("T")
_log = logging.getLogger("unitape.trade")

NANOS: Final = 1_000_000_000
TICK: Final = 1.0
"""Seconds between two looks at timers and silence."""
REPEAT_KEEP: Final = 30.0
"""Seconds until a listen key that could not be extended is tried again."""
AUTH: Final = "auth"
_PROOF: Final = re.compile(r"[A-Za-z0-9+/=_%-]{32,}")


class Ending:
    """How a private connection ended. ``final``: the venue will not have this key, trying again is pointless."""

    __slots__ = ("final", "text")

    def __init__(self, text: str, *, final: bool = False) -> None:
        self.text = text
        self.final = final


class PrivateLine:
    """One connection to the private stream of a market. A ``Receiver`` of its transport."""

    def __init__(
        self,
        client: TradingClient,
        stream: AccountStream,
        transport: Transport,
        options: WsOptions,
        outputs: Callable[[PrivateLine, Sequence[PrivateOutput]], None],
        undecoded: Callable[[WireError], None],
    ) -> None:
        """``outputs`` takes what the session says, ``undecoded`` what it could not understand."""
        self._client = client
        self._stream = stream
        self._transport = transport
        self._options = options
        self._outputs = outputs
        self._undecoded = undecoded
        self._session = stream.session()
        self._credentials: Credentials | None = None
        self._hidden = Hidden()
        self._connection: Connection | None = None
        self._heard = client.mono()
        self._opened: int | None = None
        self._stamp = 0
        self.ready = False
        self.ending: Ending | None = None
        self.leave = False
        """True once another connection should take over from this one."""
        self.changed = anyio.Event()
        """Set, and made anew, when one of the above changes."""

    async def run(self) -> None:
        """Connect and read until the end, which ``ending`` then tells. Raises nothing but cancellation."""
        try:
            ending = await self._run()
        except Exception as error:  # noqa: BLE001 - whatever breaks one connection must not end the adapter
            ending = self._ended_by(error)
        if self.ending is None:
            self.ending = ending
        self._connection = None
        if not self.ready and not self.ending.final:
            # A logon is signed with the venue's time: a clock that was set may be why there was none.
            self._client.venue_clock.forget()
        self._notify()

    def close(self, text: str) -> None:
        """Give the connection up."""
        if self.ending is None:
            self.ending = Ending(text)
        if self._connection is not None:
            self._connection.close()
        self._notify()

    @property
    def age(self) -> float:
        """Seconds since it stands; 0 before."""
        return 0.0 if self._opened is None else (self._client.mono() - self._opened) / NANOS

    # Receiver

    def opened(self, connection: Connection) -> None:
        """The handshake is done."""
        if self.ending is not None:
            # It was given up while it was dialled.
            connection.close()
            return
        self._connection = connection
        self._opened = self._heard = self._client.mono()
        try:
            if self._credentials is not None:
                self._session.on_open(self._credentials, self._client.venue_now())
            self._hidden = self._hidden.more(_proofs(self._session.outbox))
            self._flush()
        except Exception as error:  # noqa: BLE001 - a fault in the logon ends this connection and nothing else
            self.close(self._words(error))

    def frame(self, data: bytes, text: bool) -> None:
        """One whole message. After the end nothing counts: what it says is asked for, or told by another connection."""
        if self.ending is not None:
            return
        self._heard = self._client.mono()
        try:
            outputs = self._session.on_frame(data.decode() if text else data, self._client.wall())
            self._flush()
            self._handle(outputs)
        except UnicodeDecodeError as error:
            self._undecoded(WireError(f"not UTF-8: {error.reason}", data, venue=self._client.market.venue))
        except WireError as error:
            self._hidden.scrub_error(error)
            self._undecoded(error)
        except Exception as error:  # noqa: BLE001 - one message that trips a reader must not end the stream
            fault = WireError(f"{type(error).__name__}: {error}", data, venue=self._client.market.venue)
            self._hidden.scrub_error(fault)
            self._undecoded(fault)

    def ping(self) -> None:
        """A protocol ping or pong came in."""
        self._heard = self._client.mono()

    def flush(self) -> None:
        """All frames of one socket read were handed over."""

    async def _run(self) -> Ending:
        client = self._client
        credentials = client.credentials
        if credentials is None:
            raise ConfigError(f"the private stream of {client.market.venue} needs an API key")
        self._credentials = credentials
        self._hidden = Hidden(credentials.hidden())
        await client.time()
        key = None
        opening = self._stream.open_key()
        if opening is not None:
            key = await self._ask(opening)
        dial = self._stream.dial(client.endpoint, key, credentials, client.venue_now())
        values = [value for _, value in parse_qsl(urlsplit(dial.url).query) if len(value) >= SHORTEST_SIGNATURE]
        self._hidden = self._hidden.more((*([key] if key else []), *(value for _, value in dial.headers), *values))
        ending = Ending("")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            if key is not None and self._stream.spec.keep_every is not None:
                tasks.start_soon(self._keep, key, self._stream.spec.keep_every)
            ending = await self._connect(dial)
            tasks.cancel_scope.cancel()
        return ending

    async def _connect(self, dial: Dial) -> Ending:
        """Run the connection, and say how it ended or why none came about."""
        given = {name.lower() for name, _ in dial.headers}
        usual = (header for header in self._client.endpoint.headers if header[0].lower() not in given)
        options = structs.replace(self._options, headers=(*usual, *dial.headers))
        try:
            ended = await self._transport.run(dial.url, self, options)
        except Exception as error:  # noqa: BLE001 - in a task group it would come out as a group
            return self._ended_by(error)
        return Ending(self._hidden.scrub(ended.text) if ended.text else f"closed with code {ended.code}")

    def _ended_by(self, error: Exception) -> Ending:
        return Ending(self._words(error), final=_is_final(error))

    def _words(self, error: Exception) -> str:
        plain = isinstance(error, UnitapeError) and str(error)
        return self._hidden.scrub(plain or f"{type(error).__name__}: {error}")

    async def _ask(self, query: Query[T]) -> T:
        """Ask about a listen key. It changes nothing that matters, so that it may be asked again and in a dry run."""
        return await self._client.read(Query(query.name, structs.replace(query.request, write=False), query.read))

    async def _keep(self, key: str, every: float) -> None:
        pause = every
        while True:
            await anyio.sleep(pause)
            query = self._stream.keep_key(key)
            if query is None:
                return
            try:
                await self._ask(query)
                pause = every
            except VenueError as error:
                if error.status is None or error.status >= 500 or type(error).retryable:
                    pause = min(REPEAT_KEEP, every)
                    continue
                self.close(self._hidden.scrub(f"the listen key is gone: {error.text}"))
                return
            except Exception as error:  # noqa: BLE001 - the key may live on, and if not, its end is told
                text = self._words(error)
                _log.warning("%s: a listen key could not be extended: %s", self._client.market.venue, text)
                pause = min(REPEAT_KEEP, every)

    async def _watch(self) -> None:
        """Let the session's timers run, and notice silence."""
        spec = self._stream.spec
        while True:
            await anyio.sleep(TICK)
            now = self._client.mono()
            if self._opened is None:
                continue
            try:
                outputs = self._session.on_tick(now)
                self._flush()
                self._handle(outputs)
            except Exception as error:  # noqa: BLE001 - its timers are broken, so that it cannot be trusted to live
                self.close(self._words(error))
            if not self.ready and now - self._opened > spec.confirm_within * NANOS:
                self.close(f"not confirmed within {spec.confirm_within:g} s")
            elif now - self._heard > spec.heartbeat.silence * NANOS:
                self.close(f"silent for {spec.heartbeat.silence:g} s")
            elif spec.lifetime is not None and not self.leave and self.age > 0.95 * spec.lifetime:
                self.leave = True
                self._notify()

    def _handle(self, outputs: Sequence[PrivateOutput]) -> None:
        if not outputs:
            return
        for output in outputs:
            if isinstance(output, Ready) and not self.ready:
                self.ready = True
                self._notify()
            elif isinstance(output, Refused):
                self.ending = Ending(self._hidden.scrub(output.text), final=output.code == AUTH)
            elif isinstance(output, Closing):
                self.leave = True
                if not output.rotate:
                    self.ending = self.ending or Ending(self._hidden.scrub(output.text))
                self._notify()
        self._outputs(self, outputs)
        if self.ending is not None:
            if self._connection is not None:
                self._connection.close()
            self._notify()

    def _flush(self) -> None:
        connection, outbox = self._connection, self._session.outbox
        if connection is None:
            return
        while outbox:
            message = outbox.pop(0)
            if isinstance(message, str):
                connection.send(message.encode(), True)
            else:
                connection.send(message, False)

    def _notify(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


def _proofs(messages: Sequence[Outgoing]) -> list[str]:
    """Return what in logon messages looks like a signature, so that nobody who echoes it makes it known."""
    texts = [one if isinstance(one, str) else one.decode("utf-8", "replace") for one in messages]
    return [found for text in texts for found in _PROOF.findall(text)]


def _is_final(error: Exception) -> bool:
    """Tell whether a venue's refusal stands until somebody changes the key or the call."""
    return isinstance(error, (AuthenticationFailed, PermissionDenied, ConfigError))
