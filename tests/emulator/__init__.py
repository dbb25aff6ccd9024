"""Expectations come from the vendor's pages and the notes on them, sent with `requests` as literal JSON."""
