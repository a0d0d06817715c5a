from __future__ import annotations

import json
import re

import aiohttp
import anyio
import pytest

from tests.health.test_health import Measured, late, line, status
from unitape.errors import ConfigError
from unitape.health import ConsumerHealth, Health, HealthMonitor, Latency, SubscriptionHealth, VenueHealth
from unitape.router import Router
from unitape.serve import MetricsServer, exposition
from unitape.sinks import SinkStats
from unitape_schemas import Subscription

REPORT = Health(
    ts=5,
    uptime=12.5,
    memory=1_000_000,
    subscriptions=(
        SubscriptionHealth(
            "toy",
            Subscription("trades", "BTC/USDT"),
            "active",
            7,
            1.5,
            0.25,
            Latency(9, 0.01, 0.02, 0.5, 0.75),
            3,
            1,
            2,
        ),
        SubscriptionHealth("toy", Subscription("candles", 'we"ird\\\n', "1m"), "stale", 0, 0.0, None, None, 0, 0, 0),
    ),
    venues=(VenueHealth("toy", False, 4, 5, 6, 8),),
    consumers=(ConsumerHealth("archive", 10, 11, 12),),
    sinks=(SinkStats("sqlite", 99, 2, 4096, 0),),
)


def test_the_text_is_what_prometheus_reads() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    found = {}
    kinds = {}
    for family in parser.text_string_to_metric_families(exposition(REPORT)):
        kinds[family.name] = family.type
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    one = (("channel", "trades"), ("symbol", "BTC/USDT"), ("venue", "toy"))
    two = (("channel", "candles"), ("detail", "1m"), ("symbol", 'we"ird\\\n'), ("venue", "toy"))
    assert found["unitape_up", one] == 1
    assert found["unitape_up", two] == 0
    assert found["unitape_events_total", one] == 7
    assert found["unitape_events_per_second", one] == 1.5
    assert found["unitape_staleness_seconds", one] == 0.25
    assert ("unitape_staleness_seconds", two) not in found, "what is not known is not said"
    assert found["unitape_latency_seconds", tuple(sorted({**dict(one), "quantile": "0.99"}.items()))] == 0.5
    assert found["unitape_latency_seconds_count", one] == 9
    assert found["unitape_gaps_total", one] == 3
    assert found["unitape_resyncs_total", one] == 1
    assert found["unitape_duplicates_total", one] == 2
    toy = (("venue", "toy"),)
    assert found["unitape_venue_reconnects_total", toy] == 4
    assert found["unitape_venue_halted", toy] == 0
    archive = (("consumer", "archive"),)
    assert found["unitape_consumer_dropped_total", archive] == 11
    assert found["unitape_consumer_waiting", archive] == 10
    assert found["unitape_sink_acknowledged_total", (("sink", "sqlite 0"),)] == 99
    assert found["unitape_memory_bytes", ()] == 1_000_000
    assert found["unitape_uptime_seconds", ()] == 12.5
    assert kinds["unitape_events"] == "counter"
    assert kinds["unitape_latency_seconds"] == "summary"


def test_every_line_is_of_the_format() -> None:
    text = exposition(REPORT)
    assert text.endswith("\n")
    value = r"-?(\d+(\.\d+)?(e[+-]?\d+)?)"
    label = r'[a-z_]+="([^"\\\n]|\\["\\n])*"'
    sample = re.compile(rf"unitape_[a-z_]+(\{{{label}(,{label})*\}})? {value}")
    comment = re.compile(r"# (HELP unitape_[a-z_]+ .+|TYPE unitape_[a-z_]+ (counter|gauge|summary))")
    for line_ in text.splitlines():
        assert sample.fullmatch(line_) or comment.fullmatch(line_), line_
    typed = [line_.split()[2] for line_ in text.splitlines() if line_.startswith("# TYPE")]
    assert len(typed) == len(set(typed)), "each metric is declared once"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_running_feed_answers_over_http() -> None:
    adapter = Measured()
    async with Router(adapter) as router:
        monitor = HealthMonitor(router)
        adapter.lines = [line(events=3)]
        adapter.deliver(late(0.5), status("disconnected", count=2))
        async with MetricsServer(monitor) as server, aiohttp.ClientSession(server.url) as client:
            async with client.get("/metrics") as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                text = await answer.text()
            assert 'unitape_events_total{venue="alpha",channel="trades",symbol="BTC/USDT"} 3\n' in text
            assert 'unitape_venue_reconnects_total{venue="alpha"} 1\n' in text
            async with client.get("/health") as answer:
                assert answer.status == 200
                report = json.loads(await answer.text())
            assert report["problems"] == []
            assert report["subscriptions"][0]["subscription"]["symbol"] == "BTC/USDT"
            adapter.lines = [line(state="stale")]
            async with client.get("/health") as answer:
                assert answer.status == 503
                assert json.loads(await answer.text())["problems"] == ["alpha trades BTC/USDT is stale"]
            async with client.get("/secrets") as answer:
                assert answer.status == 404
            with pytest.raises(ConfigError, match="cannot listen"):
                await MetricsServer(monitor, port=server.port).__aenter__()
        with anyio.fail_after(10), anyio.move_on_after(0.05):
            async with (
                MetricsServer(monitor) as other,
                aiohttp.ClientSession(other.url) as client,
                client.get("/metrics") as answer,
            ):
                assert answer.status == 200
                await anyio.sleep_forever()
        with pytest.raises(aiohttp.ClientConnectionError):
            async with aiohttp.ClientSession() as client, client.get(f"{server.url}/metrics"):
                pass
