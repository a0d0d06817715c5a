"""What can be traded, and in which steps."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from unitape_schemas._types import Amount, InstrumentKind, InstrumentStatus, Nanoseconds

__all__ = ["Instrument"]


class Instrument(Struct, frozen=True, tag_field="type", tag="instrument"):
    """One instrument of one venue. Sizes are in base units, prices in quote per base."""

    venue: Annotated[str, Meta(description="The venue's name in lower case.")]
    symbol: Annotated[str, Meta(description="Unified symbol.")]
    raw_symbol: Annotated[str, Meta(description="The venue's own spelling.")]
    market: Annotated[str, Meta(description="The venue's market, for example `spot` or `usdm`.")]
    base: Annotated[str, Meta(description="Base currency, the instrument's own: `1000SHIB` stays `1000SHIB`.")]
    quote: Annotated[str, Meta(description="Quote currency.")]
    settle: Annotated[str | None, Meta(description="Settlement currency of a derivative; None on spot.")]
    kind: Annotated[InstrumentKind, Meta(description="`linear` perpetuals and `spot` can be traded here.")]
    tick: Annotated[Amount | None, Meta(description="Smallest price step; None if not given.")]
    step: Annotated[Amount | None, Meta(description="Smallest size step, base units; None if not given.")]
    min_size: Annotated[Amount | None, Meta(description="Smallest order size, base units.")]
    max_size: Annotated[Amount | None, Meta(description="Largest order size, base units.")]
    min_notional: Annotated[Amount | None, Meta(description="Smallest price x size, quote units.")]
    contract_size: Annotated[
        tuple[int, int] | None,
        Meta(description="Base units per contract as an exact fraction (numerator, denominator); None if unknown."),
    ]
    multiplier: Annotated[int, Meta(description="Coins per base unit: 1000 for `1000SHIB`, otherwise 1.")]
    status: Annotated[InstrumentStatus, Meta(description="Only `trading` takes new orders.")]
    api_tradable: Annotated[bool | None, Meta(description="May orders be sent by API; None if the venue does not say.")]
    maker: Annotated[Amount | None, Meta(description="Listed maker fee as a fraction; None if not given.")]
    taker: Annotated[Amount | None, Meta(description="Listed taker fee as a fraction; None if not given.")]
    ts: Annotated[Nanoseconds, Meta(description="When this was learned; 0 if unknown.")]
