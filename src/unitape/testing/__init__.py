"""Tests with recorded venues, and the cases that every adapter must pass.

The pytest plugin is found by itself once unitape is installed::

    @pytest.mark.tape("two-venues")
    async def test_the_signal(tape: Scenario) -> None:
        async with Router(tape.adapter("one"), tape.adapter("another")) as router: ...

``pytest --tape-record`` records it, every other run replays it. Names are loaded when they are first used; the extra
``testing`` brings what they need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from unitape.errors import NotRecorded
    from unitape.testing.diff import compare
    from unitape.testing.files import Origin
    from unitape.testing.scenario import Scenario, ScenarioSettings
    from unitape.testing.virtual import run_virtual

__all__ = ["NotRecorded", "Origin", "Scenario", "ScenarioSettings", "compare", "run_virtual"]

_HOMES: Final = {
    "NotRecorded": "unitape.errors",
    "Origin": "unitape.testing.files",
    "Scenario": "unitape.testing.scenario",
    "ScenarioSettings": "unitape.testing.scenario",
    "compare": "unitape.testing.diff",
    "run_virtual": "unitape.testing.virtual",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value
