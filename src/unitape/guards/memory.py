"""A halt that outlives its process: kept in a file until somebody resets it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from unitape.errors import ConfigError
from unitape.guards.kill import Halt

__all__ = ["HaltFile", "Remembered"]


class Remembered(Struct, frozen=True):
    """What is kept of a halt."""

    venue: str
    halt: Halt
    doubtful: tuple[str, ...] = ()
    """Markets of which nobody has confirmed that nothing is open."""


class HaltFile:
    """The halt of one venue's adapter, in ``<name>.<venue><suffix>`` beside the path that the user names."""

    def __init__(self, path: str | Path, venue: str) -> None:
        """Look whether there is a place to write.

        Raises:
            ConfigError: there is none.
        """
        named = Path(path)
        self.path = named.with_name(f"{named.stem}.{venue}{named.suffix}")
        self._venue = venue
        if not named.parent.is_dir() or not os.access(named.parent, os.W_OK):
            raise ConfigError(f"KillRules.state_file: {named.parent} is no folder that can be written")

    def load(self) -> Remembered | None:
        """Return what is kept; None while trading may go on.

        Raises:
            ConfigError: there is something, and it cannot be read: whether trading is halted is not known.
        """
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=Remembered)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self.path} should say why trading was halted and cannot be read ({error}); look at the venue's own "
                "pages, then remove it"
            ) from None
        if kept.venue != self._venue:
            raise ConfigError(f"{self.path} tells of a halt of {kept.venue}, not of {self._venue}")
        return kept

    def save(self, kept: Remembered) -> None:
        """Write it as a whole or not at all, and be certain that it is on the disk.

        Raises:
            OSError: it is not.
        """
        fresh = self.path.with_name(f"{self.path.name}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(kept)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def clear(self) -> None:
        """Forget it.

        Raises:
            OSError: it stays.
        """
        self.path.unlink(missing_ok=True)
