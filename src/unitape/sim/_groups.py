"""Tells whether a task group raised only what its block had raised."""

from __future__ import annotations

from typing import cast

__all__ = ["is_only"]


def is_only(group: BaseExceptionGroup[BaseException], raised: BaseException | None) -> bool:
    """Tell whether a group holds the block's own exception and nothing else.

    Cancelling may have taken the groups inside apart and put them together again, so these compare by their parts.
    """
    return raised is not None and len(group.exceptions) == 1 and _same(group.exceptions[0], raised)


def _same(one: BaseException, other: BaseException) -> bool:
    if one is other:
        return True
    mine, theirs = _parts(one), _parts(other)
    return len(mine) == len(theirs) > 0 and all(_same(a, b) for a, b in zip(mine, theirs, strict=True))


def _parts(error: BaseException) -> tuple[BaseException, ...]:
    return cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
