"""Fill pages with tables made from the code, so that they cannot drift from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from unitape.spi import ChannelSpec, Limits, Venue
from unitape_schemas import CHANNELS

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "schemas" / "json" / "unitape.schema.json"
ORDER = (
    *("Trade", "Quote", "BookSnapshot", "BookDelta", "TopBook", "Ticker", "Candle"),
    *("MarkPrice", "Funding", "OpenInterest", "Liquidation", "Status"),
    *("Order", "Fill", "Balance", "Position", "Instrument", "Subscription"),
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each marker by its table."""
    for marker, make in MARKERS.items():
        if marker in markdown:
            markdown = markdown.replace(marker, "\n".join(make()))
    return markdown


def contract_tables() -> Iterator[str]:
    """Every event with every field's type and meaning, from the JSON Schema."""
    definitions = json.loads(SCHEMA.read_text("utf-8"))["$defs"]
    for name in ORDER:
        definition = definitions[name]
        tag = definition["properties"].get("type", {}).get("const") or _tag(definition)
        yield f"## {name}"
        yield ""
        yield definition["description"].split("\n\n")[0].replace("\n", " ")
        yield ""
        if tag:
            yield f'In JSON: `"type": "{tag}"`.'
            yield ""
        yield "| field | type | meaning |"
        yield "|---|---|---|"
        for field, spec in definition["properties"].items():
            if field != "type":
                yield f"| `{field}` | {_kind(spec)} | {_cell(spec.get('description', ''))} |"
        yield ""


def channel_tables() -> Iterator[str]:
    """What each market serves and by which native stream, from the venues' declarations."""
    for venue in _venues():
        for market in venue.markets:
            yield f"## {venue.title} {market.name}"
            yield ""
            yield "| channel | served by | proof of completeness | choices | silence after | note |"
            yield "|---|---|---|---|---|---|"
            for channel in CHANNELS:
                spec = market.channels.get(channel)
                if spec is not None:
                    yield _channel_row(spec)
            missing = [c for c in CHANNELS[:10] if c not in market.channels]
            if missing:
                yield ""
                yield f"Not served: {', '.join(f'`{c}`' for c in missing)}."
            yield ""
            yield from _limit_lines(market.limits)
            yield ""


def _channel_row(spec: ChannelSpec) -> str:
    choices = ", ".join([*spec.intervals, *(str(d) for d in spec.depths)])
    if spec.all_symbols:
        choices = f"{choices}; `*` for all symbols" if choices else "`*` for all symbols"
    proof = {"sequence": "numbers, losses are counted", "id": "ids, duplicates are removed", "none": "none"}
    silence = "normal" if spec.stale_after is None else f"{spec.stale_after:g} s"
    served = f"`{spec.native}`" + (f", every {spec.poll:g} s" if spec.poll else "")
    cells = (f"`{spec.channel}`", _cell(served), proof[spec.continuity], choices, silence, _cell(spec.note))
    return f"| {' | '.join(cells)} |"


def _limit_lines(limits: Limits) -> Iterator[str]:
    lifetime = "none documented" if limits.lifetime is None else f"{limits.lifetime / 3600:g} h"
    yield (
        f"Limits: {limits.subscriptions_per_connection} streams on a connection, {limits.messages_per_second:g} "
        f"messages a second, {limits.connects_per_window} connection attempts in {limits.connect_window:g} s, "
        f"lifetime {lifetime}. Source: {limits.source}."
    )


def _venues() -> list[Venue]:
    return [point.load() for point in sorted(entry_points(group="unitape.adapters"), key=lambda p: p.name)]


def _tag(definition: dict[str, Any]) -> str:
    values = definition["properties"].get("type", {}).get("enum", [])
    return values[0] if values else ""


def _kind(spec: dict[str, Any]) -> str:
    if "anyOf" in spec:
        return " or ".join(_kind(option) for option in spec["anyOf"])
    if "enum" in spec:
        return ", ".join("null" if v is None else f"`{v}`" for v in spec["enum"])
    if spec.get("type") == "array":
        return "array"
    if spec.get("format") == "decimal":
        return "decimal string"
    return str(spec.get("type", ""))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


MARKERS = {"<!-- contract tables -->": contract_tables, "<!-- channel tables -->": channel_tables}
