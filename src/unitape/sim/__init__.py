"""Simulated venues: ``SimServer`` on loopback sockets, ``SimNetwork`` in memory for virtual time.

Both run the venues' own wire protocols before a seeded market::

    async with SimServer([VENUE], seed=7, symbols=5) as sim:
        endpoint = sim.endpoint(VENUE.name, "spot")

What goes wrong is a ``FaultSchedule``; ``sim.host(venue, market)`` gives the exchange's truth and the log of faults.
``DEMO_USER`` has an account on every market.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unitape.sim.build import SimSettings
    from unitape.sim.exchange import SimExchange
    from unitape.sim.faults import ORDER_FAULTS, Aim, Fault, FaultHit, FaultSchedule
    from unitape.sim.host import SimHost
    from unitape.sim.memory import SimNetwork
    from unitape.sim.server import SimServer
    from unitape.sim.users import DEMO_USER

__all__ = [
    "DEMO_USER",
    "ORDER_FAULTS",
    "Aim",
    "Fault",
    "FaultHit",
    "FaultSchedule",
    "SimExchange",
    "SimHost",
    "SimNetwork",
    "SimServer",
    "SimSettings",
]

_WHERE = {
    "DEMO_USER": "users",
    "ORDER_FAULTS": "faults",
    "Aim": "faults",
    "Fault": "faults",
    "FaultHit": "faults",
    "FaultSchedule": "faults",
    "SimExchange": "exchange",
    "SimHost": "host",
    "SimNetwork": "memory",
    "SimServer": "server",
    "SimSettings": "build",
}


def __getattr__(name: str) -> object:
    # Loaded on use: the server brings a web server along, which memory simulations do without.
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
