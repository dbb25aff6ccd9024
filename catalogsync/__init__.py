"""catalogsync: a Kommo/amoCRM catalog that says what your product sheet says."""

__version__ = "0.1.0"
