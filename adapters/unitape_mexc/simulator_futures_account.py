"""Who asks on simulated futures, and the account: assets, positions, leverage, position mode.

As "Account and trading endpoints" of MEXC Contract V1 (2026-11) describe them. One lot is one contract. Margin mode
and leverage come with each order, so they are set when an order that opens a position arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import AccountRules, SimBalance, SimPosition, SimReject, SimUser
from unitape.spi.simulation import Exchange, FaceOptions, SimInstrument, fixed
from unitape_mexc.simulator_base import MILLIS, Refusal
from unitape_mexc.simulator_private import FUTURES_WORDS, Endpoint, PrivateFace, Window, answer, header, is_signed
from unitape_schemas import MarginMode, PositionSide

__all__ = ["Fields", "FuturesAccountFace", "done", "e8", "envelope", "price"]

T = TypeVar("T")

_WINDOW: Final = 10_000
_MODES: Final = {"hedge": 1, "one_way": 2}
_MARGINS: Final[Mapping[int, MarginMode]] = {1: "isolated", 2: "cross"}
_SIDES: Final[Mapping[int, PositionSide]] = {1: "long", 2: "short"}
_RULES: Final = AccountRules(
    # The schedule of orders by API, not what contract/detail shows.
    maker_e8=60_000,
    taker_e8=80_000,
    max_lots=1_000_000,
    min_notional_e8=0,
    max_open=200,
    max_waiting=50,
    client_ids="accepted",
    post_only="expired",
    reduce_only_excess="rejected",
    closing_freezes=True,
    triggered="new_order",
    immediate_trigger="executed",
    max_leverage=200,
    default_margin_mode="isolated",
)


class Fields:
    """The fields of a JSON object, each with its spelling kept."""

    def __init__(self, rows: Mapping[str, Raw]) -> None:
        self._rows = rows

    def __contains__(self, name: str) -> bool:
        return self.text(name) is not None

    def text(self, name: str) -> str | None:
        """Return a value as text, without the quotes of a string; None where there is none."""
        row = self._rows.get(name)
        if row is None or bytes(row) == b"null":
            return None
        raw = bytes(row)
        return msgspec.json.decode(raw, type=str) if raw[:1] == b'"' else raw.decode()

    def number(self, name: str) -> Decimal | None:
        """Return a number; -1 for what is none."""
        text = self.text(name)
        if text is None:
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            return Decimal(-1)
        return value if value.is_finite() and "e" not in text.lower() else Decimal(-1)

    def whole(self, name: str) -> int:
        """Return a whole number; 0 for none."""
        text = self.text(name) or ""
        return int(text) if text.isdigit() else 0


class FuturesAccountFace(PrivateFace):
    """Keys, and the endpoints about the account."""

    base = "/api/v1/private/"
    words = FUTURES_WORDS
    join = "_"

    def __init__(self, exchange: Exchange, options: FaceOptions) -> None:
        super().__init__(exchange, options)
        self._orders = Window(4, 2.0)
        exchange.accounts.configure(_RULES)
        self.endpoints = {
            ("GET", "account/assets"): Endpoint(self._assets),
            ("GET", "position/open_positions"): Endpoint(self._positions),
            ("GET", "position/position_mode"): Endpoint(self._mode),
            ("POST", "position/change_position_mode"): Endpoint(self._change_mode, trades=True),
            ("POST", "position/change_leverage"): Endpoint(self._change_leverage, trades=True),
        }

    def refusal(self, code: int, text: str, status: int = 200) -> Refusal:
        """Refusals come with status 200."""
        return Refusal(answer({"success": False, "code": code, "message": text}, status))

    def too_many_orders(self) -> Refusal:
        """Code 510."""
        return self.refusal(510, "Requests are too frequent")

    def may_order(self, user: SimUser, now: int, count: int) -> bool:
        """Four orders in two seconds."""
        return self._orders.take(user.name, now, count)

    def user(self, request: HttpRequest) -> SimUser:
        """Return whose key it is, if time and signature are right."""
        body = request.body.decode("utf-8", "replace")
        by_name = sorted((part for part in request.query.split("&") if part), key=lambda part: part.partition("=")[0])
        signed = body if request.method == "POST" else "&".join(by_name)
        return self.known(
            header(request, "ApiKey"), header(request, "Request-Time"), signed, header(request, "Signature")
        )

    def known(self, key: str, stamp: str, text: str, signature: str) -> SimUser:
        """Return whose key it is; ``text`` is what was signed behind key and time. Raises Refusal."""
        user = self._accounts.by_key(key)
        if user is None:
            raise self.refusal(401, "Unauthorized")
        if not stamp.isdigit() or abs(self.millis - int(stamp)) > _WINDOW:
            raise self.refusal(513, "Invalid request: the request time differs from the server's by more than 10 s")
        if not is_signed(user.secret, user.key + stamp + text, signature):
            raise self.refusal(602, "Signature verification failed!")
        return user

    # What is asked for -----------------------------------------------------------------------------------------------

    def fields(self, request: HttpRequest) -> Fields:
        """Return the JSON object of a body."""
        return Fields(self._decoded(request, dict[str, Raw]))

    def rows(self, request: HttpRequest) -> list[Fields]:
        """Return the JSON objects of a body's array, at most 50."""
        rows = self._decoded(request, list[dict[str, Raw]])
        if not 1 <= len(rows) <= 50:
            raise self.refusal(2014, "Too many orders in a batch")
        return [Fields(row) for row in rows]

    def numbers(self, request: HttpRequest) -> list[int]:
        """Return the numbers of a body's array, at most 50."""
        rows = self._decoded(request, list[int])
        if not 1 <= len(rows) <= 50:
            raise self.refusal(2013, "Too many orders to cancel")
        return rows

    def _decoded(self, request: HttpRequest, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(request.body, type=kind, strict=False)
        except (msgspec.MsgspecError, UnicodeError):
            raise self.refusal(601, "Data decoding error") from None

    def wanted(self, parameters: Mapping[str, str]) -> str | None:
        """Return the unified symbol where one is asked for."""
        raw = parameters.get("symbol")
        return None if raw is None else self.item(raw).symbol

    def position_mode(self, user: SimUser) -> int:
        """Return 1 for hedge mode, 2 for one-way."""
        return _MODES[self._accounts.position_mode(user.name)]

    def adopt(self, user: SimUser, symbol: str, fields: Fields) -> None:
        """Take margin mode and leverage of an order. Raises Refusal."""
        mode = _MARGINS.get(fields.whole("openType"))
        if mode is None:
            raise self.refusal(2002, "Wrong open type")
        refused = None
        if self._accounts.settings(user.name, symbol).margin_mode != mode:
            refused = self._accounts.set_margin_mode(user.name, symbol, mode)
        if refused is not None:
            raise self.refusal(2027, "Cross and isolated margin in the same direction")
        if "leverage" in fields:
            self._leverage(user, symbol, fields.whole("leverage"), None)
        elif mode == "isolated":
            raise self.refusal(2006, "Leverage error")

    def _leverage(self, user: SimUser, symbol: str, leverage: int, side: PositionSide | None) -> None:
        refused = self._accounts.set_leverage(user.name, symbol, leverage, side)
        if isinstance(refused, SimReject) and refused.reason != "unchanged":
            raise self.rejected(refused.reason)

    # The account -----------------------------------------------------------------------------------------------------

    def _assets(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        return envelope([_asset(row) for row in self._accounts.balances(user.name)])

    def _positions(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        found = self._accounts.positions(user.name, self.wanted(parameters))
        return envelope([self.position_row(row) for row in found])

    def _mode(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        return envelope(self.position_mode(user))

    def _change_mode(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        code = self.fields(request).whole("positionMode")
        if code not in (1, 2):
            raise self.rejected("bad_request")
        refused = self._accounts.set_position_mode(user.name, "hedge" if code == 1 else "one_way")
        if refused is not None and refused.reason != "unchanged":
            raise self.rejected(refused.reason)
        return done()

    def _change_leverage(self, user: SimUser, request: HttpRequest, parameters: Mapping[str, str]) -> object:
        fields = self.fields(request)
        item = self.item(fields.text("symbol") or "")
        side = _SIDES.get(fields.whole("positionType"))
        if side is None or fields.whole("openType") not in _MARGINS:
            raise self.rejected("bad_request")
        hedge = self.position_mode(user) == 1
        self._leverage(user, item.symbol, fields.whole("leverage"), side if hedge else None)
        return done()

    def position_row(self, row: SimPosition) -> dict[str, object]:
        """Return a position as the venue writes it."""
        return {
            "positionId": row.id,
            "symbol": self.raw(row.symbol),
            "positionType": 1 if row.side == "long" else 2,
            "openType": 1 if row.margin_mode == "isolated" else 2,
            "state": 1 if row.size else 3,
            "holdVol": row.size,
            "frozenVol": 0,
            "closeVol": 0,
            "holdAvgPrice": e8(row.entry_e8),
            "openAvgPrice": e8(row.entry_e8),
            "closeAvgPrice": 0,
            "liquidatePrice": e8(row.liquidation_e8 or 0),
            "oim": e8(row.margin_e8),
            "im": e8(row.margin_e8),
            "holdFee": 0,
            "realised": e8(row.realized_e8),
            "leverage": row.leverage,
            "createTime": row.ts_opened // MILLIS,
            "updateTime": row.ts_updated // MILLIS,
            "autoAddIm": False,
            "version": 1,
        }


def _asset(row: SimBalance) -> dict[str, object]:
    return {
        "currency": row.currency,
        "positionMargin": e8(row.margin_e8),
        "availableBalance": e8(row.free_e8),
        "cashBalance": e8(row.total_e8 - row.locked_e8 - row.margin_e8),
        "frozenBalance": e8(row.locked_e8),
        "equity": e8(row.equity_e8),
        "unrealized": e8(row.unrealized_e8),
        "bonus": 0,
        "availableOpen": e8(row.free_e8),
    }


def e8(value: int) -> Raw:
    """Return a number of units of 1e-8 as it stands in JSON."""
    return Raw(fixed(value, 8).encode())


def envelope(data: object) -> object:
    """Return a success that holds something."""
    return {"success": True, "code": 0, "data": data}


def done() -> object:
    """Return a success that holds nothing."""
    return {"success": True, "code": 0}


def price(item: SimInstrument, ticks: int) -> Raw:
    """Return a price as it stands in JSON."""
    return Raw(item.price_text(ticks).encode())
