"""Addresses of sheets: what of them may be shown, and what may not stand in them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from catalogsync.errors import UserError


def split(address: str, way_out: str) -> SplitResult:
    """The parts of an address. Raises UserError where it cannot be one, or names a password."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise UserError(f"{address.partition('://')[0]}://…: this is no address") from None
    if parts.password is not None:
        raise UserError(f"{shown_address(parts)}: a password does not belong into a file that is shared. {way_out}")
    return parts


def shown_address(parts: SplitResult) -> str:
    """An address without what may be secret: neither login, nor query, nor fragment."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
