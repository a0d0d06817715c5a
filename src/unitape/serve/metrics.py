"""A small HTTP server beside a feed: metrics for Prometheus, health for whoever restarts things."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import anyio
import msgspec
from aiohttp import web

from unitape.errors import ConfigError
from unitape.health import HealthMonitor
from unitape.serve.prometheus import CONTENT_TYPE, exposition

__all__ = ["MetricsServer"]

DEFAULT_HOST: Final = "127.0.0.1"


class MetricsServer:
    """Serves ``/metrics`` (Prometheus text) and ``/health`` (JSON) while its block lasts. Needs asyncio.

    ``/health`` answers 200 when there is no problem, otherwise 503; the body is the whole report either way, with what
    is wrong in ``problems``. ``port`` 0 takes a free one. It listens on this machine alone unless told otherwise:
    there is no password, and the report names what you trade.
    """

    def __init__(self, monitor: HealthMonitor, *, host: str = DEFAULT_HOST, port: int = 0) -> None:
        self._monitor = monitor
        self._host = host
        self._wanted = port
        self._runner: web.AppRunner | None = None
        self.port = 0
        """Where it listens, once it does."""

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        if self._runner is not None:
            raise ConfigError("this server runs already")
        app = web.Application()
        app.router.add_get("/metrics", _guarded(self._metrics))
        app.router.add_get("/health", _guarded(self._health))
        self._runner = runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._wanted)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            self._runner = None
            raise ConfigError(f"cannot listen on {self._host}:{self._wanted}: {error.strerror or error}") from error
        self.port = int(runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            # Interrupted, the server's own shutdown would wait for tasks that nobody ends any more.
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    async def _metrics(self) -> web.Response:
        return web.Response(body=exposition(self._monitor.health()).encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _health(self) -> web.Response:
        health = self._monitor.health()
        body = msgspec.json.encode({"problems": health.problems, **msgspec.structs.asdict(health)})
        return web.Response(status=503 if health.problems else 200, body=body, content_type="application/json")


def _guarded(answer: Callable[[], Awaitable[web.Response]]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return await answer()

    return handler
