"""unitape.transport."""
