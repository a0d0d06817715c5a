"""The contract as JSON Schema, generated from the structs, for programs in other languages."""

from __future__ import annotations

from typing import Any

import msgspec

from unitape_schemas import SCHEMA_VERSION, Event, Instrument, Subscription

__all__ = ["contract_schema"]


def contract_schema() -> dict[str, Any]:
    """Return one JSON Schema document: an event is ``oneOf`` the union, everything is under ``$defs``."""
    (event, _, _), definitions = msgspec.json.schema_components(
        [Event, Instrument, Subscription], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "unitape events",
        "description": "One JSON line of a unitape stream. Amounts of orders, fills, balances and positions are "
        "exact decimals written as strings; market numbers are JSON numbers.",
        "x-schema-version": SCHEMA_VERSION,
        **event,
        "$defs": dict(sorted(definitions.items())),
    }
