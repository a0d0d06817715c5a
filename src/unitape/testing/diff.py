"""What changed between two lists of records, field by field, in words that a person can read.

Records are JSON objects, as events are written. They are aligned by what names them (type, venue, symbol, id or
number), so that one record that came in between is one line of the report and not a change of all that follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final, TypeAlias, cast

__all__ = ["Json", "compare"]

Json: TypeAlias = Any
"""What a JSON text decodes to."""

NAMES: Final = (
    *("type", "venue", "symbol", "id", "order_id", "client_id", "seq", "epoch"),
    *("interval", "ts_open", "code", "subscription", "currency"),
)
"""Fields that tell which record it is, as against what it says."""
SHOWN: Final = 20
"""Changed records that are written out; the rest is counted."""
FIELDS_SHOWN: Final = 12
ALIGNED: Final = 20_000
"""Records of the changed part that are aligned; beyond it they are compared one by one, for time's sake."""
WIDEST: Final = 80


def compare(expected: Sequence[Json], found: Sequence[Json], *, shown: int = SHOWN) -> list[str]:
    """Return the lines of a report, the first of them its summary; nothing where both lists are equal."""
    begin = _common(expected, found)
    end = _common(expected[begin:][::-1], found[begin:][::-1])
    before, after = expected[begin : len(expected) - end], found[begin : len(found) - end]
    if not before and not after:
        return []
    entries = list(_entries(before, after, begin))
    counts = {sign: sum(entry[0].startswith(sign) for entry in entries) for sign in ("~", "-", "+")}
    words = [
        f"{count} {name}"
        for count, name in ((counts["~"], "changed"), (counts["-"], "missing"), (counts["+"], "new"))
        if count
    ]
    lines = [f"{', '.join(words)} (expected {len(expected)}, found {len(found)})"]
    for entry in entries[:shown]:
        lines += entry
    if len(entries) > shown:
        lines.append(f"… and {len(entries) - shown} more")
    return lines


def _common(one: Sequence[Json], other: Sequence[Json]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if not _same(a, b)), min(len(one), len(other))
    )


def _same(one: Json, other: Json) -> bool:
    """Compare as JSON does: 1 and true differ, and so do 1 and 1.0."""
    return type(one) is type(other) and one == other and repr(one) == repr(other)


def _entries(before: Sequence[Json], after: Sequence[Json], offset: int) -> Iterator[list[str]]:
    """Yield what happened to each record: lines that begin with ``~`` changed, ``-`` missing, ``+`` new."""
    for i, j in _pairs(before, after):
        if i is None and j is not None:
            yield [f"+ #{offset + j + 1} {_title(after[j])}: {_brief(after[j])}"]
        elif j is None and i is not None:
            yield [f"- #{offset + i + 1} {_title(before[i])}: {_brief(before[i])}"]
        elif i is not None and j is not None and not _same(before[i], after[j]):
            changes = list(_changes("", before[i], after[j]))
            lines = [f"~ #{offset + j + 1} {_title(before[i])}", *(f"    {line}" for line in changes[:FIELDS_SHOWN])]
            if len(changes) > FIELDS_SHOWN:
                lines.append(f"    … and {len(changes) - FIELDS_SHOWN} more fields")
            yield lines


def _pairs(before: Sequence[Json], after: Sequence[Json]) -> Iterator[tuple[int | None, int | None]]:
    """Yield which record corresponds to which, None where there is none, in order."""
    if len(before) + len(after) > ALIGNED:
        yield from _side_by_side(range(len(before)), range(len(after)))
        return
    matcher = SequenceMatcher(None, [_name(r) for r in before], [_name(r) for r in after], autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(range(i, i_end), range(j, j_end), strict=True)
        elif tag == "replace":
            yield from _replaced(before, after, range(i, i_end), range(j, j_end))
        else:
            yield from _side_by_side(range(i, i_end), range(j, j_end))


def _replaced(
    before: Sequence[Json], after: Sequence[Json], left: range, right: range
) -> Iterator[tuple[int | None, int | None]]:
    """Pair what has other names by its kind: the same type of the same symbol is the same record renamed."""
    matcher = SequenceMatcher(None, [_kind(before[i]) for i in left], [_kind(after[j]) for j in right], autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(left[i:i_end], right[j:j_end], strict=True)
        else:
            yield from ((place, None) for place in left[i:i_end])
            yield from ((None, place) for place in right[j:j_end])


def _side_by_side(left: range, right: range) -> Iterator[tuple[int | None, int | None]]:
    both = min(len(left), len(right))
    yield from zip(left[:both], right[:both], strict=True)
    yield from ((i, None) for i in left[both:])
    yield from ((None, j) for j in right[both:])


def _name(record: Json) -> tuple[str, ...]:
    return _values(record, NAMES)


def _kind(record: Json) -> tuple[str, ...]:
    return _values(record, ("type", "venue", "symbol"))


def _values(record: Json, names: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(record, Mapping):
        return (repr(record),) if names is NAMES else (type(record).__name__,)
    fields = cast("Mapping[str, Json]", record)
    return tuple(f"{name}={fields[name]!r}" for name in names if name in fields)


def _title(record: Json) -> str:
    """Name a record in a few words."""
    if not isinstance(record, Mapping):
        return "value"
    fields = cast("Mapping[str, Json]", record)
    head = [str(fields[name]) for name in ("type", "venue", "symbol") if fields.get(name)]
    tail = [f"{name} {fields[name]}" for name in NAMES[3:] if fields.get(name) not in (None, "")]
    return " ".join([*head, *tail]) or "record"


def _brief(record: Json) -> str:
    if not isinstance(record, Mapping):
        return _cut(record)
    fields = cast("Mapping[str, Json]", record)
    return ", ".join(
        f"{name} {_cut(value, 40)}" for name, value in list(fields.items())[:FIELDS_SHOWN] if name not in NAMES
    )


def _changes(path: str, before: Json, after: Json) -> Iterator[str]:
    """Yield one line for each innermost value that differs."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        old, new = cast("Mapping[str, Json]", before), cast("Mapping[str, Json]", after)
        for name in dict.fromkeys((*old, *new)):
            place = f"{path}.{name}" if path else name
            if name not in new:
                yield f"{place}: {_cut(old[name])} → not there"
            elif name not in old:
                yield f"{place}: not there → {_cut(new[name])}"
            else:
                yield from _changes(place, old[name], new[name])
    elif (old_rows := _table(before)) is not None and (new_rows := _table(after)) is not None:
        for n in range(max(len(old_rows), len(new_rows))):
            if n >= len(new_rows):
                yield f"{path}[{n}]: {_cut(old_rows[n])} → not there"
            elif n >= len(old_rows):
                yield f"{path}[{n}]: not there → {_cut(new_rows[n])}"
            elif not _same(old_rows[n], new_rows[n]):
                yield f"{path}[{n}]: {_cut(old_rows[n])} → {_cut(new_rows[n])}"
    elif not _same(before, after):
        yield f"{path or 'value'}: {_cut(before)} → {_cut(after)}"


def _table(value: Json) -> list[object] | None:
    """Return the rows of a list of lists or objects, such as the levels of a book; None for anything else."""
    if not isinstance(value, list):
        return None
    rows = cast("list[object]", value)
    return rows if all(isinstance(row, list | dict) for row in rows) else None


def _cut(value: Json, width: int = WIDEST) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
