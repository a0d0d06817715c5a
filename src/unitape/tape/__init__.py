"""Record, replay, verify and redact sessions.

::

    with Recorder("session.tape") as recorder:
        async with VenueAdapter(venue, record=recorder.begin) as adapter: ...

    for event in replay(Tape("session.tape")): ...

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from unitape.tape.adapter import TapeAdapter
    from unitape.tape.format import FeedHeader
    from unitape.tape.player import Replay, replay
    from unitape.tape.proof import StreamReport, TapeReport, verify
    from unitape.tape.record import FeedTap, Recorder
    from unitape.tape.redact import Redactor
    from unitape.tape.rowreplay import RowReplay
    from unitape.tape.rows import Row, iter_rows, open_rows
    from unitape.tape.tape import Tape, is_tape
    from unitape.tape.vcr import Exchange, cassette_rows, exchanges, read_cassette, write_cassette

__all__ = [
    "Exchange",
    "FeedHeader",
    "FeedTap",
    "Recorder",
    "Redactor",
    "Replay",
    "Row",
    "RowReplay",
    "StreamReport",
    "Tape",
    "TapeAdapter",
    "TapeReport",
    "cassette_rows",
    "exchanges",
    "is_tape",
    "iter_rows",
    "open_rows",
    "read_cassette",
    "replay",
    "verify",
    "write_cassette",
]

_HOMES: Final = {
    "adapter": "TapeAdapter",
    "format": "FeedHeader",
    "record": "FeedTap Recorder",
    "redact": "Redactor",
    "player": "Replay replay",
    "rowreplay": "RowReplay",
    "rows": "Row iter_rows open_rows",
    "tape": "Tape is_tape",
    "vcr": "Exchange cassette_rows exchanges read_cassette write_cassette",
    "proof": "StreamReport TapeReport verify",
}
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
