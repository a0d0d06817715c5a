"""Where keys come from, and how they are kept out of everything that is shown or stored."""

from __future__ import annotations

import logging
import os
import stat
import tomllib
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from unitape.errors import ConfigError
from unitape.spi import Credentials, HttpRequest

__all__ = [
    "Hidden",
    "SecretFilter",
    "added_by_signing",
    "credentials_from_environment",
    "credentials_from_file",
    "load_credentials",
    "scrub",
    "scrub_error",
    "scrub_values",
]

HIDDEN: Final = "***"
FILE_VARIABLE: Final = "UNITAPE_CREDENTIALS"
SHORTEST: Final = 4
"""Characters; what is shorter is no secret, and hiding it would make every text unreadable."""
SHORTEST_SIGNATURE: Final = 20
"""Characters; what signing adds and is shorter is a time or a window, not a proof."""
FIELDS: Final = ("key", "secret", "passphrase")


def load_credentials(
    venue: str, *, file: str | Path | None = None, environ: Mapping[str, str] | None = None
) -> Credentials | None:
    """Return a venue's credentials from the environment, else from a file; None where neither names them.

    ``UNITAPE_<VENUE>_KEY``, ``_SECRET`` and ``_PASSPHRASE`` win over the file, which is ``file`` or what
    ``UNITAPE_CREDENTIALS`` names.

    Raises:
        ConfigError: half of a pair is missing, or the file is not safe or not readable.
    """
    variables = os.environ if environ is None else environ
    found = credentials_from_environment(venue, variables)
    if found is not None:
        return found
    path = file or variables.get(FILE_VARIABLE)
    return credentials_from_file(path, venue) if path else None


def credentials_from_environment(venue: str, environ: Mapping[str, str]) -> Credentials | None:
    """Return what ``UNITAPE_<VENUE>_KEY``, ``_SECRET`` and ``_PASSPHRASE`` say; None where none of them is set.

    Raises:
        ConfigError: key or secret is missing.
    """
    prefix = f"UNITAPE_{venue.upper().replace('-', '_')}_"
    values = {field: environ.get(prefix + field.upper(), "").strip() for field in FIELDS}
    if not any(values.values()):
        return None
    return _credentials(values, f"the environment variable {prefix}%s")


def credentials_from_file(path: str | Path, venue: str) -> Credentials | None:
    """Return what the table ``[venue]`` of a TOML file says: ``key``, ``secret``, ``passphrase``; None without one.

    Raises:
        ConfigError: others may read the file, it is no such file, or key or secret is missing.
    """
    table = _read_private(Path(path)).get(venue)
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {venue} must be a table: [{venue}] with key and secret")
    given = cast("dict[str, object]", table)
    unknown = [name for name in given if name not in FIELDS]
    if unknown:
        raise ConfigError(f"{path}: [{venue}] has {len(unknown)} field(s) that are none of {', '.join(FIELDS)}")
    values: dict[str, str] = {}
    for field in FIELDS:
        value = given.get(field, "")
        if not isinstance(value, str):
            raise ConfigError(f"{path}: {field} of [{venue}] must be a string")
        values[field] = value.strip()
    return _credentials(values, f"{path}: %s of [{venue}]")


def _credentials(values: Mapping[str, str], where: str) -> Credentials:
    for field in ("key", "secret"):
        if not values[field]:
            raise ConfigError(f"{where % (field.upper() if 'UNITAPE_' in where else field)} is missing")
    return Credentials(values["key"], values["secret"], values["passphrase"] or None)


def _read_private(path: Path) -> dict[str, object]:
    text = ""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ConfigError(f"{path} has mode {mode:o}, so others may use the keys in it: chmod 600 {path}")
            content = file.read()
    except OSError as error:
        raise ConfigError(f"{path} with the keys cannot be read: {error.strerror or error}") from None
    # The errors of decoding quote what they could not decode; they end here.
    try:
        text = content.decode()
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = str(error).rpartition("(")[2].rstrip(")")
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    raise ConfigError(f"{path} is not valid TOML: {problem}")


def scrub(text: str, credentials: Credentials | Iterable[Credentials]) -> str:
    """Return a text with every key, secret and passphrase replaced by ``***``, also where they are percent-encoded."""
    all_of_them = (credentials,) if isinstance(credentials, Credentials) else tuple(credentials)
    return scrub_values(text, [part for one in all_of_them for part in one.hidden()])


def scrub_values(text: str, values: Iterable[str]) -> str:
    """Return a text without these values."""
    # The longest first: one that contains another must not leave its rest behind.
    for value in sorted({v for v in values if len(v) >= SHORTEST}, key=len, reverse=True):
        for spelling in dict.fromkeys((value, quote(value, safe=""), quote(value), repr(value)[1:-1])):
            text = text.replace(spelling, HIDDEN)
    return text


def added_by_signing(plain: HttpRequest, signed: HttpRequest) -> tuple[str, ...]:
    """Return the values that signing put into a request: its signature, whatever its name and place."""
    parts = set(_values(signed)) - set(_values(plain))
    return tuple(part for part in parts if len(part) >= SHORTEST_SIGNATURE)


def _values(request: HttpRequest) -> list[str]:
    body = request.body.decode("utf-8", "replace")
    return [
        *(pair.partition("=")[2] for pair in (*request.query.split("&"), *body.split("&"))),
        *(value for _, value in request.headers),
    ]


def scrub_error(error: BaseException, values: Iterable[str]) -> None:
    """Take these values out of everything that an error keeps: its arguments, texts and bytes."""
    hidden = tuple(values)
    error.args = tuple(_clean(argument, hidden) for argument in error.args)
    for name, value in list(vars(error).items()):
        setattr(error, name, _clean(value, hidden))


class Hidden:
    """Values that must not appear anywhere; shows none of them itself, not even in a traceback with locals."""

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = tuple(values)

    def more(self, values: Iterable[str]) -> Hidden:
        """Return one that hides these, too."""
        return Hidden((*self._values, *values))

    def scrub(self, text: str) -> str:
        """Return a text without them."""
        return scrub_values(text, self._values)

    def scrub_error(self, error: BaseException) -> None:
        """Take them out of everything that an error keeps."""
        scrub_error(error, self._values)

    def __repr__(self) -> str:
        return "Hidden(***)"


def _clean(value: object, hidden: tuple[str, ...]) -> object:
    if isinstance(value, str):
        return scrub_values(value, hidden)
    if isinstance(value, bytes):
        return scrub_values(value.decode("utf-8", "surrogateescape"), hidden).encode("utf-8", "surrogateescape")
    return value


class SecretFilter(logging.Filter):
    """Takes secrets out of log records. Add it to each handler: filters of loggers do not see what children log."""

    def __init__(self, credentials: Iterable[Credentials]) -> None:
        super().__init__()
        self._credentials = tuple(credentials)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's text and traceback; never drop it."""
        record.msg = scrub(record.getMessage(), self._credentials)
        record.args = ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_info = None
        if record.exc_text:
            record.exc_text = scrub(record.exc_text, self._credentials)
        if record.stack_info:
            record.stack_info = scrub(record.stack_info, self._credentials)
        return True

    def __repr__(self) -> str:
        return f"SecretFilter({len(self._credentials)} credentials)"
