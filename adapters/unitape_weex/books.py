"""How order books of both markets continue.

From the venue's page "Depth channel" (V3, 2026-07) and 60 of 60 recorded contract deltas.
"""

from __future__ import annotations

from typing import Final, Literal

from unitape.spi import DepthUpdate, Fit

__all__ = ["BOOK_RULE", "DEPTHS", "WeexBookRule"]

DEPTHS: Final = (200, 15)
"""Levels per side that the venue streams; the first is the default."""


class WeexBookRule:
    """Both markets. U is the id a message starts from, u the id after it; L the u of what was applied last.

    1. Subscribe to ``@depth15`` or ``@depth200``; the stream sends an image first. Changes before it are dropped.
    2. The image replaces the book: L = its u.
    3. A change continues the book when U equals L: it starts from the id where the last one ended, not one above.
       ``DepthUpdate.prev_seq`` carries that id.
    4. u < L, or u = L from an older U: the book contains it, skip it. U = u = L is applied: sizes are absolute.
    5. Anything else is a gap: subscribe again, the venue sends a new image.
    6. Keep the best 200 or 15 levels per side (``DepthUpdate.depth``): levels that fall out of the window are not
       always deleted by name.
    7. Ids of the two depths, of HTTP snapshots and of other connections have nothing to do with each other.

    Rule 3 is proven on contracts. On spot it was never captured message by message, and U could be L + 1 there. The
    session settles it at the first change after each image and writes ``prev_seq`` accordingly (see
    ``WeexSession``). Where nobody settled it, ``prev_seq`` is None and both U = L and U = L + 1 continue the book;
    the price is that a lost message of exactly one id would pass unseen.
    """

    snapshot: Literal["request", "stream"] = "stream"
    wait_for = 0
    keep: int | None = DEPTHS[0]

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        """Rules 3 to 5 after an image."""
        return self._fit(snapshot_seq, update)

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        """Rules 3 to 5 after a change."""
        return self._fit(last.seq, update)

    @staticmethod
    def _fit(seq: int, update: DepthUpdate) -> Fit:
        if update.seq < seq:
            return Fit.STALE
        previous = update.prev_seq
        if previous == seq:
            return Fit.APPLY
        if previous is None and update.first_seq is not None and update.first_seq in (seq, seq + 1):
            return Fit.APPLY
        return Fit.STALE if update.seq == seq else Fit.GAP


BOOK_RULE: Final = WeexBookRule()
