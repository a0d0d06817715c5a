"""What a market's answers say about the health of its trading endpoints, as tables for the kill switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["KillSignals", "SignalClass"]

SignalClass: TypeAlias = Literal["removed", "disabled", "contract", "auth", "unknown", "throttled", "reject"]
"""``removed``: the endpoint is gone or another page answers. ``disabled``: the venue switched the function off.
``contract``: a success in which what was promised cannot be found. ``auth``: key, address or permission is refused.
``unknown``: a write may have happened. ``throttled``: too fast. ``reject``: this one call was wrong; never a signal.
"""


class KillSignals(Struct, frozen=True):
    """How one market's answers are classed. What no table names is classed by status and by the error it means."""

    codes: Mapping[str, SignalClass] = {}
    """By the venue's error code. Codes that say no more than "this order was wrong" need not be here."""
    symbol_codes: frozenset[str] = frozenset()
    """Codes among ``codes`` that one closed instrument explains: they count once several symbols bring them."""
    words: tuple[tuple[str, SignalClass], ...] = (("maintenance", "disabled"), ("not support", "disabled"))
    """By lower-case words in the text of an answer that is no plain refusal of an order; the first that fits."""
    statuses: Mapping[int, SignalClass] = {}
    """By HTTP status, before the general rule: 3xx, 404, 405 and 410 ``removed``, 418 and 429 ``throttled``."""
    families: tuple[tuple[str, str], ...] = ()
    """(part of a path, family): endpoints that live and die apart from the ordinary orders', for example conditional
    orders. Elsewhere the family follows from what the request does."""
    source: str = ""
