"""What the tests of WEEX share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import unitape_weex
from unitape.spi import Instruments
from unitape_schemas import Subscription
from unitape_weex.market import WeexMarket
from unitape_weex.session import WeexSession

HERE = Path(__file__).parent
EXAMPLES: dict[str, Any] = json.loads((HERE / "examples.json").read_text())

SPOT = unitape_weex.SPOT
CONTRACT = unitape_weex.CONTRACT
MARKETS: dict[str, WeexMarket] = {"spot": SPOT, "contract": CONTRACT}
RECV = 1_795_000_003_999_000_001
MS = 1_000_000


def frame(value: object) -> bytes:
    """The bytes the venue writes: no spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def example(name: str) -> bytes:
    return frame(EXAMPLES[name])


def opened(market: WeexMarket, *subscriptions: Subscription) -> WeexSession:
    """A session with these subscriptions asked for and the outbox emptied."""
    session = cast(WeexSession, market.session(Instruments(market.catalogue), "public"))
    session.on_open()
    if subscriptions:
        session.subscribe(subscriptions)
        session.outbox.clear()
    return session


def taken(session: WeexSession) -> list[dict[str, Any]]:
    """Empty the outbox and return its messages as objects."""
    messages = [json.loads(message) for message in session.outbox]
    session.outbox.clear()
    return messages


def ack(number: object) -> bytes:
    return frame({"result": True, "id": number})


def refuse(number: object, text: str) -> bytes:
    return frame({"result": False, "id": number, "msg": text})
