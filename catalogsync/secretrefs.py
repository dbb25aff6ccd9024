"""References to secrets: ``env:NAME``, ``file:PATH``, ``keyring:NAME``. A secret itself stands nowhere else.

No message, `repr` or traceback of this module holds a secret. What is wrong says where and how to mend it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from catalogsync.errors import NoAccount

KINDS = ("env", "file", "keyring")

SERVICE = "catalogsync"
"""The name under which the system's keyring keeps what is this program's."""

KEYRING_S = 60.0
"""How long a keyring may take: it may ask a person to unlock it, and under cron it may wait for nobody."""

MOST_BYTES = 64 * 1024

T = TypeVar("T")


def is_reference(text: str) -> bool:
    """Whether this names a secret instead of being one."""
    kind, colon, name = text.partition(":")
    return bool(colon and name and kind in KINDS)


def checked(reference: str, what: str) -> str:
    """The reference with an absolute path, so that it holds in every folder. Raises NoAccount where it is none.

    `what` is the setting's name. The text is not repeated: it may be a secret that stands in the wrong place.
    """
    kind, _, name = reference.strip().partition(":")
    name = name.strip()
    if kind not in KINDS or not name:
        raise NoAccount(f"{what} is not env:NAME, file:PATH or keyring:NAME; the secret itself does not belong there")
    return f"file:{Path(name).expanduser().absolute()}" if kind == "file" else f"{kind}:{name}"


def resolve(reference: str, environment: Mapping[str, str], what: str = "the token") -> str:
    """The secret that a reference names. Raises NoAccount: what is wrong, where, and the way out."""
    kind, _, name = checked(reference, what).partition(":")
    if kind == "env":
        secret = environment.get(name, "")
        if not secret.strip():
            raise NoAccount(f"{what} is to come from the environment's {name}, which is not set")
        return usable(secret, name)
    if kind == "file":
        return usable(_from_file(Path(name), what), name)
    found = keyring_get(name)
    if not found:
        way_out = f"put it there with `keyring set {SERVICE} {name}`"
        raise NoAccount(f"{what} is to come from the keyring's {name}, which holds nothing: {way_out}")
    return usable(found, f"keyring:{name}")


def usable(secret: str, where: str) -> str:
    """The secret without the blanks around it. Raises NoAccount where no request could carry it."""
    secret = secret.strip()
    if not secret:
        raise NoAccount(f"{where} is empty")
    if not secret.isascii() or not secret.isprintable():
        raise NoAccount(f"{where} holds characters that no token has; copy it again")
    return secret


def _from_file(path: Path, what: str) -> str:
    try:
        with path.open("rb") as stream:
            _refuse_open_to_others(stream.fileno(), path)
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise NoAccount(f"{what} is to come from {path}, which cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise NoAccount(f"{path} is too large to be a token")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoAccount(f"{path} holds characters that no token has; copy it again") from None


def _refuse_open_to_others(descriptor: int, path: Path) -> None:
    """A file of ours that others may read is refused, where we can mend it: not one that a container was given."""
    if sys.platform == "win32":
        return
    info = os.fstat(descriptor)
    is_ours = info.st_uid == os.geteuid() and not os.fstatvfs(descriptor).f_flag & os.ST_RDONLY
    if is_ours and info.st_mode & 0o077:
        raise NoAccount(f"{path} holds a secret and others may read it: chmod 600 {path}")


# --- the system's keyring ------------------------------------------------------------------------------------


def keyring_get(name: str) -> str | None:
    """What the keyring holds under a name; None where it holds nothing. Raises NoAccount without a keyring."""
    module = _keyring()
    found: str | None = _in_time(lambda: module.get_password(SERVICE, name), name)
    return found


def keyring_set(name: str, secret: str) -> None:
    """Keep a secret under a name. Raises NoAccount without a keyring."""
    module = _keyring()
    _in_time(lambda: module.set_password(SERVICE, name, secret), name)


def keyring_forget(name: str) -> None:
    """Remove what is under a name, if anything is. Raises NoAccount without a keyring."""
    module = _keyring()

    def forget() -> None:
        if module.get_password(SERVICE, name) is not None:
            module.delete_password(SERVICE, name)

    _in_time(forget, name)


def _keyring() -> ModuleType:
    try:
        import keyring
    except ImportError:
        way_out = 'pip install "catalogsync[keyring]", or use env:NAME or file:PATH'
        raise NoAccount(f"a keyring is asked for, and the library is not installed: {way_out}") from None
    module: ModuleType = keyring
    return module


def _in_time(act: Callable[[], T], name: str) -> T:
    """The outcome of an act on the keyring, in a thread: it may wait for a person who is not there."""
    outcome: list[T] = []
    failed: list[str] = []

    def run() -> None:
        try:
            outcome.append(act())
        except Exception as error:  # each backend has errors of its own, and their words may hold anything
            failed.append(type(error).__name__)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(KEYRING_S)
    if outcome:
        return outcome[0]
    elsewhere = "On a machine without one use env:NAME or file:PATH"
    if not failed:
        raise NoAccount(f"keyring:{name}: the keyring did not answer in {KEYRING_S:.0f} s; is it locked? {elsewhere}")
    why = "this machine has none" if failed[0] == "NoKeyringError" else f"it refused ({failed[0]})"
    raise NoAccount(f"keyring:{name}: the keyring cannot be used, {why}. {elsewhere}")
