"""What the venue's pages leave open about trading, as entries of ``TradingSettings.options``.

Both markets take the same names, and each looks at those that concern it.

``order_path``
    ``create`` (the default) or ``submit``, futures. The pages name the first, the venue's own demos call the second.
``one_way_sides``
    ``by_effect`` (the default) or ``by_direction``, futures. In one-way mode a reduce-only buy is sent as 2 and a
    reduce-only sell as 4, as client libraries do, or as 1 and 3 like every other buy and sell.
``cancel_external``
    ``object`` (the default) or ``array``: the form of the body that cancels one futures order by client id.
``fills_path``
    ``v3`` (the default) or ``plain``: the list of futures executions, current or older.
``history_state``
    ``all`` (the default) or one state, 1 to 5: which futures orders the history asks for. States are asked for one at
    a time because it is not known how a comma has to be signed.
``batch_place``
    ``on`` (the default) or ``off``, both markets. On futures the request needed a permission of its own in older
    pages. Without it orders are placed one by one.
``plan_cycle``
    ``7d`` (the default) or ``24h``: how long a conditional futures order waits for its trigger.
``attached_by``
    ``last`` (the default), ``mark`` or ``index``: the price that attached take-profits and stop-losses look at.
``leverage_side``
    ``long`` or ``short``: the side whose leverage ``set_leverage`` sets. There is one request per side: needed in
    hedge mode, ``long`` in one-way mode unless said otherwise.
``window_header``
    ``omit`` (the default), ``milliseconds`` or ``seconds``: whether and how futures requests carry ``recv_window``.
    The pages speak of seconds, client libraries send milliseconds; without it the window is 10 s.
``cancel_all``
    ``symbol`` (the default) or ``account``: whether spot's newer request, which cancels everything, is used. It is not
    known to be open to every account.
``listen_key``
    ``signed`` (the default) or ``key``, spot: whether the requests about listen keys are signed or bear the key alone.
    The pages ask for neither time nor signature, client libraries send both.
``personal_filter``
    ``off`` (the default) or ``on``, futures: after ``off`` the login itself lets the venue push everything about the
    account; with ``on`` the login asks for silence and a second message names the channels that are read.
``login_time``
    ``text`` (the default) or ``number``: how the futures login writes its time; both are seen.
``sell_by_cost``
    ``refuse`` (the default) or ``allow``: market sells on spot by quote amount.
``batch_limit_word``
    ``LIMIT`` (the default) or ``LIMIT_ORDER``: a plain limit order in a batch on spot; the pages show the second in
    their example and list the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from unitape.errors import ConfigError
from unitape.spi import TradingSettings

__all__ = ["OPTIONS", "read_options"]

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "order_path": ("create", "submit"),
    "one_way_sides": ("by_effect", "by_direction"),
    "cancel_external": ("object", "array"),
    "fills_path": ("v3", "plain"),
    "history_state": ("all", "1", "2", "3", "4", "5"),
    "batch_place": ("on", "off"),
    "plan_cycle": ("7d", "24h"),
    "attached_by": ("last", "mark", "index"),
    "leverage_side": ("", "long", "short"),
    "window_header": ("omit", "milliseconds", "seconds"),
    "cancel_all": ("symbol", "account"),
    "listen_key": ("signed", "key"),
    "personal_filter": ("off", "on"),
    "login_time": ("text", "number"),
    "sell_by_cost": ("refuse", "allow"),
    "batch_limit_word": ("LIMIT", "LIMIT_ORDER"),
}
"""Name: values, the default first."""


def read_options(settings: TradingSettings) -> Mapping[str, str]:
    """Return every option by name, with its default where it is not set.

    Raises:
        ConfigError: there is no such option, or it has no such value.
    """
    for name, value in settings.options.items():
        choices = OPTIONS.get(name)
        if choices is None:
            raise ConfigError(f"mexc has no option {name!r}; it has {', '.join(OPTIONS)}")
        if value not in choices:
            raise ConfigError(f"the option {name!r} is one of {', '.join(filter(None, choices))}, not {value!r}")
    return {name: settings.options.get(name, choices[0]) for name, choices in OPTIONS.items()}
