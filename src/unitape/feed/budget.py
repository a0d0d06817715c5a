"""Rate budgets of one host, shared by everybody who talks to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import anyio

from unitape.clock import Clock
from unitape.spi import Budget, HttpRequest, HttpResponse, Limits

__all__ = ["Budgets", "HostBudget", "Window"]

SHARE: Final = 0.9
"""Part of a documented limit that is used: others may share the address, and the venue's clock is not ours."""
PAUSE_STATUSES: Final = (418, 429, 503)
NANOS: Final = 1_000_000_000


class Window:
    """One limit: so much weight per so many seconds, rolling, or aligned to the venue's clock."""

    def __init__(self, clock: Clock, limit: int, seconds: float, *, aligned: bool = False) -> None:
        self._clock = clock
        self._limit = max(1, int(limit * SHARE))
        self._full = limit
        self._span = round(seconds * NANOS)
        self._aligned = aligned
        self._spent: deque[tuple[int, int]] = deque()
        self._used: int = 0
        self._start: int = 0
        self._turn = anyio.Lock()

    @property
    def used(self) -> int:
        """Weight spent in the current window."""
        self._forget()
        return self._used

    async def take(self, weight: int, *, urgent: bool = False) -> None:
        """Wait until the weight fits, first come first served, and spend it. More than the limit waits for all.

        ``urgent`` passes those who wait, and may use what the others leave free of the documented limit.
        """
        if urgent:
            await self._fits(weight, self._full)
            self.spend(weight)
            return
        async with self._turn:
            await self._fits(weight, self._limit)
            self.spend(weight)

    async def _fits(self, weight: int, limit: int) -> None:
        while (pause := self._pause(weight, limit)) > 0:  # noqa: ASYNC110 - time is all there is to wait for
            await anyio.sleep(pause / NANOS)

    def wait(self, weight: int, *, urgent: bool = False) -> float:
        """Return the seconds until the weight fits, 0 when it does and nobody waits before it."""
        if not urgent and self._turn.locked():
            return max(self._pause(weight, self._limit), 1) / NANOS
        return self._pause(weight, self._full if urgent else self._limit) / NANOS

    def spend(self, weight: int) -> None:
        """Count a weight that is certain to be used."""
        self._used += weight
        if not self._aligned:
            self._spent.append((self._clock.mono(), weight))

    def observe(self, used: int) -> None:
        """The venue says how much is used: believe it where it is more."""
        self._forget()
        more = used - self._used
        if more > 0:
            self._used = used
            if not self._aligned:
                self._spent.append((self._clock.mono(), more))

    def _forget(self) -> None:
        if self._aligned:
            start = self._clock.wall() // self._span * self._span
            if start != self._start:
                self._start = start
                self._used = 0
            return
        edge = self._clock.mono() - self._span
        while self._spent and self._spent[0][0] <= edge:
            self._used -= self._spent.popleft()[1]

    def _pause(self, weight: int, limit: int) -> int:
        """Return the nanoseconds to wait before the weight fits, 0 when it does."""
        self._forget()
        if self._used == 0 or self._used + weight <= limit:
            return 0
        if self._aligned:
            return max(1, self._start + self._span - self._clock.wall())
        return max(1, self._spent[0][0] + self._span - self._clock.mono())


class HostBudget:
    """Everything that one host counts: request weights, connection attempts, and pauses it asked for."""

    def __init__(self, clock: Clock, budgets: Iterable[Budget] = ()) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}
        self._headers: list[tuple[str, Window]] = []
        self._connects: Window | None = None
        self._paused_until = 0
        self.add(budgets)

    def add(self, budgets: Iterable[Budget]) -> None:
        """Count these, too. A name that is counted already stays as it is."""
        for budget in budgets:
            if budget.name not in self._windows:
                window = Window(self._clock, budget.limit, budget.seconds, aligned=budget.aligned)
                self._windows[budget.name] = window
                if budget.header is not None:
                    self._headers.append((budget.header, window))

    def limit_connects(self, limits: Limits) -> None:
        """Count connection attempts by these limits."""
        if self._connects is None:
            self._connects = Window(self._clock, limits.connects_per_window, limits.connect_window)

    async def connect(self) -> None:
        """Wait until one more connection attempt is allowed."""
        if self._connects is not None:
            await self._connects.take(1)

    async def take(self, request: HttpRequest, *, urgent: bool = False) -> None:
        """Wait until a request may be sent, and count it. Budgets that are not counted here cost nothing here."""
        for window, weight in self._draws(request):
            await window.take(weight, urgent=urgent)
        while (pause := self._paused_until - self._clock.mono()) > 0:  # noqa: ASYNC110 - as above
            await anyio.sleep(pause / NANOS)

    def wait(self, request: HttpRequest, *, urgent: bool = False) -> float:
        """Return the seconds that ``take`` would wait, about."""
        waits = [window.wait(weight, urgent=urgent) for window, weight in self._draws(request)]
        return max([*waits, (self._paused_until - self._clock.mono()) / NANOS, 0.0])

    def _draws(self, request: HttpRequest) -> list[tuple[Window, int]]:
        draws = ((request.budget, request.weight), *request.also)
        return [(self._windows[name], weight) for name, weight in draws if name in self._windows and weight > 0]

    def observe(self, response: HttpResponse) -> None:
        """Learn from an answer: what it says is used, and how long to stay away."""
        for header, window in self._headers:
            used = response.header(header)
            if used is not None and used.isdigit():
                window.observe(int(used))
        if response.status in PAUSE_STATUSES:
            after = response.header("retry-after")
            if after is not None and after.strip().isdigit():
                self.pause(float(after))

    def pause(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._paused_until = max(self._paused_until, self._clock.mono() + round(seconds * NANOS))

    def used(self) -> dict[str, int]:
        """Return the weight spent in the current window of each budget."""
        return {name: window.used for name, window in self._windows.items()}


class Budgets:
    """The budgets of all hosts and accounts. Share one among everything that uses the same address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hosts: dict[str, HostBudget] = {}
        self._accounts: dict[tuple[str, bytes], HostBudget] = {}

    def account(self, url: str, key: str) -> HostBudget:
        """Return the budget of one account at a URL's host. The key itself is not kept."""
        name = (urlsplit(url).netloc, sha256(key.encode()).digest())
        found = self._accounts.get(name)
        if found is None:
            found = self._accounts[name] = HostBudget(self._clock)
        return found

    def host(self, url: str) -> HostBudget:
        """Return the budget of a URL's host and port."""
        name = urlsplit(url).netloc
        found = self._hosts.get(name)
        if found is None:
            found = self._hosts[name] = HostBudget(self._clock)
        return found
