"""The installed venues that can be simulated."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from unitape.registry import load_venue, venue_names
from unitape.testing import conformance
from unitape.testing.conformance import Rig

VENUES = [venue for venue in map(load_venue, venue_names()) if venue.simulator is not None]


def rig(venue: str, market: str, **settings: object) -> AbstractAsyncContextManager[Rig]:
    """The kit's rig, with the venue by name."""
    return conformance.rig(load_venue(venue), market, **settings)  # type: ignore[arg-type]
