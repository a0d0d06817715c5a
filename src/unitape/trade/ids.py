"""Client ids: made before a request, so that an order's fate can be asked for whatever happens to the answer."""

from __future__ import annotations

import random
import re
from typing import Final

from unitape.clock import Clock
from unitape.errors import ConfigError
from unitape.spi import ClientIdRule

__all__ = ["ClientIds"]

DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
RANDOM_DIGITS: Final = 8
FEWEST_RANDOM_DIGITS: Final = 4
MICROSECOND: Final = 1_000


class ClientIds:
    """Makes ids such as ``ut-hq2x7k3m9ps-4f8k2m1q``: a prefix, the time, and chance.

    The middle is the wall clock in microseconds, and grows with every id of this object even when the clock does not;
    the end keeps processes apart that place at the same moment.
    """

    def __init__(self, rule: ClientIdRule, rng: random.Random, clock: Clock, prefix: str = "ut") -> None:
        """Prepare for a market's rule.

        Raises:
            ConfigError: the rule or the prefix leaves no room for a unique id.
        """
        self._rule = rule
        self._pattern = re.compile(rule.pattern)
        self._rng = rng
        self._clock = clock
        self._last = 0
        stamp = len(_base36(clock.wall() // MICROSECOND))
        for head, joint in ((f"{prefix}-", "-"), (prefix, ""), ("", "")):
            room = rule.max_length - len(head) - stamp - len(joint)
            sample = head + (DIGITS * 2)[:stamp] + joint + DIGITS[-FEWEST_RANDOM_DIGITS:]
            if room >= FEWEST_RANDOM_DIGITS and self._pattern.fullmatch(sample):
                self._head, self._joint, self._random = head, joint, min(room, RANDOM_DIGITS)
                return
        raise ConfigError(
            f"no client id beginning with {prefix!r} fits {rule.pattern} and {rule.max_length} characters"
        )

    def new(self) -> str:
        """Return an id that was never returned before."""
        self._last = max(self._last + 1, self._clock.wall() // MICROSECOND)
        chance = "".join(self._rng.choice(DIGITS) for _ in range(self._random))
        return f"{self._head}{_base36(self._last)}{self._joint}{chance}"

    def check(self, client_id: str) -> str:
        """Return an id that somebody chose, if the market takes such ids.

        Raises:
            ConfigError: it does not.
        """
        rule = self._rule
        if not 0 < len(client_id) <= rule.max_length:
            raise ConfigError(f"a client id has 1 to {rule.max_length} characters here, {client_id!r} has not")
        if not self._pattern.fullmatch(client_id):
            raise ConfigError(f"client id {client_id!r} must match {rule.pattern}")
        return client_id


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = DIGITS[rest] + digits
    return digits or "0"
