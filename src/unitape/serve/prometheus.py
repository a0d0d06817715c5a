"""A health report in the text format that Prometheus reads, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from msgspec import Struct

from unitape.health import Health, SubscriptionHealth

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Row = tuple[dict[str, str], float]


class _Metric(Struct, frozen=True):
    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str


def exposition(health: Health) -> str:
    """Return a health report as Prometheus text. Every name begins with ``unitape_``; times are seconds."""
    lines: list[str] = []
    for metric, rows in _metrics(health):
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in rows]
        if metric.kind == "summary":
            counts = [(_place(one), one.latency.samples) for one in health.subscriptions if one.latency is not None]
            lines += [f"{metric.name}_count{_labels(labels)} {count}" for labels, count in counts]
    return "\n".join(lines) + "\n"


def _metrics(health: Health) -> Iterator[tuple[_Metric, list[Row]]]:
    lines, venues, consumers = health.subscriptions, health.venues, health.consumers

    def of_lines(values: Iterable[float | None]) -> list[Row]:
        return [(_place(one), value) for one, value in zip(lines, values, strict=True) if value is not None]

    def of_venues(values: Iterable[float]) -> list[Row]:
        return [({"venue": one.venue}, value) for one, value in zip(venues, values, strict=True)]

    def of_consumers(values: Iterable[float]) -> list[Row]:
        return [({"consumer": one.name}, value) for one, value in zip(consumers, values, strict=True)]

    yield _gauge("up", "1 while the subscription is active"), of_lines(one.state == "active" for one in lines)
    yield _counter("events", "Events of the subscription"), of_lines(one.events for one in lines)
    yield _gauge("events_per_second", "Events per second lately"), of_lines(one.rate for one in lines)
    yield _gauge("staleness_seconds", "Time since the last event"), of_lines(one.staleness for one in lines)
    yield _summary("latency_seconds", "From the venue's time to arrival"), list(_quantiles(lines))
    yield _counter("gaps", "Events known to be missing; of a book, broken chains"), of_lines(o.gaps for o in lines)
    yield _counter("resyncs", "Books joined again, trades recovered"), of_lines(one.resyncs for one in lines)
    yield _counter("duplicates", "Events that came twice and were removed"), of_lines(o.duplicates for o in lines)
    yield _gauge("venue_halted", "1 when the venue has failed for good"), of_venues(one.halted for one in venues)
    yield _counter("venue_reconnects", "Connections that were lost"), of_venues(one.reconnects for one in venues)
    yield (
        _counter("venue_rotations", "Connections that were replaced as planned"),
        of_venues(o.rotations for o in venues),
    )
    yield _counter("venue_undecoded", "Frames that could not be understood"), of_venues(o.undecoded for o in venues)
    yield _counter("venue_unmapped", "Messages that no event is for"), of_venues(one.unmapped for one in venues)
    yield _gauge("consumer_waiting", "Events that wait for the consumer"), of_consumers(o.waiting for o in consumers)
    yield _counter("consumer_dropped", "Events the consumer did not get"), of_consumers(o.dropped for o in consumers)
    yield (
        _counter("consumer_conflated", "Events that newer ones replaced"),
        of_consumers(o.conflated for o in consumers),
    )
    sinks = [({"sink": f"{sink.name} {place}"}, sink) for place, sink in enumerate(health.sinks)]
    yield _counter("sink_acknowledged", "Records that are safe on disk"), [(k, s.acknowledged) for k, s in sinks]
    yield _gauge("sink_files", "Files of the sink"), [(k, s.files) for k, s in sinks]
    yield _gauge("uptime_seconds", "Time since the monitor began"), [({}, health.uptime)]
    if health.memory is not None:
        yield _gauge("memory_bytes", "Memory that the process holds"), [({}, health.memory)]


def _quantiles(lines: Iterable[SubscriptionHealth]) -> Iterator[Row]:
    for one in lines:
        if one.latency is not None:
            for quantile, value in (("0.5", one.latency.p50), ("0.9", one.latency.p90), ("0.99", one.latency.p99)):
                yield {**_place(one), "quantile": quantile}, value


def _place(one: SubscriptionHealth) -> dict[str, str]:
    subscription = one.subscription
    detail = subscription.interval or ("" if subscription.depth is None else str(subscription.depth))
    labels = {"venue": one.venue, "channel": subscription.channel, "symbol": subscription.symbol}
    if subscription.market is not None:
        labels["market"] = subscription.market
    return {**labels, "detail": detail} if detail else labels


def _counter(name: str, text: str) -> _Metric:
    return _Metric(f"unitape_{name}_total", "counter", text)


def _gauge(name: str, text: str) -> _Metric:
    return _Metric(f"unitape_{name}", "gauge", text)


def _summary(name: str, text: str) -> _Metric:
    return _Metric(f"unitape_{name}", "summary", text)


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, bool) else repr(value)
