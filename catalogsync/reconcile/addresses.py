"""Where alerts go: what stands under `to:` is a reference, or an address without a secret.

No message, `repr` or table holds an address: a place is known by its name, which is the reference itself, or the
scheme and a digest of a plain address.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catalogsync.errors import UserError
from catalogsync.reconcile.secrets import keep_address_secret

KINDS = ("env", "file", "keyring")

MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """One address as apprise writes them, and the name that may be told."""

    name: str
    text: str = field(repr=False)


def is_reference(text: str) -> bool:
    """Whether this names an address instead of being one."""
    kind, colon, name = text.strip().partition(":")
    return bool(colon and name) and kind in KINDS and not name.startswith("//")


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
    """What ``env:NAME`` or ``file:PATH`` holds, without the blanks around it. Raises UserError where it holds nothing.

    The one place where references of alerts are followed.
    """
    kind, _, name = reference.partition(":")
    name = name.strip()
    if kind == "keyring":
        raise UserError(f"{reference}: an address of alerts cannot come from a keyring; use env:NAME or file:PATH")
    found = environment.get(name, "") if kind == "env" else _from_file(folder / Path(name).expanduser(), reference)
    if not found.strip():
        what = "is not set in the environment" if kind == "env" else "is empty"
        raise UserError(f"{reference}: {what}; put the address there, as in mailto://… or slack://…")
    return found.strip()


def _from_file(path: Path, reference: str) -> str:
    try:
        with path.open("rb") as stream:
            _refuse_open_to_others(stream.fileno(), path)
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{reference}: {path} cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{reference}: {path} is too large to be an address")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{reference}: {path} is not text") from None


def _refuse_open_to_others(descriptor: int, path: Path) -> None:
    """A file of ours that others may read is refused where we can mend it: not one that a container was given."""
    if sys.platform == "win32":
        return
    info = os.fstat(descriptor)
    is_ours = info.st_uid == os.geteuid() and not os.fstatvfs(descriptor).f_flag & os.ST_RDONLY
    if is_ours and info.st_mode & 0o077:
        raise UserError(f"{path} holds an address with a secret and others may read it: chmod 600 {path}")
