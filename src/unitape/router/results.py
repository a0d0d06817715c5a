"""What became of a subscribe call, over all venues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from unitape.adapter import Rejection, SubscribeResult
from unitape.errors import ConfigError, UnitapeError, VenueError
from unitape_schemas import Subscription

__all__ = ["SubscribeResults"]


class SubscribeResults(Mapping[str, SubscribeResult]):
    """Per venue, what was confirmed and what was rejected. Venues that were not asked are missing."""

    def __init__(self, results: Sequence[SubscribeResult], unserved: Sequence[Subscription] = ()) -> None:
        self._results = {result.venue: result for result in results}
        self.unserved = tuple(unserved)
        """Subscriptions of a form that no venue here has; nobody was asked."""

    def __getitem__(self, venue: str) -> SubscribeResult:
        return self._results[venue]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return f"SubscribeResults({list(self._results.values())!r}, unserved={self.unserved!r})"

    @property
    def confirmed(self) -> list[tuple[str, Subscription]]:
        """Venue and subscription of everything that was confirmed."""
        return [(result.venue, subscription) for result in self._results.values() for subscription in result.confirmed]

    @property
    def rejected(self) -> list[tuple[str, Rejection]]:
        """Venue and rejection of everything that was rejected."""
        return [(result.venue, rejection) for result in self._results.values() for rejection in result.rejected]

    def error(self, *, asked: bool) -> UnitapeError | None:
        """Return what to raise when nothing was confirmed; ``asked``: some venue was asked over the network."""
        if self.confirmed:
            return None
        # What fails for one reason is said once: a network that is down refuses every subscription alike.
        alike: dict[tuple[str, str], list[str]] = {}
        for venue, rejection in self.rejected:
            alike.setdefault((venue, rejection.text), []).append(rejection.subscription.key)
        words = [f"{venue}: {', '.join(keys)}: {text}" for (venue, text), keys in alike.items()]
        if self.unserved:
            words.append(f"no venue here has {', '.join(subscription.key for subscription in self.unserved)}")
        text = "nothing was subscribed: " + "; ".join(words)
        if not asked:
            return ConfigError(text)
        codes = {rejection.code for _, rejection in self.rejected}
        names = set(self._results)
        return VenueError(
            text,
            venue=names.pop() if len(names) == 1 else "",
            code=codes.pop() if len(codes) == 1 else None,
        )
