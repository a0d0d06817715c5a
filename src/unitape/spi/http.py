"""HTTP as data: a request, an answer, and a query that knows how to read its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from msgspec import Struct

__all__ = ["HttpMethod", "HttpRequest", "HttpResponse", "Query", "encode_query"]

T_co = TypeVar("T_co", covariant=True)

HttpMethod = Literal["GET", "POST", "PUT", "DELETE"]


class HttpRequest(Struct, frozen=True):
    """One request, complete but for host and signature.

    ``query`` is percent-encoded already and is sent exactly so: signatures cover these bytes.
    ``weight`` is what it costs of the named rate ``budget`` (see ``Limits.budgets``).
    """

    method: HttpMethod
    path: str
    query: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    weight: int = 1
    budget: str = "weight"
    auth: Literal["none", "key", "signed"] = "none"
    """Whether the engine must add the key, or key, time and signature, before it is sent."""
    write: bool = False
    """True when it changes something: it is never repeated blindly, and a lost answer leaves its outcome unknown."""
    also: tuple[tuple[str, int], ...] = ()
    """Further budgets that it draws on, as (name, weight): order counts beside the weight, for example."""

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __repr__(self) -> str:
        """Show a private request without what a key signs or proves."""
        if self.auth == "none":
            return super().__repr__()
        sizes = f"query of {len(self.query)} characters, body of {len(self.body)} bytes"
        return f"HttpRequest({self.method} {self.path}, {sizes}, auth={self.auth!r}, write={self.write})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show in rich tracebacks no more than ``repr`` shows."""
        if self.auth == "none":
            return super().__rich_repr__()
        return [("method", self.method), ("path", self.path), ("auth", self.auth), ("write", self.write)]


class HttpResponse(Struct, frozen=True):
    """One answer. Header names are lower case."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """Return the first header of this name, any case, or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class Query(Generic[T_co]):
    """A request and the pure function that reads its answer.

    ``read(response, ts_recv)`` returns the value, or raises ``VenueError`` for a refusal and ``WireError`` for a body
    it cannot understand.

    Where the venue gives a list in pages, ``more(rows)`` looks at what ``read`` returned and returns the query for
    the rows that follow, or None if there are none. The engine asks until then and joins the lists.
    """

    __slots__ = ("more", "name", "read", "request")

    def __init__(
        self,
        name: str,
        request: HttpRequest,
        read: Callable[[HttpResponse, int], T_co],
        more: Callable[[Any], Query[T_co] | None] | None = None,
    ) -> None:
        self.name = name
        self.request = request
        self.read = read
        self.more = more

    def __repr__(self) -> str:
        return f"Query({self.name!r}, {self.request.method} {self.request.path})"


def encode_query(parameters: Mapping[str, str | int | None]) -> str:
    """Percent-encode parameters in the order given, upper-case hex, leaving out those that are None."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items() if value is not None)
