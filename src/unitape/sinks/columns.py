"""The classes of records as columns, worked out from their types: one table for each class.

Floats stay doubles, which keep every bit; decimals and integers beyond 64 bits would not fit a column, so decimals
are text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec
from msgspec import Struct, inspect

from unitape.derive.records import DERIVED_TYPES
from unitape.errors import ConfigError
from unitape_schemas import EVENT_TYPES, EventHead

__all__ = ["RECORD_TYPES", "Column", "ColumnKind", "Table", "tables_of"]

RECORD_TYPES: Final[tuple[type[EventHead], ...]] = (*EVENT_TYPES, *DERIVED_TYPES)
"""What every sink takes: the events of the contract, and the records of derived streams."""

ColumnKind: TypeAlias = Literal["text", "int", "float", "bool", "decimal", "levels"]

_KINDS: Final[dict[type[inspect.Type], ColumnKind]] = {
    inspect.StrType: "text",
    inspect.LiteralType: "text",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.BoolType: "bool",
    inspect.DecimalType: "decimal",
    inspect.VarTupleType: "levels",
}


class Column(Struct, frozen=True):
    """One field of a record."""

    name: str
    kind: ColumnKind


class Table:
    """One class of records. ``name`` is its tag in the plural: ``trades``, ``statuses``."""

    def __init__(self, record: type[EventHead]) -> None:
        tag = str(record.__struct_config__.tag)
        self.record = record
        self.name = f"{tag}es" if tag.endswith("s") else f"{tag}s"
        info = cast(inspect.StructType, inspect.type_info(record))
        self.columns = tuple(Column(field.name, _kind(record, field)) for field in info.fields)
        self.integers = tuple(column.name for column in self.columns if column.kind == "int")

    def places(self, *kinds: ColumnKind) -> list[int]:
        """Return where the columns of these kinds stand."""
        return [place for place, column in enumerate(self.columns) if column.kind in kinds]

    def build(self, values: Sequence[Any], readers: Sequence[tuple[int, Callable[[Any], Any]]]) -> EventHead:
        """Make a record of values in the order of the columns; ``readers`` turn stored values into ours."""
        row = list(values)
        for place, read in readers:
            if row[place] is not None:
                row[place] = read(row[place])
        return self.record(*row)


def tables_of(records: Sequence[type[EventHead]]) -> dict[type[EventHead], Table]:
    """Return the table of each class.

    Raises:
        ConfigError: a class has a field that no column can hold, or two share a name.
    """
    tables = {record: Table(record) for record in records}
    if len({table.name for table in tables.values()}) < len(tables):
        raise ConfigError("two classes of records have the same tag")
    return tables


def _kind(record: type[Struct], field: inspect.Field) -> ColumnKind:
    found = _plain(field.type)
    if isinstance(found, inspect.UnionType):
        found = next((_plain(part) for part in found.types if not isinstance(part, inspect.NoneType)), found)
    kind = _KINDS.get(type(found))
    if kind is None:
        raise ConfigError(f"{record.__name__}.{field.name} is of a type that no column can hold")
    return kind


def _plain(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def decimal_of(text: str) -> Decimal:
    """Read a decimal as it was written, trailing zeros and all."""
    return Decimal(text)


def union_of(records: Sequence[type[EventHead]]) -> Any:
    """Return the type that decodes any of these by its tag."""
    joined: Any = records[0]
    for record in records[1:]:
        joined = joined | record
    return joined


levels_decoder: Final = msgspec.json.Decoder(tuple[tuple[float, float], ...])
