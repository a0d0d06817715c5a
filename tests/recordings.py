"""Where the recorded exchange data is, if it is here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_named = os.environ.get("UNITAPE_RECORDINGS")
_folder = Path(_named) if _named else Path(__file__).resolve().parents[2] / "shared" / "recordings"

RECORDINGS: Path | None = _folder if _folder.is_dir() else None

needs_recordings = pytest.mark.skipif(
    RECORDINGS is None, reason=f"no recordings at {_folder}; set UNITAPE_RECORDINGS to where they are"
)
