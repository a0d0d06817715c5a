"""unitape.views."""
