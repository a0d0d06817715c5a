"""``unitape sim``: simulated venues on loopback, for any client."""

from __future__ import annotations

import argparse
from typing import Final

import anyio

from unitape.cli.common import print_line
from unitape.cli.live import add_venue_argument, chosen_venues, run_async, seconds
from unitape.errors import ConfigError

__all__ = ["EXAMPLES", "configure", "run"]

EXAMPLES: Final = """\
Serves the wire protocol of each venue, REST and WebSocket, on 127.0.0.1, one port per market: instrument lists, books,
trades, candles, acknowledgements, heartbeats, limits. Point any client at the printed addresses. The same seed makes
the same market. Ctrl-C ends it.

Examples:
  unitape sim
  unitape sim VENUE --port 9000 --symbols 20 --speed 5 --seed 7 --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_venue_argument(parser)
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same market (default 1)")
    parser.add_argument("--symbols", type=int, default=3, metavar="N", help="instruments per market (default 3)")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="how busy the market is (default 1)")
    parser.add_argument("--port", type=int, default=0, metavar="P", help="port of the first market, the others follow")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long (default: until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="print each market as a line of JSON")
    parser.set_defaults(sim=True)


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted, or for ``--seconds``."""
    venues = chosen_venues(args)
    labels = [f"{venue.name}/{market.name}" for venue in venues for market in venue.markets]
    if args.port and not 0 < args.port <= 65_536 - len(labels):
        raise ConfigError(f"--port {args.port} leaves no room for {len(labels)} markets")
    if args.symbols < 1 or not args.speed > 0:
        raise ConfigError("--symbols and --speed must be positive")
    ports = {label: args.port + place for place, label in enumerate(labels)} if args.port else {}

    async def main() -> None:
        from unitape.sim.server import SimServer

        async with SimServer(venues, seed=args.seed, symbols=args.symbols, speed=args.speed, ports=ports) as server:
            for label, endpoint in server.endpoints.items():
                if args.json:
                    print_line({"market": label, "rest": endpoint.rest, "ws": dict(endpoint.ws)})
                    continue
                print(f"{label:<16} {endpoint.rest}")
                for route, url in endpoint.ws.items():
                    print(f"{'':<16} {url}  ({route})")
            if not args.json:
                print("simulated markets are open; Ctrl-C ends them", flush=True)
            await anyio.sleep(args.seconds if args.seconds is not None else float("inf"))

    run_async(main)
    return 0
