"""Measurements, run by hand: `python -m benchmarks.fetch`. Nothing here is timed by the test suite."""
