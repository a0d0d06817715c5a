"""HTTP exchanges of a tape as a vcrpy cassette, and back. Needs the extra ``vcr``; nothing of it is imported before.

A cassette is YAML, or JSON where the file is named ``.json``, in the format version 1 of vcrpy, so that vcrpy plays
what we write. Reading takes plain data alone: a YAML tag that would build an object is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from unitape.errors import ConfigError, TapeError
from unitape.feed.inputs import Fetch, Response
from unitape.registry import load_venue
from unitape.spi import HttpMethod, HttpRequest, HttpResponse
from unitape.tape.redact import Redactor
from unitape.tape.rows import Row
from unitape.tape.tape import Tape

__all__ = ["Exchange", "cassette_rows", "exchanges", "read_cassette", "write_cassette"]

FORMAT_VERSION: Final = 1
# A tape keeps bodies as they were after decoding; these headers speak of the bytes on the wire.
_OF_THE_WIRE: Final = frozenset(("content-encoding", "content-length", "transfer-encoding"))


class Exchange(Struct, frozen=True):
    """One request to ``base`` (scheme and host) and its answer."""

    base: str
    request: HttpRequest
    response: HttpResponse
    ts: int = 0
    """When the answer came, nanoseconds; 0 if unknown."""
    took: float = 0.0
    """Seconds from request to answer; 0 if unknown. Players other than ours pass over it."""


def exchanges(tape: Tape, bases: Mapping[int, str] | None = None) -> Iterator[Exchange]:
    """Yield the answered HTTP requests of a tape.

    ``bases`` gives scheme and host per feed number; by default those of the recorded environment.
    """
    waiting: dict[tuple[int, int], HttpRequest] = {}
    for feed, record in tape.records():
        if isinstance(record, Fetch):
            waiting[feed, record.fetch] = record.request
        elif isinstance(record, Response):
            request = waiting.pop((feed, record.fetch), None)
            if request is not None:
                base = bases[feed] if bases is not None else _base(tape, feed)
                yield Exchange(base, request, record.response, record.ts)


def _base(tape: Tape, feed: int) -> str:
    header = tape.feeds[feed]
    endpoints = load_venue(header.venue).market(header.market).endpoints
    return endpoints.get(header.environment, endpoints["live"]).rest


def write_cassette(path: str | Path, items: Iterable[Exchange], *, redactor: Redactor | None = None) -> int:
    """Write a cassette and return how many exchanges it holds. Secrets are removed.

    Raises:
        ConfigError: YAML is asked for and the extra ``vcr`` is not installed.
    """
    path = Path(path)
    clean = redactor or Redactor()
    interactions = [_interaction(item, clean) for item in items]
    data = {"interactions": interactions, "version": FORMAT_VERSION}
    if path.suffix == ".json":
        text = msgspec.json.format(msgspec.json.encode(data)).decode()
    else:
        text = cast(str, _yaml().safe_dump(data, sort_keys=True, allow_unicode=True))
    path.write_text(text, encoding="utf-8")
    return len(interactions)


def read_cassette(path: str | Path) -> list[Exchange]:
    """Read a cassette that vcrpy or ``write_cassette`` wrote.

    Raises:
        TapeError: it is not one.
        ConfigError: it is YAML and the extra ``vcr`` is not installed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        data: Any = msgspec.json.decode(text) if path.suffix == ".json" else _load_yaml(text)
        return [_exchange(item) for item in data["interactions"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise TapeError(f"{path.name} is no cassette of vcrpy: {error}") from error


def cassette_rows(path: str | Path) -> Iterator[Row]:
    """Yield a cassette's answers as rows of a recording."""
    for number, item in enumerate(read_cassette(path), start=1):
        yield Row(
            number,
            item.response.body,
            "http",
            ts=item.ts,
            url=item.base + item.request.target,
            method=item.request.method,
            status=item.response.status,
        )


def _yaml() -> Any:
    try:
        return import_module("yaml")
    except ImportError:
        raise ConfigError("YAML cassettes need vcrpy: pip install 'unitape[vcr]'") from None


def _load_yaml(text: str) -> Any:
    yaml = _yaml()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _interaction(item: Exchange, redactor: Redactor) -> dict[str, Any]:
    request = redactor.request(item.request)
    response = redactor.response(item.response)
    uri = item.base + request.target
    took = {"took": round(item.took, 6), "ts": item.ts} if item.took else {}
    return {
        "request": {
            "method": request.method,
            "uri": uri,
            "body": _text(request.body) if request.body else None,
            "headers": _listed(request.headers),
        },
        "response": {
            "status": {"code": response.status, "message": _reason(response.status)},
            "headers": _listed(header for header in response.headers if header[0].lower() not in _OF_THE_WIRE),
            "body": {"string": _text(response.body)},
            "url": uri,
            **took,
        },
    }


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _listed(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return found


def _exchange(item: Any) -> Exchange:
    request, response = item["request"], item["response"]
    parts = urlsplit(str(request["uri"]))
    return Exchange(
        f"{parts.scheme}://{parts.netloc}",
        HttpRequest(
            cast(HttpMethod, str(request["method"])),
            parts.path,
            parts.query,
            _bytes(request.get("body")),
            _flat(request.get("headers")),
        ),
        HttpResponse(
            int(response["status"]["code"]),
            _bytes(response["body"].get("string")),
            tuple((name.lower(), value) for name, value in _flat(response.get("headers"))),
        ),
        ts=int(response.get("ts") or 0),
        took=float(response.get("took") or 0.0),
    )


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else bytes(body)


def _flat(headers: Any) -> tuple[tuple[str, str], ...]:
    if not headers:
        return ()
    named: dict[str, Any] = headers
    return tuple((name, str(value)) for name, values in named.items() for value in _each(values))


def _each(values: object) -> list[object]:
    return cast("list[object]", values) if isinstance(values, list) else [values]
