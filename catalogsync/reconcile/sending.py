"""One message to one address, by apprise. What apprise and its libraries log while they send is dropped: it holds
addresses.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from catalogsync.errors import CatalogSyncError
from catalogsync.reconcile.addresses import Address

SEND_S = 60.0
"""The longest that one message may take."""

Send = Callable[[Address, str, str], None]
"""Sends a subject and a body to an address. Raises NotSent."""

_LOUD = (
    "apprise",
    "urllib3",
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "urllib3.connection",
    "requests_oauthlib",
)
"""Loggers that name addresses: at some level, of some services."""


class NotSent(CatalogSyncError):
    """A message did not go out; the words hold no address."""


def send_by_apprise(address: Address, subject: str, body: str) -> None:
    """Send plain text. Raises NotSent: apprise is missing, the address is none, or nobody took the message."""
    with _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its services' libraries, about themselves
        try:
            from apprise import Apprise, AppriseAsset, NotifyFormat
            from apprise.utils.parse import parse_urls
        except ImportError:
            raise NotSent('alerts need apprise, which is not installed: pip install "catalogsync[alerts]"') from None
        if len(parse_urls(address.text)) > 1:  # type: ignore[no-untyped-call]
            raise NotSent("holds several addresses; give each a reference of its own under `to:`")
        reason = ""
        try:
            asset = AppriseAsset(app_id="catalogsync", async_mode=False, storage_mode="memory", result_log_disk_size=0)
            service = Apprise.instantiate(address.text, asset=asset)
            if service is None:
                raise NotSent("is not an address that apprise understands, as in mailto://… or slack://…")
            service.notify_format = NotifyFormat.TEXT  # texts of a sheet are no markup, wherever they go
            sender = Apprise(asset=asset)
            sender.add(service)
            if not sender.notify(body=body, title=subject, body_format=NotifyFormat.TEXT, timeout=SEND_S):
                reason = f"the message was not taken ({service.service_name}): no connection, refused, or too slow"
        except NotSent:
            raise
        except Exception as error:  # each service has errors of its own, and their words may hold the address
            reason = f"the message could not be sent ({type(error).__name__})"
    if reason:
        raise NotSent(reason)


class _Drop(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return False


_DROP = _Drop()
_sending = 0
_lock = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what is logged about addresses gets out. Filters of a logger do not count for those below it, so
    each has its own; several sends may overlap.
    """
    global _sending
    with _lock:
        _sending += 1
        for name in _LOUD:
            logging.getLogger(name).addFilter(_DROP)
    try:
        yield
    finally:
        with _lock:
            _sending -= 1
            for name in _LOUD if not _sending else ():
                logging.getLogger(name).removeFilter(_DROP)
