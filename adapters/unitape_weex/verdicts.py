"""What an answer says about each order that was placed or canceled, where the answer as a whole is a success.

Contracts say ``success`` with code and text, spot says a ``status`` or an error. A row belongs to the order whose id
or client id it repeats; where it repeats neither, to the one in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec import json as msgspec_json

from unitape.errors import OrderNotFound, OutcomeUnknown, UnitapeError, WireError
from unitape.spi import MILLISECOND, OrderRef, WireMillis
from unitape_weex.errors import read_row_error
from unitape_weex.wire import VENUE
from unitape_weex.words import CANCELED

__all__ = [
    "Verdict",
    "canceled_all",
    "cancels",
    "matched",
    "placed",
    "read_verdict",
    "read_verdicts",
    "unless_canceled",
]


class Verdict(Struct, gc=False, rename="camel"):
    """What became of one order. Ids may be numbers or strings, and empty or 0 when there is none."""

    order_id: int | str | None = None
    client_order_id: str | None = None
    orig_client_order_id: str | None = None
    success: bool | None = None
    status: str | None = None
    error_code: int | str | None = None
    error_message: str | None = None
    error_msg: str | None = None
    transact_time: WireMillis = 0
    position_id: int | str | None = None

    @property
    def id(self) -> str | None:
        """The venue's order id; None if it names none."""
        text = str(self.order_id or "")
        return text if text.strip("0") else None

    @property
    def client_id(self) -> str | None:
        """The client id; None if it repeats none."""
        return self.client_order_id or self.orig_client_order_id or None

    @property
    def text(self) -> str:
        """The venue's words for what went wrong."""
        return self.error_message or self.error_msg or ""

    @property
    def code(self) -> str:
        """The venue's code for what went wrong; the words themselves where it names none."""
        code = str(self.error_code or "")
        return code if code not in ("", "0", "200") else self.text

    @property
    def failed(self) -> bool:
        """True when the order was refused."""
        return self.success is False or bool(self.code)


class _OrderList(Struct, rename="camel"):
    order_list: list[Verdict]


_one: Final = msgspec_json.Decoder(Verdict, strict=False)
_many: Final = msgspec_json.Decoder(list[Verdict] | _OrderList, strict=False)


def read_verdict(body: bytes) -> Verdict:
    """Read an answer about one order, which some endpoints put into a list of one."""
    if body.lstrip()[:1] != b"[":
        return _one.decode(body)
    rows = read_verdicts(body)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} results for one order")
    return rows[0]


def read_verdicts(body: bytes) -> list[Verdict]:
    """Read an answer about several orders: a bare list, or one under ``orderList``."""
    answer = _many.decode(body)
    return answer.order_list if isinstance(answer, _OrderList) else answer


def placed(verdict: Verdict | None, client_id: str) -> tuple[str, int] | UnitapeError:
    """Return the venue's order id and its time, 0 where it gives none, or what refused the order."""
    if verdict is None:
        return OutcomeUnknown("an answer that leaves this order out", venue=VENUE, client_id=client_id)
    if verdict.failed:
        return read_row_error(verdict.code, verdict.text or verdict.code, client_id)
    if verdict.id is None:
        nameless = OutcomeUnknown("an answer without an order id", venue=VENUE, client_id=client_id)
        # A success that lacks what it promises: the kill switch looks for this.
        nameless.__cause__ = WireError("no order id in a success", venue=VENUE)
        return nameless
    return verdict.id, verdict.transact_time * MILLISECOND


def unless_canceled(verdict: Verdict, client_id: str | None) -> UnitapeError | None:
    """Return why an order was not canceled; None when it was."""
    if verdict.failed:
        return read_row_error(verdict.code, verdict.text or verdict.code, client_id)
    status = verdict.status
    if status is not None and status.upper() not in CANCELED:
        return read_row_error(status, f"not canceled: the order is {status}", client_id)
    if verdict.success is None and status is None:
        return OutcomeUnknown("an answer that does not say whether it was canceled", venue=VENUE, client_id=client_id)
    return None


def cancels(rows: Sequence[Verdict], refs: Sequence[OrderRef]) -> list[UnitapeError | None]:
    """Return for each order why it was not canceled, or None."""
    keys = [(ref.id, ref.client_id if ref.id is None else None) for ref in refs]
    found = matched(rows, keys)
    return [
        unless_canceled(row, ref.client_id)
        if row is not None
        else OutcomeUnknown("an answer that leaves this order out", venue=VENUE, client_id=ref.client_id)
        for row, ref in zip(found, refs, strict=True)
    ]


def canceled_all(rows: Sequence[Verdict]) -> None:
    """Raise what kept an order from being canceled; one that is gone by itself is no failure."""
    failures = [error for row in rows if (error := unless_canceled(row, None)) is not None]
    grave = [error for error in failures if not isinstance(error, OrderNotFound)]
    if grave:
        raise grave[0]


def matched(rows: Sequence[Verdict], keys: Sequence[tuple[str | None, str | None]]) -> list[Verdict | None]:
    """Return for each (id, client id) the row that repeats it, else the nameless one in its place, else None."""
    by_id = _index(rows, lambda row: row.id)
    by_client = _index(rows, lambda row: row.client_id)
    found: list[Verdict | None] = []
    for place, (order_id, client_id) in enumerate(keys):
        row = by_id.get(order_id) if order_id is not None else None
        if row is None and client_id is not None:
            row = by_client.get(client_id)
        if row is None and len(rows) == len(keys) and _nameless(rows[place], order_id is not None):
            row = rows[place]
        found.append(row)
    return found


def _nameless(row: Verdict, by_id: bool) -> bool:
    return row.id is None if by_id else row.client_id is None


def _index(rows: Sequence[Verdict], key: Callable[[Verdict], str | None]) -> dict[str, Verdict]:
    return {name: row for row in rows if (name := key(row)) is not None}
