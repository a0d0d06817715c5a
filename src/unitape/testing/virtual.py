"""Virtual time: a test that waits for hours takes milliseconds, and the same seed takes the same turns."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import anyio

from unitape.errors import ConfigError

__all__ = ["run_virtual", "virtual_clock"]

T = TypeVar("T")


def virtual_clock() -> Any:
    """Return a ``trio.testing.MockClock`` that jumps to the next deadline whenever everything waits.

    Raises:
        ConfigError: trio is not installed.
    """
    try:
        testing = import_module("trio.testing")
    except ImportError:
        raise ConfigError("virtual time needs trio: pip install 'unitape[testing]'") from None
    return testing.MockClock(autojump_threshold=0)


def run_virtual(function: Callable[..., Awaitable[T]], *args: object, seed: int = 0, clock: Any = None) -> T:
    """Run an async function on trio under virtual time and return what it returns.

    ``seed`` decides the order in which trio runs tasks that are ready at once, so that a run can be repeated.
    ``clock`` is one of ``virtual_clock``; a second run with the same one goes on where the first ended.
    """
    options = {"clock": clock if clock is not None else virtual_clock()}
    with _ordered(seed):
        return anyio.run(function, *args, backend="trio", backend_options=options)


@contextmanager
def _ordered(seed: int) -> Generator[None]:
    """Make trio's order of turns a matter of the seed: the switch that its own testing tools use."""
    runner: Any = import_module("trio._core._run")
    chance = getattr(runner, "_r", None)
    if not isinstance(chance, random.Random) or not hasattr(runner, "_ALLOW_DETERMINISTIC_SCHEDULING"):
        yield
        return
    state, allowed = chance.getstate(), runner._ALLOW_DETERMINISTIC_SCHEDULING  # noqa: SLF001 - it has no public name
    chance.seed(seed)
    runner._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001
    try:
        yield
    finally:
        chance.setstate(state)
        runner._ALLOW_DETERMINISTIC_SCHEDULING = allowed  # noqa: SLF001
