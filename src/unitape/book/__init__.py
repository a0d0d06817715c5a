"""Order books: pure, no I/O, no clock."""

from unitape.book.join import BookJoin, JoinState, Want
from unitape.book.merge import merge_deltas
from unitape.book.orderbook import BookSide, OrderBook

__all__ = ["BookJoin", "BookSide", "JoinState", "OrderBook", "Want", "merge_deltas"]
