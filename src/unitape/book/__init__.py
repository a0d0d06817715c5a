"""Order books: pure, no I/O, no clock."""

import sys
from types import ModuleType

from unitape import subscriptions as _subscriptions
from unitape.book.join import BookJoin, JoinState, Want
from unitape.book.merge import merge_deltas
from unitape.book.orderbook import BookSide, OrderBook

__all__ = ["BookJoin", "BookSide", "JoinState", "OrderBook", "Want", "merge_deltas"]


class _Module(ModuleType):
    # `from unitape import book` means the request of that name. Importing this package puts it in the same place, so
    # it answers the same call.
    __call__ = staticmethod(_subscriptions.book)


sys.modules[__name__].__class__ = _Module
