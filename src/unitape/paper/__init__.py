"""Paper trading: real books and trades, orders that exist only here, money that adds up exactly."""

from __future__ import annotations

from unitape.paper.adapter import PaperAdapter
from unitape.paper.exchange import PaperExchange
from unitape.paper.settings import PaperSettings, Payment

__all__ = ["PaperAdapter", "PaperExchange", "PaperSettings", "Payment"]
