"""Benchmarks; each file is run by itself (README.md)."""
