"""Benchmarks: ratios against a floor measured beside them, never absolute promises."""
