"""What the venue's pages leave open about trading, as entries of ``TradingSettings.options``.

Both markets take the same names, and each looks at those that concern it.

``batch_place``
    Orders in one native request: 0 (the default) to 5 on contracts and 10 on spot. The pages have the request; some
    callers were refused it with code -1150, which reads as ``InvalidRequest`` and means that nothing was placed.
    Without it orders are placed one by one.
``one_way``
    ``refuse`` (the default) or ``allow``, contracts. An account in one-way mode is asked for a position side all the
    same, and nobody has shown what it then does. With ``allow`` the side is taken from the order: reducing ones close,
    the others open.
``spot_post_only``
    ``refuse`` (the default) or ``allow``. The pages of spot do not name ``POST_ONLY``; another client sends it.
``attached_by``
    ``last`` (the default) or ``mark``: the price that attached take-profits and stop-losses look at.
``close_positions``
    ``refuse`` (the default) or ``both_sides``. The native request of a symbol closes its long and its short. Without
    it a reduce-only market order closes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from unitape.errors import ConfigError
from unitape.spi import TradingSettings

__all__ = ["TradingOptions", "read_options"]

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "batch_place": tuple(str(count) for count in range(11)),
    "one_way": ("refuse", "allow"),
    "spot_post_only": ("refuse", "allow"),
    "attached_by": ("last", "mark"),
    "close_positions": ("refuse", "both_sides"),
}
"""Name: values, the default first."""


class TradingOptions(Struct, frozen=True):
    """The options of one account, read."""

    batch_place: int
    one_way: bool
    spot_post_only: bool
    attached_by: str
    close_positions: bool


def read_options(settings: TradingSettings) -> TradingOptions:
    """Read the options.

    Raises:
        ConfigError: there is no such option, or it has no such value.
    """
    for name, value in settings.options.items():
        choices = _CHOICES.get(name)
        if choices is None:
            raise ConfigError(f"weex has no option {name!r}; it has {', '.join(_CHOICES)}")
        if value not in choices:
            raise ConfigError(f"the option {name!r} is one of {', '.join(choices)}, not {value!r}")
    chosen = {name: settings.options.get(name, choices[0]) for name, choices in _CHOICES.items()}
    return TradingOptions(
        batch_place=int(chosen["batch_place"]),
        one_way=chosen["one_way"] == "allow",
        spot_post_only=chosen["spot_post_only"] == "allow",
        attached_by=chosen["attached_by"],
        close_positions=chosen["close_positions"] == "both_sides",
    )
