"""Which events one consumer wants, compiled to one comprehension per delivery."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

from unitape.errors import ConfigError
from unitape_schemas import EVENT_TYPES, BookDelta, BookSnapshot, Event, EventHead, Status

__all__ = ["Accept", "Types", "accept", "as_types"]

Accept: TypeAlias = Callable[[Sequence[Event]], Sequence[Event]]
Types: TypeAlias = type[Event] | Collection[type[Event]]


def as_types(types: type[EventHead] | Iterable[type[EventHead]]) -> frozenset[type[Event]]:
    """Return the event classes meant by one class or several.

    Raises:
        ConfigError: one of them is no event class.
    """
    asked = frozenset((types,) if isinstance(types, type) else types)
    chosen = frozenset(kind for kind in EVENT_TYPES if kind in asked)
    if len(chosen) < len(asked):
        strange = ", ".join(sorted(str(kind) for kind in asked - chosen))
        raise ConfigError(f"not an event class of unitape_schemas: {strange}")
    return chosen


def accept(
    types: Types | None = None,
    symbols: Iterable[str] | str | None = None,
    where: Callable[[Event], bool] | None = None,
    *,
    statuses: bool = True,
    exact: bool = False,
) -> Accept | None:
    """Return what picks a consumer's events out of a delivery, or None when it wants all of them.

    ``types`` with ``BookDelta`` takes ``BookSnapshot`` too: a delta means nothing without its snapshot. A ``Status``
    of a chosen symbol, or of no single symbol, passes ``types`` and is not shown to ``where``, so that a loss cannot
    be filtered away by accident; ``statuses=False`` asks for exactly that, unless ``types`` names ``Status``.
    With ``exact`` the types are taken as they stand.
    """
    kinds = frozenset(EVENT_TYPES) if types is None else as_types(types)
    if not exact:
        if statuses:
            kinds |= {Status}
        elif types is None:
            kinds -= {Status}
        if BookDelta in kinds:
            kinds |= {BookSnapshot}
    if symbols is None:
        if where is not None:
            return _by_predicate(kinds, where)
        return None if kinds.issuperset(EVENT_TYPES) else _by_type(kinds)
    names = frozenset((symbols,) if isinstance(symbols, str) else symbols) | {""}
    return _by_symbol(kinds, names) if where is None else _by_symbol_and_predicate(kinds, names, where)


def _by_type(kinds: frozenset[type[Event]]) -> Accept:
    return lambda events: [event for event in events if type(event) in kinds]


def _by_symbol(kinds: frozenset[type[Event]], names: frozenset[str]) -> Accept:
    return lambda events: [event for event in events if type(event) in kinds and event.symbol in names]


def _by_predicate(kinds: frozenset[type[Event]], where: Callable[[Event], bool]) -> Accept:
    return lambda events: [
        event for event in events if type(event) in kinds and (type(event) is Status or where(event))
    ]


def _by_symbol_and_predicate(
    kinds: frozenset[type[Event]], names: frozenset[str], where: Callable[[Event], bool]
) -> Accept:
    picked, chosen = _by_symbol(kinds, names), _by_predicate(kinds, where)
    return lambda events: chosen(picked(events))
