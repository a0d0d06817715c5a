"""Request weight on the simulated Binance markets: counted per minute, over HTTP and the WebSocket API together."""

from __future__ import annotations

from typing import Final

from unitape.spi import HttpResponse
from unitape.spi.simulation import Exchange
from unitape_binance.simulator_rules import MILLIS, SECOND, Refusal, Rules

__all__ = ["JSON_BODY", "Quota"]

JSON_BODY: Final = ("content-type", "application/json;charset=UTF-8")

_MINUTE: Final = 60 * SECOND
_PATIENCE: Final = 10  # refusals within a minute before a client that goes on is banned
_BAN: Final = 120 * SECOND


class Quota:
    """What everybody at one address has used."""

    def __init__(self, exchange: Exchange, rules: Rules, *, enforce: bool) -> None:
        self._exchange = exchange
        self._rules = rules
        self._enforce = enforce
        self._window: int = 0
        self._refused = 0
        self._banned_until = 0
        self.used = 0

    @property
    def limit(self) -> int:
        """Weight per minute."""
        return self._rules.weight_limit

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return what every answer over HTTP tells."""
        used = str(self.used)
        return (JSON_BODY, ("x-mbx-used-weight", used), ("x-mbx-used-weight-1m", used))

    def check_ban(self) -> None:
        """Refuse whoever is banned."""
        now = self._exchange.now
        if now < self._banned_until:
            text = f"Way too many requests; IP banned until {self._banned_until // MILLIS}. Please use the websocket."
            raise Refusal(-1003, text, 418, wait=(self._banned_until - now) // SECOND + 1)

    def spend(self, weight: int) -> None:
        """Count weight; refuse what goes beyond the minute's limit."""
        now = self._exchange.now
        window: int = now // _MINUTE
        if window != self._window:
            self._window, self.used, self._refused = window, 0, 0
        self.used += weight
        if self.used <= self.limit or not self._enforce:
            return
        self._refused += 1
        if self._refused > _PATIENCE:
            self._banned_until = now + _BAN
        text = f"Too much request weight used; current limit is {self.limit} request weight per 1 MINUTE."
        raise Refusal(-1003, text, 429, wait=(_MINUTE - now % _MINUTE) // SECOND + 1)

    def answer(self, refusal: Refusal) -> HttpResponse:
        """Return a refusal as HTTP tells it."""
        later = () if refusal.wait is None else (("retry-after", str(refusal.wait)),)
        return refusal.response((*self.headers(), *later))
