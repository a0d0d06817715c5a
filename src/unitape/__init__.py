"""unitape."""
