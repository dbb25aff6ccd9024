"""Credentials: the token of each request, and another one where it was refused or grows old.

A refresh token works once, and a process may be killed between the server's commit and our save. So the refresh runs
in a small process of its own (`refreshing`), in a session of its own: it holds the lock, sends, saves, and only then
tells. Whatever becomes of this process, the pair is kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import catalogsync
from catalogsync.api import logins
from catalogsync.api.logins import Login
from catalogsync.errors import NoAccount, Temporary, Unauthorized

AGAIN_S = 300.0
"""A refresh ahead of time that did not work is not tried again sooner."""

Notice = Callable[[str], None]


class Credentials(Protocol):
    """Where a transport gets its token. Used from several threads."""

    def refusal(self, told: str) -> str:
        """The words where the server does not accept the token, for the reason `told`: what, and the way out."""

    def token(self) -> str:
        """The token to send now."""

    def secrets(self) -> tuple[str, ...]:
        """Every token that this process has had: none of them is repeated in a message."""

    def keep_fresh(self) -> None:
        """Renew the token well before its end. Raises nothing: as long as it works, it is used."""

    def renewed(self, refused: str) -> bool:
        """Whether there is another token than this one, which the server refused. Raises Temporary, Unauthorized."""


@dataclass(frozen=True, slots=True, repr=False)
class Fixed:
    """A long-lived token."""

    _token: str

    def refusal(self, told: str) -> str:
        """A new one is made where this one was made."""
        return f"the token is not accepted ({told}); make a new one in the account"

    def token(self) -> str:
        """The token."""
        return self._token

    def secrets(self) -> tuple[str, ...]:
        """The token, where there is one."""
        return (self._token,) if self._token else ()

    def keep_fresh(self) -> None:
        """Nothing to do."""

    def renewed(self, refused: str) -> bool:
        """There is no other one."""
        return False


class Stored:
    """The token of a stored login, renewed at half of its life, or when the server refuses it.

    At half, so that a refresh that did not work leaves hours in which a person can log in again. `rps` is the rate at
    which the account is spoken to, 0 for no limit: the token endpoint is one of its addresses. `on_notice` hears of
    what a person should do soon.
    """

    def __init__(
        self,
        login: Login,
        *,
        rps: float = 0,
        on_notice: Notice | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._login = login
        self._path = logins.path_of(login.url)
        self._rps = rps
        self._notice = on_notice or (lambda _: None)
        self._clock = clock
        self._lock = threading.Lock()
        self._secrets = dict.fromkeys((login.access_token, login.refresh_token))
        self._not_before_at = 0.0
        is_long_lived = not login.client_id
        make = "make a new one in the account, then " if is_long_lived else ""
        self._way_out = make + logins.way_out(login.url) + (" --token … --keyring" if is_long_lived else "")

    def refusal(self, told: str) -> str:
        """A person has to log in again."""
        return f"the token is not accepted ({told}); {self._way_out}"

    def token(self) -> str:
        """The latest token that this process knows."""
        return self._login.access_token

    def secrets(self) -> tuple[str, ...]:
        """Every token that this process had."""
        return tuple(filter(None, self._secrets))

    def _is_past_half(self) -> bool:
        login = self._login
        half_at = login.obtained_at + (login.expires_at - login.obtained_at) / 2
        return login.is_renewable and bool(login.expires_at) and self._clock() >= half_at

    def _is_old(self) -> bool:
        return self._is_past_half() and self._clock() >= self._not_before_at

    def keep_fresh(self) -> None:
        """Renew at half of the token's life; what does not work then is told, and the old token used on."""
        if not self._is_old() or not self._lock.acquire(blocking=False):
            return  # whoever has the lock renews it, and the old token works meanwhile
        try:
            if self._clock() < self._not_before_at:
                return
            self._not_before_at = self._clock() + AGAIN_S
            self._reload()
            if self._is_past_half() and self._login.is_used_up:
                raise Unauthorized(f"the login of {self._login.url} can no longer be renewed; {self._way_out}")
            if self._is_past_half():
                self._renew()
        except (Temporary, Unauthorized) as error:
            self._tell(str(error))
        finally:
            self._lock.release()

    def renewed(self, refused: str) -> bool:
        """Take what another process stored, else renew. Raises Temporary or Unauthorized where that does not work."""
        with self._lock:
            if self._login.access_token != refused:
                return True
            self._reload()
            if self._login.access_token != refused:
                return True
            if not self._login.is_renewable:
                return False
            self._renew()
            return self._login.access_token != refused

    def _reload(self) -> None:
        try:
            login = logins.load_file(self._path)
        except NoAccount as error:
            raise Unauthorized(error.message) from None
        if login is None:
            raise Unauthorized(f"the login of {self._login.url} was removed; {self._way_out}")
        self._secrets |= dict.fromkeys((login.access_token, login.refresh_token))
        self._login = login

    def _renew(self) -> None:
        """Have the pair renewed by a process of its own, then take it. Raises Temporary or Unauthorized."""
        outcome, message = _refresh(self._path, self._login.pair_id, self._rps)
        if outcome == "renewed":
            self._reload()
        elif outcome == "temporary":
            raise Temporary(f"the token cannot be renewed now: {message}")
        else:
            raise Unauthorized(message)

    def _tell(self, message: str) -> None:
        left_s = self._login.expires_at - self._clock()
        if left_s > 0:
            until = time.strftime("%Y-%m-%d %H:%M", time.localtime(self._login.expires_at))
            message += f". The present token works until {until}"
        self._notice(message)


def _refresh(path: Path, pair_id: str, rps: float) -> tuple[str, str]:
    """Start the process that refreshes, and wait for what it tells: ``renewed``, ``temporary`` or ``refused``, and why.

    No secret is among its arguments: it reads the stored login itself.
    """
    home = str(Path(catalogsync.__file__).resolve().parents[1])
    # -P: a file in the user's present folder is no module of ours
    command = [sys.executable, "-P", "-m", "catalogsync.api.refreshing", str(path), pair_id, str(rps)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}
    try:
        child = _detached(command, environment)
    except OSError as error:
        return "temporary", f"no process can be started ({error.strerror})"
    assert child.stdout is not None
    with child.stdout as pipe:
        answer = pipe.read()
    child.wait()
    try:
        told = json.loads(answer)
        return str(told["outcome"]), str(told["message"])
    except (ValueError, KeyError, TypeError):
        return "temporary", f"the process that renews it ended early ({child.returncode})"


def _detached(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that is not ended with this one, nor by Ctrl+C, nor by closing the terminal."""
    flags = 0
    if sys.platform == "win32":  # where a session of its own says nothing
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, and no text from outside
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=flags,
    )
