"""The symbols of one market, both ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from unitape.errors import ConfigError
from unitape_schemas import Instrument

__all__ = ["MOST_UNKNOWN", "Instruments"]

MOST_UNKNOWN: Final = 10_000
"""Names that are remembered as unknown; no venue lists so many, so more are noise."""


class Instruments:
    """The instruments of one market, looked up by unified or by raw symbol.

    A raw symbol that is not in the set keeps the venue's spelling: ``symbol("XYZUSDT")`` is ``"XYZUSDT"``, and the
    name is added to ``unknown`` once, as long as there are fewer than ``MOST_UNKNOWN``.

    Everything that reads a market shares one object, and only ``update`` changes it.
    """

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._by_symbol: dict[str, Instrument] = {}
        self._by_raw: dict[str, Instrument] = {}
        self.derived: dict[str, dict[str, Any]] = {}
        """What readers have worked out from instruments, by a name of theirs and by raw symbol; emptied by ``update``.
        """
        self._take(instruments)
        self.unknown: dict[str, None] = {}

    def update(self, changed: Iterable[Instrument]) -> None:
        """Take these in place of those with the same raw symbol, and beside the others."""
        merged = {**self._by_raw, **{instrument.raw_symbol: instrument for instrument in changed}}
        self._by_symbol, self._by_raw = {}, {}
        self._take(merged.values())
        for table in self.derived.values():
            table.clear()

    def _take(self, instruments: Iterable[Instrument]) -> None:
        for instrument in instruments:
            # Two rows may map to one unified symbol (a relisted contract); the one that trades wins.
            known = self._by_symbol.get(instrument.symbol)
            if known is None or known.status != "trading":
                self._by_symbol[instrument.symbol] = instrument
            self._by_raw[instrument.raw_symbol] = instrument

    def __len__(self) -> int:
        return len(self._by_raw)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_raw.values())

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._by_symbol

    def get(self, symbol: str) -> Instrument | None:
        """Return the instrument with this unified symbol, or None."""
        return self._by_symbol.get(symbol)

    def get_raw(self, raw: str) -> Instrument | None:
        """Return the instrument that the venue spells so, or None."""
        return self._by_raw.get(raw)

    def require(self, symbol: str) -> Instrument:
        """Return the instrument with this unified symbol.

        Raises:
            ConfigError: there is none; the text names near ones.
        """
        found = self._by_symbol.get(symbol)
        if found is not None:
            return found
        wanted = symbol.upper()
        base = wanted.split("/", 1)[0]
        near = [s for s in self._by_symbol if s.upper() == wanted or s.split("/", 1)[0].upper() == base][:4]
        hint = f"; did you mean {', '.join(near)}?" if near else "; `unitape instruments` lists them"
        raise ConfigError(f"no instrument {symbol!r} here{hint}")

    def symbol(self, raw: str) -> str:
        """Return the unified symbol of a raw one; the raw spelling itself when it is not known."""
        found = self._by_raw.get(raw)
        if found is not None:
            return found.symbol
        if len(self.unknown) < MOST_UNKNOWN:
            self.unknown[raw] = None
        return raw
