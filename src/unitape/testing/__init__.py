"""unitape.testing."""
