"""Views over prices and books. Each is imported on use."""
