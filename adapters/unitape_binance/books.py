"""How the order books of both markets join and continue.

From the venue's pages "How to manage a local order book correctly" (spot: text as corrected on 2025-11-12) and "How to
manage a local order book correctly" of the USDⓈ-M futures (2026-05).
"""

from __future__ import annotations

from typing import Final, Literal

from unitape.spi import DepthUpdate, Fit

__all__ = ["SPOT_BOOK", "USDM_BOOK", "SpotBookRule", "UsdmBookRule"]


class SpotBookRule:
    """Spot. S is the snapshot's ``lastUpdateId``, U and u the first and last update of an event.

    1. Subscribe to the diff stream and buffer; remember the first buffered U.
    2. With at least one event buffered, fetch the snapshot.
    3. S < first buffered U - 1: the snapshot is too old, fetch again.
    4. Drop events with u <= S. The first event kept must satisfy U <= S + 1 <= u.
    5. Afterwards, with L the last update applied: u <= L is skipped; U > L + 1 is a gap; anything else applies.
    6. Sizes are absolute and 0 removes a level; removing an absent level changes nothing.
    """

    snapshot: Literal["request", "stream"] = "request"
    wait_for = 1
    keep: int | None = None

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        """Rules 3 and 4."""
        return self._fit(snapshot_seq, update)

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        """Rule 5."""
        return self._fit(last.seq, update)

    @staticmethod
    def _fit(seq: int, update: DepthUpdate) -> Fit:
        if update.seq <= seq:
            return Fit.STALE
        first = update.first_seq
        return Fit.APPLY if first is not None and first <= seq + 1 else Fit.GAP


class UsdmBookRule:
    """USDⓈ-M futures. S, U and u as on spot; pu is the u of the event before in the same stream.

    1. Subscribe on the public route and buffer. Wait for two events, since the snapshot can lag the stream, then
       fetch it with limit 1000.
    2. Drop events with u < S.
    3. The first event applied must satisfy U <= S <= u; its pu may be anything. U > S: fetch again.
    4. Afterwards pu must equal the u applied last, otherwise there is a gap; U need not be that u + 1.
    5. Sizes are absolute and 0 removes a level; removing an absent level changes nothing.
    """

    snapshot: Literal["request", "stream"] = "request"
    wait_for = 2
    keep: int | None = None

    def join(self, snapshot_seq: int, update: DepthUpdate) -> Fit:
        """Rules 2 and 3."""
        if update.seq < snapshot_seq:
            return Fit.STALE
        first = update.first_seq
        return Fit.APPLY if first is not None and first <= snapshot_seq else Fit.GAP

    def follow(self, last: DepthUpdate, update: DepthUpdate) -> Fit:
        """Rule 4. An event that is no newer, neither by number nor by time sent, is one that came twice."""
        if update.prev_seq == last.seq:
            return Fit.APPLY
        if update.seq <= last.seq and update.ts_sent <= last.ts_sent:
            return Fit.STALE
        return Fit.GAP


SPOT_BOOK: Final = SpotBookRule()
USDM_BOOK: Final = UsdmBookRule()
