"""``python -m catalogsync.api.refreshing FILE PAIR RPS``: renew the login of a file, as a process of its own.

Started by `credentials`, in a session of its own, so that nothing that ends the command ends this. PAIR names the pair
that is to be replaced; where the file holds another one, somebody else was faster. It tells one line of JSON, after
the pair is kept: ``{"outcome": "renewed" | "temporary" | "refused", "message": …}``. Nobody may be there to read it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from catalogsync.api import logins
from catalogsync.api.logins import Login
from catalogsync.api.oauth import GrantLost, exchange
from catalogsync.errors import CatalogBusy, Refused, Temporary, Unauthorized, UserError


def main(arguments: list[str]) -> int:
    """Renew, keep, tell. Answers 0 whatever came out."""
    path, pair_id, rps = Path(arguments[0]), arguments[1], float(arguments[2])
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)  # it ends by itself, and soon
    try:
        outcome, message = renew(path, pair_id, rps)
    except Exception as error:  # its words may hold anything
        outcome, message = "temporary", f"a defect: {type(error).__name__}"
    with suppress(OSError):
        os.write(1, json.dumps({"outcome": outcome, "message": message}).encode())
    return 0


def renew(path: Path, pair_id: str, rps: float) -> tuple[str, str]:
    """Replace the pair with this id, under the lock of the login. The outcome and its reason."""
    try:
        with logins.locked(path):
            login = logins.load_file(path)
            if login is None:
                return "refused", "the login was removed meanwhile"
            if login.pair_id != pair_id:
                return "renewed", ""
            return _renewed(login, path, rps)
    except (Temporary, CatalogBusy) as error:
        return "temporary", error.message
    except (UserError, Unauthorized, Refused) as error:
        return "refused", error.message


def _renewed(login: Login, path: Path, rps: float) -> tuple[str, str]:
    logins.save(login, path)  # a full disk or a locked keyring is found while there is nothing to lose
    try:
        pair = exchange(login, "refresh_token", login.refresh_token, os.environ, rps=rps)
    except GrantLost:
        logins.save(replace(login, is_used_up=True), path)
        raise
    except Refused as error:
        logins.save(replace(login, is_used_up=error.status == 400), path)
        why = f"the login of {login.url} is no longer accepted ({error.message})"
        return "refused", f"{why}; {logins.way_out(login.url)}"
    logins.save(login.with_pair(pair.access_token, pair.refresh_token, time.time(), pair.lifetime_s), path)
    return "renewed", ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
