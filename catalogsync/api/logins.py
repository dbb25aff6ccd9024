"""Stored logins: what ``catalogsync login`` keeps of an account, one file per address in the state folder.

The file is replaced as a whole, so that a reader finds the old pair or the new one. It is readable by its owner only.
With the keyring it holds everything but the tokens. The client secret is never stored, only its reference.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from catalogsync import secretrefs
from catalogsync.errors import CatalogBusy, NoAccount
from catalogsync.state import state_folder

IN_USE_TRIES = 100
IN_USE_S = 0.05

LOCK_S = 300.0
"""A refresh is done long before: it may take three requests that are not answered."""


@dataclass(frozen=True, slots=True)
class Login:
    """A login. `pair_id` tells one pair of tokens from the next without being a secret; times are Unix seconds.

    A long-lived token has no refresh token. `expires_at` is 0 where it is not known. `is_used_up`: the server refused
    the refresh token, so that only a person can log in again; the access token works until it expires.
    """

    url: str
    client_id: str = ""
    client_secret: str = ""
    redirect_uri: str = ""
    in_keyring: bool = False
    pair_id: str = ""
    obtained_at: int = 0
    expires_at: int = 0
    is_used_up: bool = False
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    @property
    def is_renewable(self) -> bool:
        """Whether the access token can be exchanged for another one."""
        return bool(self.refresh_token)

    def with_pair(self, access_token: str, refresh_token: str, now_s: float, lifetime_s: int) -> Login:
        """The login with another pair of tokens. `lifetime_s` is 0 where it is not known."""
        return replace(
            self,
            pair_id=secrets.token_hex(8),
            obtained_at=int(now_s),
            expires_at=int(now_s) + lifetime_s if lifetime_s else 0,
            is_used_up=False,
            access_token=access_token,
            refresh_token=refresh_token,
        )


_TEXTS = ("url", "client_id", "client_secret", "redirect_uri", "pair_id", "access_token", "refresh_token")
_NUMBERS = ("obtained_at", "expires_at")
_FLAGS = ("in_keyring", "is_used_up")


def way_out(url: str) -> str:
    """How a person mends a login."""
    return f"log in again: catalogsync login --url {url}"


def path_of(url: str) -> Path:
    """Where the login of an address is kept."""
    parts = urlsplit(url)
    name = f"{parts.hostname or ''}{f'_{parts.port}' if parts.port else ''}"
    safe = "".join(char if char.isalnum() or char in ".-_" else "_" for char in name)
    return state_folder() / "accounts" / f"{safe}.json"


def load(url: str) -> Login | None:
    """The stored login of an address, None where there is none. Raises NoAccount for one that cannot be used."""
    path = path_of(url)
    login = load_file(path)
    if login is not None and login.url.lower() != url.lower():
        raise NoAccount(f"{path}: this login is for {login.url}, not for {url}; {way_out(url)}")
    return login


def load_file(path: Path) -> Login | None:
    """The login that a file keeps, with its tokens."""
    login = _read(path)
    if login is None or not login.in_keyring:
        return login
    access_token = secretrefs.keyring_get(_entry(login.url, "access"))
    if not access_token:
        raise NoAccount(f"the keyring no longer holds the login of {login.url}; {way_out(login.url)}")
    refresh_token = secretrefs.keyring_get(_entry(login.url, "refresh")) if login.client_id else ""
    return replace(login, access_token=access_token, refresh_token=refresh_token or "")


def _read(path: Path) -> Login | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        known = {name: told[name] for name in (*_TEXTS, *_NUMBERS, *_FLAGS)}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoAccount(f"{path}: the stored login cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        known = {}
    kinds = {**dict.fromkeys(_TEXTS, str), **dict.fromkeys(_NUMBERS, int), **dict.fromkeys(_FLAGS, bool)}
    if not known or any(type(known[name]) is not kind for name, kind in kinds.items()):
        raise NoAccount(f"{path}: the stored login is damaged; log in again with `catalogsync login`")
    login = Login(**known)
    if not login.in_keyring:
        for token in filter(None, (login.access_token, login.refresh_token)):
            secretrefs.usable(token, str(path))
    return login


def save(login: Login, path: Path) -> None:
    """Keep a login: from now on it is found whole, also after a power cut. Raises NoAccount where it cannot be kept.

    The refresh token goes into the keyring first: it alone cannot be had again.
    """
    if login.in_keyring:
        if login.refresh_token:
            secretrefs.keyring_set(_entry(login.url, "refresh"), login.refresh_token)
        secretrefs.keyring_set(_entry(login.url, "access"), login.access_token)
    kept = {name: getattr(login, name) for name in (*_TEXTS, *_NUMBERS, *_FLAGS)}
    if login.in_keyring:
        kept |= {"access_token": "", "refresh_token": ""}
    try:
        _replace(path, json.dumps({"version": 1, **kept}, indent=1))
    except OSError as error:
        raise NoAccount(f"{path}: the login cannot be kept ({error.strerror})") from None


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        _put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _put_in_place(temporary: Path, path: Path) -> None:
    """Replace a file. On Windows that is refused while somebody reads it, which does not take long."""
    for _ in range(IN_USE_TRIES):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            time.sleep(IN_USE_S)
    temporary.replace(path)


def replace_login(login: Login) -> Path:
    """Keep a new login in place of what there was, damaged or not. Where it is kept."""
    path = path_of(login.url)
    with locked(path):
        before = settings_of(login.url)
        save(login, path)
        if before is not None and before.in_keyring and not login.in_keyring:
            _forget_tokens(before)
    return path


def settings_of(url: str) -> Login | None:
    """The stored login of an address without its tokens where these are in the keyring; None where none can be read."""
    with suppress(NoAccount):
        return _read(path_of(url))
    return None


def _forget_tokens(login: Login) -> None:
    for kind in ("access", "refresh"):
        secretrefs.keyring_forget(_entry(login.url, kind))


def forget(url: str) -> bool:
    """Remove a login, its tokens included. Whether there was one."""
    path = path_of(url)
    if not path.exists():
        return False
    with locked(path):
        login = settings_of(url)  # what is damaged is removed, too
        if login is not None and login.in_keyring:
            _forget_tokens(login)
        path.unlink(missing_ok=True)
    return True


def _entry(url: str, kind: str) -> str:
    """The keyring's name of a token. Apart, because Windows keeps no more than 1,280 characters in one."""
    return f"{url} {kind}"


@contextmanager
def locked(path: Path, timeout_s: float = LOCK_S) -> Iterator[None]:
    """Hold the lock of a login among all processes; its owner's death frees it. Raises CatalogBusy in the end."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(path.with_suffix(".lock"), timeout=timeout_s)
    try:
        lock.acquire()
    except Timeout:
        raise CatalogBusy(f"another process has been renewing {path.stem}'s token for {timeout_s:.0f} s") from None
    try:
        yield
    finally:
        lock.release()


def claims(token: str) -> Mapping[str, Any]:
    """What a token says of itself, unverified, where it is a JWT; else nothing."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        told = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def expires_at(token: str) -> int:
    """When a token ends by its own words, in Unix seconds; 0 where it does not say."""
    told = claims(token).get("exp")
    return int(told) if isinstance(told, int | float) and not isinstance(told, bool) and 0 < told < 1e12 else 0
