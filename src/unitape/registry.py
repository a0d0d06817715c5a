"""Finds venues: every entry point of the group ``unitape.adapters`` names a ``Venue``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from unitape.errors import ConfigError
from unitape.spi import Venue

if TYPE_CHECKING:
    from unitape.adapter import VenueAdapter

__all__ = ["GROUP", "load_adapter", "load_venue", "venue_names"]

GROUP = "unitape.adapters"


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def venue_names() -> list[str]:
    """Return the names of the installed venues, sorted. Loads none of them."""
    return sorted(_entries())


@cache
def load_venue(name: str) -> Venue:
    """Return the installed venue of this name.

    Raises:
        ConfigError: no such venue is installed, or what its entry point names is not a ``Venue``.
    """
    entry = _entries().get(name.lower())
    if entry is None:
        known = ", ".join(venue_names()) or "none"
        raise ConfigError(f"no venue {name!r} is installed; installed: {known}")
    try:
        found: object = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the venue {name!r} cannot be loaded from {entry.value}: {error}") from error
    if not isinstance(found, Venue):
        raise ConfigError(f"the entry point {name!r} names {entry.value}, which is not a unitape.spi.Venue")
    return found


def load_adapter(name: str, **settings: Any) -> VenueAdapter:
    """Return a live adapter of the installed venue of this name; the settings are those of ``VenueAdapter``.

    Raises:
        ConfigError: no such venue is installed.
    """
    from unitape.adapter import VenueAdapter

    return VenueAdapter(load_venue(name), **settings)
