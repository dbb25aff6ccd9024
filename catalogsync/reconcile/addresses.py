"""Where alerts go: what stands under `to:` is a reference, or an address without a secret.

No message, `repr` or table holds an address: a place is known by its name, which is the reference itself, or the
scheme and a digest of a plain address.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catalogsync import secretrefs
from catalogsync.reconcile.secrets import keep_address_secret


@dataclass(frozen=True, slots=True)
class Address:
    """One address as apprise writes them, and the name that may be told."""

    name: str
    text: str = field(repr=False)


def is_reference(text: str) -> bool:
    """Whether this names an address instead of being one."""
    return secretrefs.is_reference(text.strip()) and "://" not in text


def name_of(entry: str) -> str:
    """What may be told and stored of an entry under `to:`, and tells it from the others."""
    entry = entry.strip()
    if is_reference(entry):
        return entry
    scheme = entry.partition("://")[0] if "://" in entry else "address"
    digest = hashlib.sha256(entry.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{scheme[:20]}://… ({digest})"


def address_of(entry: str, folder: Path, environment: Mapping[str, str] = os.environ) -> Address:
    """The address that an entry under `to:` names; paths are relative to `folder`, that of the project file.

    Raises UserError with what is missing and where. What is found is kept out of logs from here on.
    """
    entry = entry.strip()
    text = resolve(entry, folder, environment) if is_reference(entry) else entry
    keep_address_secret(text)
    return Address(name_of(entry), text)


def resolve(reference: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What a reference holds; paths are relative to `folder`. Raises UserError where it holds nothing."""
    kind, _, name = reference.partition(":")
    if kind == "file":
        reference = f"file:{folder / Path(name.strip()).expanduser()}"
    return secretrefs.resolve(reference, environment, "the address of alerts")
