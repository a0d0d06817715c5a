from __future__ import annotations

from unitape.testing.virtual import virtual_clock

VIRTUAL = ("trio", {"clock": virtual_clock()})
