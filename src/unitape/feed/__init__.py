"""unitape.feed."""
