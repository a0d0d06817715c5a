"""Order books: pure, no I/O, no clock."""

from unitape.books.join import BookJoin, JoinState, Want
from unitape.books.merge import merge_deltas
from unitape.books.orderbook import BookSide, OrderBook

__all__ = ["BookJoin", "BookSide", "JoinState", "OrderBook", "Want", "merge_deltas"]
