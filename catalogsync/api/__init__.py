"""The remote API: pure dialects, one transport with a concern per wrapper, and the client that joins them."""
