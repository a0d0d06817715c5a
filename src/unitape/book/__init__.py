"""Order books: pure, no I/O, no clock."""


class OrderBook:
    """Placeholder until the book lands."""
