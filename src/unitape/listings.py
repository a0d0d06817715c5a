"""What changed in a market's list of instruments: listings, delistings, renames, halts and new trading rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct, structs

from unitape_schemas import Instrument

__all__ = ["ChangeKind", "InstrumentChange", "compare", "to_learn"]

ChangeKind: TypeAlias = Literal["added", "removed", "renamed", "status", "rules"]

_NAMES: Final = frozenset({"symbol", "base", "quote", "settle"})
_NOT_COMPARED: Final = frozenset({"ts"})


class InstrumentChange(Struct, frozen=True):
    """One instrument that is not what it was. An instrument is the same while the venue spells it the same."""

    kind: ChangeKind
    """``added``; ``removed``: the venue no longer lists it; ``renamed``: the same raw symbol, another unified one;
    ``status``; ``rules``: anything else, for example its tick. The first of these that applies."""
    before: Instrument | None
    """None when it was added."""
    after: Instrument | None
    """None when it was removed."""
    fields: tuple[str, ...] = ()
    """Every field that differs, in the contract's order; empty for ``added`` and ``removed``."""

    @property
    def instrument(self) -> Instrument:
        """The instrument as it is now; as it was, when it was removed."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def text(self) -> str:
        """What happened, for a person: ``toy spot BTC/USDT: status trading -> halted``."""
        one = self.instrument
        where = f"{one.venue} {one.market} {one.symbol}"
        if self.before is None or self.after is None:
            return f"{where}: {self.kind}"
        changed = ", ".join(
            f"{name} {getattr(self.before, name)} -> {getattr(self.after, name)}" for name in self.fields
        )
        return f"{where}: {changed}"


def compare(known: Iterable[Instrument], listed: Iterable[Instrument]) -> list[InstrumentChange]:
    """Return what differs between what was known and what is listed now: known ones first, in their order.

    A known instrument that is closed already and is not listed has not changed.
    """
    before = {instrument.raw_symbol: instrument for instrument in known}
    after = {instrument.raw_symbol: instrument for instrument in listed}
    changes: list[InstrumentChange] = []
    for raw, old in before.items():
        new = after.get(raw)
        if new is None:
            if old.status != "closed":
                changes.append(InstrumentChange("removed", old, None))
            continue
        fields = tuple(
            name
            for name in Instrument.__struct_fields__
            if name not in _NOT_COMPARED and getattr(old, name) != getattr(new, name)
        )
        if fields:
            changes.append(InstrumentChange(_kind(fields), old, new, fields))
    changes += [InstrumentChange("added", None, new) for raw, new in after.items() if raw not in before]
    return changes


def to_learn(changes: Sequence[InstrumentChange]) -> list[Instrument]:
    """Return what must replace the known instruments.

    One that was removed stays known and is closed: what the venue may still send of it keeps its symbol.
    """
    return [
        change.after if change.after is not None else structs.replace(change.instrument, status="closed")
        for change in changes
    ]


def _kind(fields: Sequence[str]) -> ChangeKind:
    if not _NAMES.isdisjoint(fields):
        return "renamed"
    return "status" if "status" in fields else "rules"
