"""Harnesses that cut runs off at every step, and under random faults."""
