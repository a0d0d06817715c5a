"""Fill pages with tables made from the code, so that they cannot drift from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from unitape.spi import ChannelSpec, Instruments, Limits, Tradable, TradingSettings, TradingSpec, Venue
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


def trading_tables() -> Iterator[str]:
    """What each market can do for an account, side by side, from the same tables by which calls are refused."""
    specs = [
        (f"{venue.title} {market.name}", market.trading(Instruments(market.catalogue), TradingSettings()).spec)
        for venue in _venues()
        for market in venue.markets
        if isinstance(market, Tradable)
    ]
    if not specs:
        yield "No installed venue trades."
        return
    abilities = [ability for _, spec in specs for ability in _abilities(spec)]
    yield f"| | {' | '.join(name for name, _ in specs)} |"
    yield f"|---|{'---|' * len(specs)}"
    for ability in dict.fromkeys(abilities):
        yield f"| {ability} | {' | '.join(_cell(_abilities(spec)[ability]) for _, spec in specs)} |"
    yield ""
    for name, spec in specs:
        for ability, note in spec.notes.items():
            yield f"- {name}, {ability.replace('_', ' ')}: {note}"
        yield f"- {name}: {spec.source}" if spec.source else ""


def _abilities(spec: TradingSpec) -> dict[str, str]:
    """Name what a market can do, in words."""
    ids = spec.client_ids
    scopes = {"account": "the whole market at once", "symbol": "a symbol at once", "none": "one by one"}
    repeats = {
        "rejected": "refused",
        "returns_existing": "answered with the first order",
        "accepted": "taken for a second order",
        "unknown": "not documented",
    }
    return {
        "kinds": ", ".join(spec.kinds),
        "time in force": ", ".join(spec.tifs),
        "market orders by cost": ", ".join(spec.sides_by_cost) or "-",
        "triggers by": ", ".join(spec.trigger_by) or "-",
        "reduce-only": _yes(spec.reduce_only),
        "attached take-profit and stop-loss": _yes(spec.attached),
        "validate without placing": _yes(spec.validate),
        "amend": _yes(spec.amend),
        "cancel all": scopes[spec.cancel_all],
        "place in batches of": str(spec.batch_place or "-"),
        "cancel in batches of": str(spec.batch_cancel or "-"),
        "position modes": ", ".join(spec.position_modes) or "-",
        "margin modes": ", ".join(spec.margin_modes) or "-",
        "set leverage": _yes(spec.leverage),
        "close a position natively": _yes(spec.close_position),
        "client ids": f"up to {ids.max_length} characters",
        "a repeated client id is": repeats[ids.repeated],
        "ask by client id": _yes(spec.query_by_client_id),
        "cancel by client id": _yes(spec.cancel_by_client_id),
        "history by symbol only": _yes(spec.history_needs_symbol),
        "absence proves nothing for": f"{spec.absence_lag:g} s",
    }


def _yes(able: bool) -> str:
    return "yes" if able else "-"


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


MARKERS = {
    "<!-- contract tables -->": contract_tables,
    "<!-- channel tables -->": channel_tables,
    "<!-- trading tables -->": trading_tables,
}
