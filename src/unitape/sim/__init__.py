"""unitape.sim."""
