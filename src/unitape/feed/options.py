"""Every number the feed decides by that is not the venue's own. Times are in seconds unless said otherwise."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["FeedOptions"]


class FeedOptions(Struct, frozen=True):
    """Settings of one feed. The defaults suit a feed that runs for months."""

    stable_after: float = 30.0
    """A connection that stood this long has succeeded: its end starts the back-off anew."""

    rotate_share: float = 0.04
    """Part of a connection's lifetime kept in reserve: rotation begins that long before the end, spread over half."""
    rotate_within: float = 300.0
    """How long a successor may take to carry everything before the rotation is given up and tried again."""
    rotate_retry: float = 60.0
    """Pause after a failed rotation."""
    overlap: float = 5.0
    """How long two connections may carry one subscription before it is handed over unproven."""
    quiet_handover: float = 10.0
    """A confirmed subscription that is silent on both connections is handed over after this."""

    stale_rotation_every: float = 600.0
    """A connection is replaced on account of single silent subscriptions at most this often."""
    refused_retry: float = 10.0
    """Pause before a once confirmed subscription that is refused now is asked for again; doubles with each refusal."""
    ask_again_at_most_every: float = 900.0
    """Cap of that pause, and of the one between attempts to get an unanswered subscription confirmed again."""
    asks_per_connection: int = 3
    """How often one connection is asked for a subscription that it does not answer, and how many refusals one
    connection may give before others are asked."""

    refill_within: float = 10.0
    """How long later trades wait for the missing ones; after that they go out and the gap stays."""
    refill_pages: int = 10
    """Requests that one gap may take."""
    held_trades: int = 20_000
    """Trades per symbol that may wait for a refill or a hand-over."""
    seen_ids: int = 4096
    """Trade ids per symbol that are remembered to tell duplicates, at least half of it at any time."""
    restart_margin: float = 1.0
    """A number below the last one on an event newer by this much is a restarted sequence, not a duplicate."""

    fetch_retry: float = 1.0
    """First pause after a failed request; doubles with each failure."""
    fetch_retry_cap: float = 60.0
    raw_text: int = 500
    """Characters of a venue's own words or of an unreadable frame that a status keeps."""
