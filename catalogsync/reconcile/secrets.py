"""Secrets that are known, and text without them: what a log, a message or a stored alert may hold."""

from __future__ import annotations

import re
import threading
from urllib.parse import parse_qsl, quote, unquote, urlsplit

REDACTED = "[redacted]"

LEAST_CHARS = 4
"""Shorter texts are no secrets, and replacing them would garble everything."""

_known: set[str] = set()
_lock = threading.Lock()


def keep_secret(*secrets: str) -> None:
    """From now on these never appear in `redacted` text, neither as they are nor as an address writes them."""
    with _lock:
        for secret in secrets:
            spellings = {secret.strip(), unquote(secret.strip()), quote(secret.strip(), safe="")}
            _known.update(spelling for spelling in spellings if len(spelling) >= LEAST_CHARS)


def keep_address_secret(address: str) -> None:
    """The same for an address as apprise writes them: all of it, its password, and each part that looks like a key."""
    keep_secret(address)
    try:
        parts = urlsplit(address.strip())
        password = parts.password or ""
    except ValueError:
        return
    netloc = re.split(r"[:@]", parts.netloc)
    keys = [*netloc, *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    keep_secret(password, *(key for key in keys if _looks_like_a_key(key)))


def _looks_like_a_key(text: str) -> bool:
    is_host = re.fullmatch(r"[0-9.]+|([A-Za-z0-9-]+\.)+[A-Za-z]{2,}", text)
    return len(text) >= 8 and not is_host and any(char.isdigit() for char in text) and not text.isdigit()


_PATTERNS = (
    (re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}"), f"Bearer {REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?"), REDACTED),
    (re.compile(r"://[^/\s:@]*:[^/\s@]+@"), f"://{REDACTED}@"),
)
"""What is a secret wherever it comes from: a header, a token as the remote API makes them, a password in an address."""


def redacted(text: str) -> str:
    """The text without any secret that is known. The longest go first: a secret may be part of another one."""
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for secret in known:
        if secret in text:
            text = text.replace(secret, REDACTED)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def forget_secrets() -> None:
    """Know no secret any more: for tests, and for a program that ends its work with an account."""
    with _lock:
        _known.clear()
