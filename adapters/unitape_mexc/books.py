"""How the order books of both markets join and continue.

From the venue's pages "How to properly maintain a local copy of the order book" (spot, Aug 2025) and "How depth
information is maintained" (futures, Apr 2025), corrected by what recordings of September 2026 show.
"""

from __future__ import annotations

from typing import Final, Literal

from unitape.spi import DepthUpdate, Fit

__all__ = ["FUTURES_BOOK", "SPOT_BOOK", "FuturesBookRule", "SpotBookRule"]


class SpotBookRule:
    """Spot. ``from`` and ``to`` are the versions of a frame, L the snapshot's ``lastUpdateId``: one number space.

    1. Subscribe and buffer every frame.
    2. Fetch the snapshot (limit 1000; up to 5000 where depth matters).
    3. First buffered ``from`` > L + 1: the snapshot is older than the buffer (REST nodes lag); fetch again later.
    4. Drop frames with ``to`` <= L.
    5. The first frame applied must bridge the snapshot: ``from`` <= L + 1 <= ``to``.
    6. Afterwards ``from`` must equal the last ``to`` + 1; ``to`` <= the last ``to`` is skipped; anything else is a gap.
    7. Sizes are absolute, 0 removes a level; a frame may hold one side only.
    """

    snapshot: Literal["request", "stream"] = "request"
    wait_for = 1
    keep: int | None = None

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        """Rules 3 to 5."""
        if update.seq <= snapshot_seq:
            return Fit.STALE
        first = update.first_seq
        return Fit.APPLY if first is not None and first <= snapshot_seq + 1 else Fit.GAP

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        """Rule 6."""
        if update.seq <= last.seq:
            return Fit.STALE
        return Fit.APPLY if update.first_seq == last.seq + 1 else Fit.GAP


class FuturesBookRule:
    """Futures. V is the snapshot's ``version``; b and e are ``begin`` and ``end`` of a push.

    1. Subscribe with ``compress`` false and buffer.
    2. Fetch the snapshot (limit 1000).
    3. b is ``begin`` and e is ``end`` where the push has them (the venue merged several versions), else both are
       ``version``. Consecutive versions of merged pushes jump, so only b and e can be compared.
    4. Drop pushes with e <= V. The first one kept must have b <= V + 1.
    5. Afterwards b must equal the last e + 1; e <= the last e is skipped; anything else is a gap.
    6. A gap is closed by ``depth_commits``: its increments in order of version, those after the last applied, as long
       as they are consecutive, then the buffer again. When they do not reach back far enough: a new snapshot.
    7. Sizes are absolute, 0 removes a level.
    """

    snapshot: Literal["request", "stream"] = "request"
    wait_for = 1
    keep: int | None = None

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        """Rule 4."""
        if update.seq <= snapshot_seq:
            return Fit.STALE
        first = update.first_seq
        return Fit.APPLY if first is not None and first <= snapshot_seq + 1 else Fit.GAP

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        """Rule 5."""
        if update.seq <= last.seq:
            return Fit.STALE
        return Fit.APPLY if update.first_seq == last.seq + 1 else Fit.GAP


SPOT_BOOK: Final = SpotBookRule()
FUTURES_BOOK: Final = FuturesBookRule()
