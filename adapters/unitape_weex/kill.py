"""What the venue's answers say about its endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.spi import KillSignals, SignalClass

__all__ = ["CONTRACT_KILL", "SPOT_KILL"]

_CODES: Final[Mapping[str, SignalClass]] = {
    **dict.fromkeys(("-1040", "-1041", "-1042", "-1044", "-1047", "-1049"), "auth"),
    **dict.fromkeys(("-1050", "-1051", "-1052", "-1053", "-1055", "-1056", "-1057", "-1058"), "auth"),
    # Access to this path is forbidden, or it does not take this method any more.
    **dict.fromkeys(("-1190", "-3236", "-1150"), "disabled"),
}
_SOURCE: Final = "API documentation V3, error codes and FAQ, 2026-07"

SPOT_KILL: Final = KillSignals(codes=_CODES, source=_SOURCE)
CONTRACT_KILL: Final = KillSignals(codes=_CODES, families=(("/algo", "plan"), ("TpSlOrder", "stop")), source=_SOURCE)
