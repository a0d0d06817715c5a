"""What the venue's answers say about its endpoints: it switched order endpoints off, moved and renamed them before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi import KillSignals, SignalClass

__all__ = ["FUTURES_KILL", "SPOT_KILL"]


def _table(rows: tuple[tuple[SignalClass, str], ...]) -> Mapping[str, SignalClass]:
    return {code: kind for kind, codes in rows for code in codes.split()}


SPOT_KILL: Final = KillSignals(
    codes=_table(
        (
            ("disabled", "11444"),
            ("auth", "401 602 10072 700001 700002 700006 700007"),
            # Of one symbol, they say nothing about the endpoint. The text of 10007 is "symbol not support api".
            ("reject", "10007 30020 70011"),
            ("throttled", "429"),
        )
    ),
    source="mexc.com: Spot V3 error codes; 2026-11",
)

FUTURES_KILL: Final = KillSignals(
    codes=_table(
        (
            ("disabled", "511 604 801 1002 6001"),
            ("auth", "401 402 406 602 701 702 703 704"),
            ("throttled", "429 510 2037"),
        )
    ),
    # "Contract not activated": of one contract it is its own affair, of every contract the function is off.
    symbol_codes=frozenset({"1002"}),
    families=(("/planorder/", "plan"), ("/trackorder/", "plan"), ("/stoporder/", "stop")),
    source="mexc.com: Futures API error codes; 2026-11",
)
