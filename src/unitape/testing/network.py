"""Keeps a test from the network: what it would connect to is refused by name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NoReturn

from unitape.spi import HttpRequest
from unitape.transport import NetworkTransport

__all__ = ["no_network"]

_INTERNET = (socket.AF_INET, socket.AF_INET6)


@contextmanager
def no_network(refuse: Callable[[str], Exception]) -> Generator[None]:
    """Refuse every connection and name lookup that would leave this machine, by what ``refuse`` makes of its name.

    So does the network of live adapters, whatever its address: a test that made one itself has passed the recording
    by. Otherwise loopback stays open, for event loops and local services need it.
    """
    names = ("connect", "connect_ex")
    plain: dict[str, Any] = {name: vars(socket.socket).get(name) for name in names}
    lookup = socket.getaddrinfo

    def guarded(name: str) -> Callable[..., Any]:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in _INTERNET and not _local(str(address[0])):
                # Callers close a socket that an OSError leaves unconnected; this error they do not know.
                self.close()
                raise refuse(f"a connection to {address[0]}:{address[1]}")
            return original(self, address)

        return connect

    def getaddrinfo(host: Any, *args: Any, **settings: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name is not None and not _numeric(str(name)) and not _local(str(name)):
            raise refuse(f"the address of {name}")
        return lookup(host, *args, **settings)

    async def run(self: NetworkTransport, url: str, *_: Any) -> NoReturn:
        raise refuse(f"a live connection to {url} (take adapters from the fixture: tape.adapter(…))")

    async def request(self: NetworkTransport, base: str, request: HttpRequest, timeout: float) -> NoReturn:
        raise refuse(f"{request.method} {base}{request.path} by a live adapter (take them from tape.adapter(…))")

    network: Any = NetworkTransport
    live = network.run, network.request
    network.run, network.request = run, request
    for name in names:
        setattr(socket.socket, name, guarded(name))
    socket.getaddrinfo = getaddrinfo
    try:
        yield
    finally:
        network.run, network.request = live
        socket.getaddrinfo = lookup
        for name, original in plain.items():
            if original is None:
                delattr(socket.socket, name)
            else:
                setattr(socket.socket, name, original)


def _local(host: str) -> bool:
    if host in ("", "localhost"):
        return True
    if not _numeric(host):
        return False
    address = ipaddress.ip_address(host.partition("%")[0])
    return address.is_loopback or address.is_unspecified


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
