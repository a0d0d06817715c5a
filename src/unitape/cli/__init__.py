"""The command ``unitape``. Each command is one module, loaded only when it is called.

Exit status: 0 done, 1 the data or the venue is at fault, 2 the call is wrong, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Final, NoReturn, Protocol, cast

__all__ = ["COMMANDS", "main"]

COMMANDS: Final[dict[str, str]] = {
    "demo": "see it work: simulated venues, live books, no network",
    "stream": "print live events of one or several venues",
    "watch": "a live table: best prices, spread, rates, latency, gaps",
    "instruments": "list what a venue trades",
    "record": "record a live session to a tape",
    "replay": "play a tape or a recording again, and check its books",
    "verify": "prove that a tape is whole, or say what is missing",
    "decode": "turn recorded frames into unified events",
    "place": "place one order, checked first and sent once",
    "cancel": "cancel one order",
    "cancel-all": "cancel every open order of a symbol, a market or a venue",
    "orders": "list open or past orders",
    "fills": "list your executions",
    "balances": "show what you hold",
    "positions": "show open positions",
    "sim": "run simulated venues on loopback",
    "doctor": "check versions, clock, venues and limits",
}

_EXAMPLES: Final = """\
Start here:
  unitape demo
  unitape stream --sim --symbols BTC/USDT BTC/USDT:USDT
  unitape COMMAND --help     every command shows examples

Symbols are the same everywhere: BTC/USDT is spot, BTC/USDT:USDT the perpetual settled in USDT.
"""


class _CommandModule(Protocol):
    EXAMPLES: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; try {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except BaseExceptionGroup as group:
        if any(isinstance(leaf, KeyboardInterrupt) for leaf in _leaves(group)):
            return 130
        raise
    except BrokenPipeError:
        # The reader of our output has left (`| head`): that is its right, and no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    name = next((word for word in words if not word.startswith("-")), "")
    parser, command = _parsers(name)
    args = parser.parse_args(words)
    if args.version:
        from importlib.metadata import version

        print(f"unitape {version('unitape')}")
        return 0
    if command is None:
        parser.print_help()
        return 0 if not words else 2
    try:
        status = command.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except Exception as error:
        if any(isinstance(leaf, BrokenPipeError) for leaf in _leaves(error)):
            # Printed from within a task group, so it comes wrapped.
            raise BrokenPipeError from error
        return _explain(name, error)
    return status


def _parsers(name: str) -> tuple[argparse.ArgumentParser, _CommandModule | None]:
    parser = _Parser(
        prog="unitape",
        description="One tape from many venues: unified market data, live, recorded or simulated.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    chosen: _CommandModule | None = None
    for command, summary in COMMANDS.items():
        if command != name:
            commands.add_parser(command, help=summary)
            continue
        chosen = cast(_CommandModule, import_module(f"unitape.cli.{command.replace('-', '_')}"))
        chosen.configure(
            commands.add_parser(
                command,
                help=summary,
                description=f"{summary[0].upper()}{summary[1:]}.",
                epilog=_with_venue(chosen.EXAMPLES),
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )
    return parser, chosen


def _with_venue(text: str) -> str:
    """Write examples with a venue that is installed here."""
    from unitape.registry import venue_names

    return text.replace("VENUE", next(iter(venue_names()), "VENUE"))


def _explain(name: str, error: BaseException) -> int:
    """Say in one line what went wrong and what to do. What we do not know is a bug, and keeps its traceback."""
    from unitape.errors import ConfigError, UnitapeError

    leaves = list(_leaves(error))
    unknown = [leaf for leaf in leaves if not isinstance(leaf, UnitapeError | OSError)]
    if unknown:
        raise error
    error = leaves[0]
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        print(f"unitape {name}: {where}{error.strerror or error}", file=sys.stderr)
        return 2 if isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError) else 1
    print(f"unitape {name}: {' '.join(str(error).split())}", file=sys.stderr)
    return 2 if isinstance(error, ConfigError) else 1


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error or a group of errors consists of."""
    if isinstance(error, BaseExceptionGroup):
        for part in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(part)
    else:
        yield error
