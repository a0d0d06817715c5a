"""Fill pages with tables made from the code, so that they cannot drift from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from unitape.errors import ExchangeUnavailable
from unitape.spi import ChannelSpec, Instruments, Limits, Tradable, TradingSettings, TradingSpec, Venue
from unitape_schemas import CHANNELS

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "schemas" / "json" / "unitape.schema.json"
ORDER = (
    *("Trade", "Quote", "BookSnapshot", "BookDelta", "TopBook", "Ticker", "Candle"),
    *("MarkPrice", "Funding", "OpenInterest", "Liquidation", "Status"),
    *("Order", "Fill", "Balance", "Position", "Instrument", "Subscription"),
)

_WEEX = (("codes", "CODES"), ("orders", "ORDER_CODES"), ("either", "TEXTS"), ("statuses", "STATUSES"))
_MEXC = (("code_texts", "BY_WORDS"), ("texts", "WORDS"), ("statuses", "BY_STATUS"))
ERRORS: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("binance", "spot"): (("codes", "SPOT_CODES"), ("texts", "SPOT_TEXTS"), ("statuses", "STATUS_MEANING")),
    ("binance", "usdm"): (
        *(("codes", "USDM_CODES"), ("texts", "SPOT_TEXTS")),
        *(("texts_503", "USDM_TEXTS_503"), ("statuses", "STATUS_MEANING")),
    ),
    ("mexc", "spot"): (("open", "SPOT_OPEN"), ("codes", "SPOT_CODES"), *_MEXC),
    ("mexc", "futures"): (("open", "FUTURES_OPEN"), ("codes", "FUTURES_CODES"), *_MEXC),
    ("weex", "spot"): (("all_unavailable_open", "CODES"), *_WEEX),
    ("weex", "contract"): (("all_unavailable_open", "CODES"), *_WEEX),
}
"""By market: what the tables of the adapter's module ``errors`` hold, and their names there."""


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
        "replace in one request": _yes(spec.replace),
        "orders may go over": ", ".join(spec.order_transports),
        "cancel all": scopes[spec.cancel_all],
        "place in batches of": str(spec.batch_place or "-"),
        "cancel in batches of": str(spec.batch_cancel or "-"),
        "position modes": ", ".join(spec.position_modes) or "-",
        "margin modes": ", ".join(spec.margin_modes) or "-",
        "set leverage": _yes(spec.leverage),
        "close a position natively": _yes(spec.close_position),
        "countdown that cancels": _yes(spec.countdown),
        "client ids": f"up to {ids.max_length} characters",
        "a repeated client id is": repeats[ids.repeated],
        "ask by client id": _yes(spec.query_by_client_id),
        "cancel by client id": _yes(spec.cancel_by_client_id),
        "history by symbol only": _yes(spec.history_needs_symbol),
        "absence proves nothing for": f"{spec.absence_lag:g} s",
    }


def error_tables() -> Iterator[str]:
    """What each market's error codes, texts and HTTP statuses are read as, from the tables that read them."""
    for venue in _venues():
        for market in venue.markets:
            tables = ERRORS.get((venue.name, market.name), ())
            if not tables:
                continue
            module = import_module(f"{type(market).__module__.partition('.')[0]}.errors")
            yield f"### {venue.title} {market.name}"
            yield ""
            yield "| the venue says | error | meaning |"
            yield "|---|---|---|"
            for what, error, meaning in error_rows([(kind, getattr(module, name)) for kind, name in tables]):
                yield f"| {what} | {error} | {_cell(meaning)} |"
            yield ""


def conformance_table() -> Iterator[str]:
    """Every case of the conformance kit, and C20, from the table that runs them."""
    from unitape.testing.conformance import CASES
    from unitape.testing.conformance.faults import under_faults

    yield "| case | what it is about | what it shows |"
    yield "|---|---|---|"
    for case in CASES:
        yield f"| {case.number} | {case.title} | {_cell(case.shows)} |"
    shown = " ".join((under_faults.__doc__ or "").split("``book_stream``")[0].split())
    yield f"| C20 | Under faults everything is delivered once, or told | {_cell(shown)} |"


def error_rows(tables: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield what the venue says, the error's name and its meaning; one row for all that means the same."""
    rows: dict[tuple[str, str], list[str]] = {}
    leads = {"codes": "", "orders": "on order calls: ", "statuses": "HTTP ", "texts": "text: "}
    leads |= {"texts_503": "HTTP 503, text: ", "code_texts": "code and text: "}
    left_open: set[Any] = set()
    for kind, table in tables:
        if kind == "open":
            left_open = set(table)
        elif kind == "all_unavailable_open":
            left_open = {code for code, meaning in table.items() if meaning is ExchangeUnavailable}
        else:
            for lead, word, meaning in _entries(kind, table):
                cell = _error_cell(meaning, kind == "codes" and word in left_open)
                rows.setdefault((leads.get(kind, "") + lead, cell), []).append(word)
    for (lead, cell), words in rows.items():
        shown = (" and ".join(f"`{part}`" for part in ((w,) if not isinstance(w, tuple) else w)) for w in words)
        yield lead + ", ".join(shown), cell, _meaning(cell)


def _entries(kind: str, table: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what precedes an entry, the entry, and what it means."""
    if kind == "code_texts":
        for code, (word, meaning) in table.items():
            yield "", (code, word), meaning
    elif isinstance(table, Mapping):
        for code in sorted(table, key=_code_order):
            yield "", code, table[code]
    elif kind == "either":
        for words, plain, on_orders in table:
            for word in words:
                if plain is on_orders:
                    yield "text: ", word, plain
                else:
                    yield "text, on order calls: ", word, on_orders
                    yield "text, elsewhere: ", word, plain
    else:
        for words, meaning in table:
            yield "", words, meaning


def _error_cell(meaning: Any, left_open: bool) -> str:
    name = (ExchangeUnavailable if meaning == "unknown" else meaning).__name__
    return f"`OutcomeUnknown`, asking: `{name}`" if left_open or meaning == "unknown" else f"`{name}`"


def _meaning(cell: str) -> str:
    """Return the first sentence of what an error says about itself."""
    kind = getattr(import_module("unitape.errors"), cell.split("`")[1])
    return " ".join((kind.__doc__ or "").split("\n\n")[0].replace("``", "`").split())


def _code_order(code: Any) -> tuple[int, int, str]:
    try:
        return (0, abs(int(code)), "")
    except ValueError:
        return (1, 0, str(code))


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
    "<!-- error tables -->": error_tables,
    "<!-- conformance cases -->": conformance_table,
}
