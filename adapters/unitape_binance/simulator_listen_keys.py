"""Listen keys of the simulated USDⓈ-M market: an hour long each, extended on demand, silent when they are over.

Source: User Data Streams of the public documentation of USDⓈ-M futures, October 2026.
"""

from __future__ import annotations

import hashlib
from typing import Final

from unitape.spi import HttpRequest
from unitape.spi.simulated_accounts import SimUser
from unitape.spi.simulation import PRIVATE_STREAM, Exchange, FaultSource
from unitape_binance.simulator_account_streams import AccountStreams, Payload
from unitape_binance.simulator_private import merged
from unitape_binance.simulator_rejects import refusal
from unitape_binance.simulator_rest import Json, Parameters
from unitape_binance.simulator_rules import MILLIS, SECOND, Refusal, encode

__all__ = ["LISTEN_KEY_PATH", "ListenKeys"]

LISTEN_KEY_PATH: Final = "/fapi/v1/listenKey"
_LIFE: Final = 3_600 * SECOND


class ListenKeys:
    """One key per account. Whoever connects with another one is let in and told nothing."""

    def __init__(self, exchange: Exchange, streams: AccountStreams, faults: FaultSource) -> None:
        self._exchange = exchange
        self._streams = streams
        self._faults = faults
        self._made = 0
        self._now = 0
        self._keys: dict[str, tuple[str, int]] = {}
        """By user: the key, and when it ends."""

    def serve(self, request: HttpRequest) -> Json:
        """Answer a request about the key of whoever sends it; raises ``Refusal``."""
        parameters = Parameters(merged(request))
        if not parameters.key:
            raise Refusal(-2014, "API-key format invalid.", 401)
        user = self._exchange.accounts.by_key(parameters.key)
        if user is None:
            raise refusal("not_permitted", linear=True)
        return self.manage(request.method, user)

    def manage(self, method: str, user: SimUser) -> Json:
        """Make or extend (POST), extend (PUT) or end (DELETE) a user's key; raises ``Refusal``."""
        key, _ = self._keys.get(user.name, ("", 0))
        if method == "POST":
            if not key:
                self._made += 1
                key = hashlib.sha256(f"{self._exchange.seed}/{user.name}/{self._made}".encode()).hexdigest()
        elif not key:
            raise Refusal(-1125, "This listenKey does not exist.")
        if method == "DELETE":
            self._silence(key)
            del self._keys[user.name]
            return {}
        self._keys[user.name] = (key, self._now + _LIFE)
        return {"listenKey": key}

    def listen(self, conn: int, key: str, *, combined: bool) -> None:
        """Let a connection listen by a key."""
        user = next((name for name, (own, _) in self._keys.items() if own == key), None)
        if user is None:
            return
        head = b'{"stream":' + encode(key) + b',"data":'

        def wrap(raw: bytes) -> bytes:
            return head + raw + b"}" if combined else raw

        self._streams.join(user, conn, key, MILLIS, wrap)

    def tick(self, now: int) -> None:
        """End the keys whose hour has passed, or that a fault ends."""
        self._now = now
        ended = [user for user, (_, until) in self._keys.items() if until <= now]
        for _, name in self._streams.listeners():
            owner = next((user for user, (key, _) in self._keys.items() if key == name), None)
            if owner is not None and owner not in ended and self._struck():
                ended.append(owner)
        for user in ended:
            key, _ = self._keys.pop(user)
            for conn, name in self._streams.listeners():
                if name == key:
                    self._streams.say(conn, key, self._expired(key))
            self._silence(key)

    def _struck(self) -> bool:
        return self._faults.take("listen_key_expired", PRIVATE_STREAM) is not None

    def _expired(self, key: str) -> Payload:
        stamp = self._exchange.now
        return lambda unit: {"e": "listenKeyExpired", "E": stamp // unit, "listenKey": key}

    def _silence(self, key: str) -> None:
        """Tell nobody anything any more; their connections stay."""
        for conn, name in self._streams.listeners():
            if name == key:
                self._streams.leave(conn, name)
