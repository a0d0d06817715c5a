"""HTTP of a recorded test: kept as a cassette of vcrpy while recording, answered from it in replays.

Each recorded answer is given once, in the recorded order among equal requests and after the recorded time. What
differs from run to run by nature (the time of a signed request and its signature) is not compared.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

import anyio
import msgspec
from msgspec import Struct

from unitape.clock import Clock
from unitape.errors import ConfigError, NotRecorded, TapeError, TransportError
from unitape.spi import Endpoint, HttpRequest, HttpResponse, Instruments, Market
from unitape.tape.redact import Redactor
from unitape.tape.vcr import Exchange, write_cassette
from unitape.testing.account import AccountPlayer, KeepingReceiver, market_at
from unitape.transport import Ended, Receiver, Transport, WsOptions

__all__ = ["IGNORED", "HttpKeeper", "HttpPlayer", "KeepingTransport", "Listing", "PlayingTransport"]

IGNORED: Final = frozenset(("timestamp", "signature", "sign", "recvwindow", "recv_window", "nonce"))
"""Parameters and fields that are not compared, in lower case."""
NO_ANSWER: Final = 0
"""Status of an exchange that had no answer: the body says why."""
UNSENT: Final = "unsent"
FAILED: Final = "failed"
ABANDONED: Final = "abandoned"
OUTCOME: Final = "x-unitape-outcome"
DIFFERENCES_SHOWN: Final = 6
NEAR: Final = 600 * 1_000_000_000
"""Nanoseconds around the recording within which a number counts as one of its moments."""
UNITS: Final = (1, 1_000, 1_000_000, 1_000_000_000)
TIME: Final = re.compile("[0-9]{10,19}")


class Listing(Struct, frozen=True):
    """An instrument list as a venue answered it. Kept apart: it is large, and nobody reads it."""

    place: str
    """``venue/market``."""
    status: int
    body: str


class Answered(Struct, frozen=True):
    """A recorded answer."""

    response: HttpResponse
    took: float
    """Seconds."""
    ts: int
    """When it came, wall clock in nanoseconds."""


class HttpKeeper:
    """What was asked and answered while recording, in the order of asking."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.exchanges: list[Exchange] = []
        self.listings: list[Listing] = []

    def begin(self, base: str, request: HttpRequest) -> int:
        """Note that something is asked; until ``end`` it counts as abandoned."""
        none = HttpResponse(NO_ANSWER, b"nobody waited for the answer", ((OUTCOME, ABANDONED),))
        self.exchanges.append(Exchange(base, request, none, self.clock.wall()))
        return len(self.exchanges) - 1

    def end(self, number: int, response: HttpResponse, seconds: float) -> None:
        """Note the answer."""
        asked = self.exchanges[number]
        self.exchanges[number] = Exchange(asked.base, asked.request, response, self.clock.wall(), seconds)

    def write(self, cassette: Path, listings: Path, redactor: Redactor) -> None:
        """Write what was kept; nothing where nothing was asked."""
        if self.exchanges:
            write_cassette(cassette, self.exchanges, redactor=redactor)
        if self.listings:
            data = redactor.data(msgspec.json.encode(self.listings))
            # mtime 0: the same answers give the same bytes.
            listings.write_bytes(gzip.compress(data, 9, mtime=0))


class KeepingTransport:
    """A network whose HTTP is kept: all but the requests of feeds, which their tape holds."""

    def __init__(
        self,
        inner: Transport,
        keeper: HttpKeeper,
        *,
        bases: Mapping[str, str],
        markets: Mapping[str, Sequence[Market]],
        of_a_feed: Callable[[HttpRequest], bool],
        account: Callable[[str, Receiver], KeepingReceiver | None],
    ) -> None:
        """Wrap a network. ``bases`` gives the name to write for each base URL, ``markets`` who is reached there.

        ``account`` wraps the receiver of a private connection, and gives None for any other.
        """
        self.name = inner.name
        self._inner = inner
        self._keeper = keeper
        self._bases = bases
        self._markets = markets
        self._of_a_feed = of_a_feed
        self._account = account

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Make a WebSocket connection, and keep what an account's brings; see ``WsTransport.run``."""
        keeping = self._account(url, receiver)
        if keeping is None:
            return await self._inner.run(url, receiver, options)
        end = await self._inner.run(url, keeping, options)
        keeping.ended(end)
        return end

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send one request, and keep what comes of it."""
        listed = _lists(self._markets[base], request)
        if listed is not None:
            answer = await self._inner.request(base, request, timeout)
            self._keeper.listings.append(Listing(listed, answer.status, answer.body.decode("utf-8", "replace")))
            return answer
        if self._of_a_feed(request):
            return await self._inner.request(base, request, timeout)
        clock = self._keeper.clock
        number, start = self._keeper.begin(self._bases[base], request), clock.mono()
        try:
            answer = await self._inner.request(base, request, timeout)
        except TransportError as error:
            outcome = FAILED if error.sent else UNSENT
            failure = HttpResponse(NO_ANSWER, str(error).encode(), ((OUTCOME, outcome),))
            self._keeper.end(number, failure, (clock.mono() - start) / 1e9)
            raise
        self._keeper.end(number, answer, (clock.mono() - start) / 1e9)
        return answer

    async def aclose(self) -> None:
        """Close the network."""
        await self._inner.aclose()


class HttpPlayer:
    """Answers from a cassette.

    ``unplayed`` are the recorded requests that nobody has made yet.
    """

    def __init__(
        self, cassette: Path, listings: Path, ignored: Iterable[str] = (), during: tuple[int, int] = (0, 0)
    ) -> None:
        """Open a cassette; one that does not exist holds nothing.

        ``during`` is when it was recorded, in nanoseconds: numbers in requests that are moments of that time, or
        near it, are made from the clock and therefore not compared.

        Raises:
            ConfigError: vcrpy is not installed.
            TapeError: it cannot be read.
        """
        self.path = cassette
        self._ignored = IGNORED | {name.lower() for name in ignored}
        self._redactor = Redactor()
        self._during = (during[0] - NEAR, during[1] + NEAR)
        self._matchers = (self._method, self._place, self._query, self._body)
        self._cassette = _load(cassette, self._matchers)
        self._listings: dict[str, list[Listing]] = {}
        for listing in _read_listings(listings):
            self._listings.setdefault(listing.place, []).append(listing)

    @property
    def unplayed(self) -> list[str]:
        """Method and URL of each recorded request that was not made yet."""
        if self._cassette is None:
            return []
        counts = self._cassette.play_counts
        return [f"{r.method} {r.uri}" for n, r in enumerate(self._cassette.requests) if not counts[n]]

    def listing(self, place: str) -> HttpResponse:
        """Return the next instrument list of ``venue/market``, the last one again and again.

        Raises:
            NotRecorded: it was never asked for.
        """
        known = self._listings.get(place)
        if not known:
            raise NotRecorded(f"the instruments of {place} were not asked for when this was recorded")
        found = known.pop(0) if len(known) > 1 else known[0]
        return HttpResponse(found.status, found.body.encode())

    def answer(self, base: str, request: HttpRequest, *, again: bool = False) -> Answered:
        """Return the recorded answer, how long it took and when it came. ``again``: the last one serves on and on.

        Raises:
            NotRecorded: there is none, or all of them were given; the text tells what comes nearest.
        """
        wanted = self._request(base, self._redactor.request(request))
        if self._cassette is not None:
            unhandled = import_module("vcr.errors").UnhandledHTTPRequestError
            try:
                return _response(self._cassette.play_response(wanted))
            except unhandled:
                pass
            try:
                answers: Sequence[Any] = self._cassette.responses_of(wanted)
            except unhandled:
                answers = ()
            if answers and again:
                return _response(answers[-1])
            if answers:
                times = "once" if len(answers) == 1 else f"{len(answers)} times"
                raise NotRecorded(f"{_asked(base, request)} was recorded {times}, and is asked once more")
        raise NotRecorded("\n".join([f"{_asked(base, request)} was not recorded", *self._nearest(wanted)]))

    def _nearest(self, wanted: Any) -> list[str]:
        if self._cassette is None:
            return [f"  no HTTP request was: there is no {self.path.name}"]
        # What has not even the path in common says nothing about what changed.
        near = [(stored, self._failures(wanted, stored)) for stored in self._cassette.requests]
        near = [(stored, failures) for stored, failures in near if not any(f.startswith("place:") for f in failures)]
        if not near:
            return []
        stored, failures = min(near, key=lambda one: len(one[1]))
        return [
            f"  the nearest recorded request is {stored.method} {urlsplit(str(stored.uri)).path}, which differs:",
            *(f"    {line}" for failure in failures for line in failure.splitlines()),
        ]

    def _failures(self, asked: Any, recorded: Any) -> list[str]:
        found: list[str] = []
        for matcher in self._matchers:
            try:
                matcher(asked, recorded)
            except AssertionError as error:
                found.append(str(error))
        return found

    def _request(self, base: str, request: HttpRequest) -> Any:
        headers = dict(request.headers)
        return import_module("vcr.request").Request(
            request.method, base + request.target, request.body or None, headers
        )

    # Matchers, as vcrpy calls them: they raise AssertionError where two requests differ.

    def _method(self, asked: Any, recorded: Any) -> None:
        if asked.method != recorded.method:
            raise AssertionError(f"method: {recorded.method} → {asked.method}")

    def _place(self, asked: Any, recorded: Any) -> None:
        places = [(one.scheme, one.host, one.port, one.path) for one in (recorded, asked)]
        if places[0] != places[1]:
            raise AssertionError(f"place: {recorded.uri.partition('?')[0]} → {asked.uri.partition('?')[0]}")

    def _query(self, asked: Any, recorded: Any) -> None:
        _differ("query", self._pairs(urlsplit(str(recorded.uri)).query), self._pairs(urlsplit(str(asked.uri)).query))

    def _body(self, asked: Any, recorded: Any) -> None:
        _differ("body", self._said(recorded.body), self._said(asked.body))

    def _said(self, body: bytes | None) -> Any:
        text = (body or b"").decode("utf-8", "replace")
        if not text.startswith(("{", "[")):
            return self._pairs(text)
        try:
            said = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
        if not isinstance(said, dict):
            return said
        fields = cast("dict[str, Any]", said)
        return {name: self._timeless(value) for name, value in fields.items() if name.lower() not in self._ignored}

    def _pairs(self, text: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            if name.lower() not in self._ignored:
                found.setdefault(name, []).append(self._timeless(value))
        return found

    def _timeless(self, value: Any) -> Any:
        """Return a moment of the recording's time as a word, in whatever unit; anything else as it is."""
        if isinstance(value, bool) or not isinstance(value, str | int) or not TIME.fullmatch(str(value)):
            return value
        stamp = int(value)
        begin, end = self._during
        return "a moment" if any(begin <= stamp * unit <= end for unit in UNITS) else value


class PlayingTransport:
    """A network that is a recording: no byte leaves."""

    name = "recording"

    def __init__(
        self,
        player: HttpPlayer,
        accounts: AccountPlayer,
        *,
        clock: Clock,
        endpoints: Mapping[str, Endpoint],
        markets: Mapping[str, Sequence[Market]],
        missing: Callable[[str], NotRecorded],
    ) -> None:
        """Play. ``markets`` tells who is reached at each base URL; ``missing`` is told what was not recorded."""
        self._player = player
        self._accounts = accounts
        self._clock = clock
        self._endpoints = endpoints
        self._markets = markets
        self._missing = missing
        self._venue = next((market.venue for group in markets.values() for market in group), "")
        self._streaming = False

    async def run(self, url: str, receiver: Receiver, options: WsOptions) -> Ended:
        """Play a private connection; the frames of feeds come from the tape."""
        place = f"{self._venue}/{market_at(url, self._endpoints)}"
        if not self._accounts.holds(place):
            raise self._missing(f"another connection to {place} beside its feeds was not recorded")
        self._streaming = True
        return await self._accounts.play(place, receiver)

    async def request(self, base: str, request: HttpRequest, timeout: float) -> HttpResponse:
        """Return the recorded answer: when it came, or where the request is late, after the time it took."""
        markets = self._markets[base]
        asks_time = any(_asks_time(market, request) for market in markets)
        # An account that is streamed is compared with queries in the background, now and then.
        again = asks_time or (self._streaming and request.auth == "signed" and not request.write)
        try:
            listed = _lists(markets, request)
            if listed is not None:
                await anyio.lowlevel.checkpoint()
                return self._player.listing(listed)
            found = self._player.answer(base, request, again=again)
        except NotRecorded as error:
            raise self._missing(str(error)) from None
        response = found.response
        outcome = response.header(OUTCOME) if response.status == NO_ANSWER else None
        early = (found.ts - self._clock.wall()) / 1e9
        # The venue's clock is measured by how long the question takes.
        pause = early if not asks_time and found.took < early <= timeout else min(found.took, timeout)
        await anyio.sleep(timeout if outcome == ABANDONED else pause)
        if outcome is not None:
            raise TransportError(response.body.decode(), sent=outcome != UNSENT)
        return response

    async def aclose(self) -> None:
        """Nothing is kept open."""


def _lists(markets: Sequence[Market], request: HttpRequest) -> str | None:
    """Return ``venue/market`` where a request asks for that market's instruments, None where for something else."""
    for market in markets:
        listing = market.rest(Instruments()).instruments().request
        if (request.method, request.target) == (listing.method, listing.target):
            return f"{market.venue}/{market.name}"
    return None


def _asks_time(market: Market, request: HttpRequest) -> bool:
    """Tell whether a request asks for the venue's clock, which is measured as often as the clock needs it."""
    try:
        asking = market.rest(Instruments()).time().request
    except ConfigError:
        return False
    return (request.method, request.target) == (asking.method, asking.target)


def _load(path: Path, matchers: tuple[Callable[[Any, Any], None], ...]) -> Any:
    if not path.exists():
        return None
    try:
        vcr = import_module("vcr.cassette")
    except ImportError:
        raise ConfigError("recorded HTTP needs vcrpy: pip install 'unitape[testing]'") from None
    mode = import_module("vcr.record_mode").RecordMode.NONE
    try:
        # vcrpy takes what is no text for an empty cassette.
        path.read_bytes().decode()
        cassette = vcr.Cassette.load(path=str(path), record_mode=mode, match_on=matchers)
        for recorded in cassette.responses:
            _response(recorded)
    except Exception as error:  # vcrpy and YAML raise whatever they stumble over
        raise TapeError(f"{path} is no cassette of vcrpy: {error}") from error
    if not len(cassette):
        raise TapeError(f"{path} holds no exchange; one without any is not written")
    return cassette


def _read_listings(path: Path) -> list[Listing]:
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=list[Listing])
    except (OSError, EOFError, zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TapeError(f"{path} cannot be read: {error}") from error


def _response(recorded: Any) -> Answered:
    named: dict[str, Any] = recorded.get("headers") or {}
    headers = tuple((name.lower(), str(value)) for name, values in named.items() for value in _each(values))
    body: str | bytes = recorded["body"].get("string") or b""
    data = body.encode() if isinstance(body, str) else body
    response = HttpResponse(int(recorded["status"]["code"]), data, headers)
    return Answered(response, float(recorded.get("took") or 0.0), int(recorded.get("ts") or 0))


def _each(values: Any) -> Sequence[Any]:
    return cast("list[object]", values) if isinstance(values, list) else (values,)


def _asked(base: str, request: HttpRequest) -> str:
    """Name a request without what only its signature needs."""
    pairs = [f"{name}={value}" for name, value in parse_qsl(request.query) if name.lower() not in IGNORED]
    return f"{request.method} {base}{request.path}" + (f"?{'&'.join(pairs)}" if pairs else "")


def _differ(what: str, recorded: Any, asked: Any) -> None:
    if recorded == asked:
        return
    if not isinstance(recorded, dict) or not isinstance(asked, dict):
        raise AssertionError(f"{what}: {recorded!r} → {asked!r}")
    old, new = cast("dict[str, Any]", recorded), cast("dict[str, Any]", asked)
    lines = [
        f"{what} {name}: {_value(old, name)} → {_value(new, name)}"
        for name in dict.fromkeys((*old, *new))
        if old.get(name, ...) != new.get(name, ...)
    ]
    raise AssertionError("\n".join(lines[:DIFFERENCES_SHOWN]))


def _value(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        return "not there"
    values = _each(fields[name])
    return repr(values[0]) if len(values) == 1 else repr(values)
