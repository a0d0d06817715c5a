"""Writes the note beside a cassette that says where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

NAME: Final = "origin.md"


def write_note(cassette: Path, *, source: str, holds: str, seed: int, start: str, command: str) -> None:
    """Write ``origin.md`` into the cassette's folder; the same facts give the same bytes."""
    lines = (
        f"# Where `{cassette.name}` came from",
        "",
        f"- Source: {source}. No exchange was involved, and no outside data is in it.",
        f"- Holds: {holds}.",
        f"- Made with seed {seed} under virtual time that begins {start}; the same code gives the same session again.",
        f"- Made by: `{command}`",
        "- Secrets: keys, passphrases and signatures were removed while it was written.",
        "",
    )
    (cassette.parent / NAME).write_text("\n".join(lines), encoding="utf-8")
