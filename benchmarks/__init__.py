"""Measurements, run by hand: `python -m benchmarks` compares each stage with a peer in the same run.

Nothing here is timed by the test suite.
"""
