"""What one connection asks of the venue: requests, answers, and two counts that must not run over.

- The sixth refused request closes a connection (code 1007), so no more requests are under way than refusals are
  left. Of a refused request that named several streams the venue says no more than one culprit, if that: the culprit
  is refused, the others are asked again, one by one where no culprit is named. A refused stream is never asked again.
- 240 operations an hour. The pages do not say whether a request or a stream is one; streams are counted.

When either is used up the connection has to be replaced: ``spent`` says why.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec import json as msgspec_json

from unitape.spi import SECOND, Confirmed, Control, Outgoing, Refused
from unitape_schemas import Subscription
from unitape_weex.limits import OPERATIONS_PER_HOUR, REFUSALS_PER_CONNECTION
from unitape_weex.readers import shown

__all__ = ["Asking", "Wish"]

_HOUR: Final = 3600 * SECOND
_UNANSWERED: Final = 8 * SECOND
"""After this a request no longer holds others back: the venue lost it, or will refuse nothing more by it."""

_CULPRIT: Final = re.compile(r"invalid (symbol|event|depth level) : (\S+)")


class Wish(Struct, frozen=True):
    """A native stream and the subscriptions that want it."""

    native: str
    subscriptions: tuple[Subscription, ...]


class _Request(Struct):
    wishes: tuple[Wish, ...]
    since: int
    holds: bool = True


class Asking:
    """Numbers requests, keeps them within the venue's limits, and reads the answers."""

    def __init__(self, outbox: list[Outgoing], params: int) -> None:
        self.spent = ""
        self._outbox = outbox
        self._params = params
        self._next = 1
        self._waiting: deque[tuple[Wish, ...]] = deque()
        self._asked: dict[str, _Request] = {}
        self._refusals = 0
        self._operations: deque[int] = deque()
        self._now: int | None = None

    def subscribe(self, wishes: Sequence[Wish]) -> None:
        """Ask for these, as soon as the limits let it."""
        step = self._params
        self._waiting.extend(tuple(wishes[start : start + step]) for start in range(0, len(wishes), step))
        self._proceed()

    def unsubscribe(self, natives: Sequence[str]) -> None:
        """Ask to stop these. Where the hour's operations are used up they go on and are ignored."""
        gone = set(natives)
        self._waiting = deque(
            kept for batch in self._waiting if (kept := tuple(wish for wish in batch if wish.native not in gone))
        )
        for start in range(0, len(natives), self._params):
            part = natives[start : start + self._params]
            if self._take(len(part)):
                self._send("UNSUBSCRIBE", part)

    def pong(self) -> None:
        """Answer a ping."""
        self._outbox.append(f'{{"method":"PONG","id":{self._number()}}}')

    def tick(self, now: int) -> None:
        """Forget what is over: operations older than an hour, and requests that nobody answers.

        A request may still be answered late, so it is kept for the hour that its operations count, but no longer:
        connections live for months.
        """
        if self._now is None:
            self._operations = deque(now for _ in self._operations)
            for request in self._asked.values():
                request.since = now
        self._now = now
        while self._operations and self._operations[0] <= now - _HOUR:
            self._operations.popleft()
        for number, request in list(self._asked.items()):
            waited = now - request.since
            if waited > _HOUR:
                del self._asked[number]
            elif waited > _UNANSWERED:
                request.holds = False
        self._proceed()

    def answer(self, result: bool, number: int | str | None, text: str, raw: str) -> Sequence[Control]:
        """Read the answer to one request."""
        request = self._asked.pop(str(number), None) if number is not None else None
        if result:
            if request is None:
                return ()
            self._proceed()
            accepted = tuple(s for wish in request.wishes for s in wish.subscriptions)
            return (Confirmed(accepted, raw=raw),) if accepted else ()
        self._refusals += 1
        words = shown(text) or "refused without a reason"
        if request is None:
            outputs: Sequence[Control] = (Refused(None, words, raw=raw),)
        elif not request.wishes:
            outputs = ()
        else:
            outputs = self._sort_out(request.wishes, words, raw)
        self._proceed()
        return outputs

    def _sort_out(self, wishes: tuple[Wish, ...], text: str, raw: str) -> Sequence[Control]:
        guilty = wishes if len(wishes) == 1 else tuple(wish for wish in wishes if _names(text, wish.native))
        rest = tuple(wish for wish in wishes if wish not in guilty)
        if guilty and rest:
            self._waiting.appendleft(rest)
        else:
            self._waiting.extendleft((wish,) for wish in reversed(rest))
        if not guilty:
            return ()
        refused = tuple(s for wish in guilty for s in wish.subscriptions)
        return (Refused(refused, text, raw=raw),)

    def _proceed(self) -> None:
        while self._waiting:
            left = REFUSALS_PER_CONNECTION - self._refusals
            if left <= 0:
                self.spent = f"{self._refusals} requests were refused on this connection; one more would close it"
                return
            if sum(request.holds for request in self._asked.values()) >= left:
                return
            batch = self._waiting[0]
            if not self._take(len(batch)):
                return
            self._waiting.popleft()
            number = self._send("SUBSCRIBE", [wish.native for wish in batch])
            self._asked[number].wishes = batch

    def _take(self, count: int) -> bool:
        if len(self._operations) + count > OPERATIONS_PER_HOUR:
            self.spent = f"{OPERATIONS_PER_HOUR} subscribe operations an hour are used up on this connection"
            return False
        self._operations.extend((self._now or 0,) * count)
        return True

    def _send(self, method: str, params: Sequence[str]) -> str:
        number = self._number()
        message = {"method": method, "params": params, "id": number}
        self._outbox.append(msgspec_json.encode(message).decode())
        self._asked[str(number)] = _Request((), self._now or 0)
        return str(number)

    def _number(self) -> int:
        number = self._next
        self._next += 1
        return number


def _names(text: str, native: str) -> bool:
    found = _CULPRIT.search(text)
    if found is None:
        return False
    raw, _, stream = native.partition("@")
    what, value = found.groups()
    if what == "symbol":
        return raw == value
    return stream == (f"depth{value}" if what == "depth level" else value)
