"""A sheet at a web address: asked for with what is known of it, so that an unchanged one is not sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from catalogsync import __version__
from catalogsync.api.auth import LOOPBACK
from catalogsync.errors import Temporary, UnexpectedAnswer, UserError
from catalogsync.reader import limits
from catalogsync.reconcile.address import shown_address, split
from catalogsync.reconcile.copies import Shelf, local_name, not_stored, pieces_of, poured
from catalogsync.reconcile.found import Clock, Found, Pending
from catalogsync.reconcile.state import Memory
from catalogsync.reconcile.whole import is_whole_archive

TIMEOUTS_S = (10.0, 60.0)
"""To connect, and between two pieces of an answer."""

MOST_FETCH_S = 900.0
"""How long an answer may take as a whole."""

MOST_REDIRECTS = 5
_PIECE_BYTES = 1 << 16
_SURE_AFTER_S = 2
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429}
_HTML = tuple(b"<" + tag for tag in b"!doctype html,html,head,body,meta,script,style,table,!--".split(b","))

_LOGIN = (
    "Put it into the file .netrc of your home folder (_netrc on Windows; NETRC names another one), as in: "
    "machine example.com login NAME password WORD"
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fetched_sheet (
    scope TEXT PRIMARY KEY, address TEXT NOT NULL, etag TEXT NOT NULL, modified TEXT NOT NULL, name TEXT NOT NULL,
    digest TEXT NOT NULL
)
"""


@dataclass(frozen=True)
class _Known:
    """What is remembered of the sheet that is kept. `address` is a digest: the query may be a secret."""

    address: str
    etag: str
    modified: str
    name: str
    digest: str

    @property
    def conditions(self) -> dict[str, str]:
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in headers.items() if value}


class WebSource:
    """An http or https address. The state folder keeps the last sheet for answers that say: not changed."""

    takes_result = False

    def __init__(self, sheet: str, memory: Memory, scope: str, shelf: Shelf, clock: Clock) -> None:
        self._address = sheet
        self._name = shown_address(split(sheet, _LOGIN))
        self._memory, self._scope, self._shelf, self._clock = memory.with_tables(_SCHEMA), scope, shelf, clock

    @contextmanager
    def pending(self) -> Iterator[Pending]:
        """The sheet as it is there now.

        Raises UserError where the address does not give a sheet, Temporary where it may do later (no connection, server
        error, cut off), UnexpectedAnswer where the answer makes no sense.
        """
        with self._shelf.holding(self._clock.now()) as into:
            yield Pending((self._found(into),))

    def finished(self, found: Found, *, is_good: bool, result: Path | None = None) -> tuple[Path, ...]:
        """The sheet stays where it is."""
        return (result,) if result else ()

    def _found(self, into: Path) -> Found:
        known = self._known(into)
        with _session() as session, self._answer(session, known) as answer:
            if answer.status_code == 304:
                assert known is not None  # or no condition was sent, see _checked
                self._shelf.touch(self._clock.now())
                return Found(self._name, into / "kept" / known.name, known.digest)
            name = _file_name(answer)
            copy = into / "new" / name
            digest = self._stored(answer, copy)
            address = _digest(str(answer.url))
        etag, modified = answer.headers.get("ETag", ""), _lasting_date(answer.headers)
        self._keep(_Known(address, etag, modified, name, digest), copy)
        return Found(self._name, copy, digest)

    def _answer(self, session: requests.Session, known: _Known | None) -> requests.Response:
        """The answer with the sheet, or 304, at the end of all redirects. Its body is not read yet."""
        address = self._address
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._asked(session, address, known)
            target = session.get_redirect_target(answer)
            if answer.status_code not in _REDIRECTS or not target:
                return self._checked(answer)
            answer.close()
            session.close()  # its connections: the server may hang up just before the next request; cookies stay
            address = self._redirected(address, target)
        raise UserError(f"{self._name}: more than {MOST_REDIRECTS} redirects")

    def _asked(self, session: requests.Session, address: str, known: _Known | None) -> requests.Response:
        host = urlsplit(address).hostname
        try:
            exact = str(requests.Request("GET", address).prepare().url)
            # What is known is of one address: a redirect may lead to another file, whose tag may happen to be the same.
            conditions = known.conditions if known and known.address == _digest(exact) else {}
            return session.get(
                address,
                headers={"Accept-Encoding": "identity", **conditions},
                timeout=TIMEOUTS_S,
                allow_redirects=False,
                stream=True,
                proxies={"no_proxy": host} if host in LOOPBACK else None,  # no proxy reaches this machine's own server
            )
        except requests.exceptions.SSLError:
            raise UserError(f"{self._name}: the certificate of {host} is not accepted; is the address right?") from None
        except (requests.ConnectionError, requests.Timeout):
            raise Temporary(f"{self._name}: no connection to {host}") from None
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise UserError(f"{self._name}: cannot be asked for ({type(error).__name__}); is it an address?") from None

    def _redirected(self, address: str, target: str) -> str:
        made = urljoin(address, target)
        try:
            parts = urlsplit(made)
            _ = parts.port
        except ValueError:
            raise UserError(f"{self._name}: redirects to what is no address") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UserError(
                f"{self._name}: redirects to {parts.scheme}://…, which is not followed; only http and https"
            )
        if parts.scheme == "http" and urlsplit(address).scheme.lower() == "https":
            raise UserError(f"{self._name}: redirects from https to {shown_address(parts)}, which is not encrypted")
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def _checked(self, answer: requests.Response) -> requests.Response:
        status = answer.status_code
        if status == 200 or (status == 304 and answer.request.headers.keys() & _CONDITIONS):
            return answer
        answer.close()
        if status in {401, 403}:
            raise UserError(f"{self._name}: the server does not let us in ({status}). {_LOGIN}")
        if status in {404, 410}:
            raise UserError(f"{self._name}: there is nothing at this address ({status}); was the sheet moved?")
        if status in _LATER or status >= 500:
            raise Temporary(f"{self._name}: the server cannot answer now ({status})", status=status)
        if 400 <= status < 500:
            raise UserError(f"{self._name}: the server refuses ({status})")
        raise UnexpectedAnswer(f"{self._name}: an answer that carries no sheet ({status})", status=status)

    def _stored(self, answer: requests.Response, copy: Path) -> str:
        """The body as a file: its digest. Raises where it is not whole, too large, or no sheet at all."""
        told = answer.headers.get("Content-Length", "")
        length = int(told) if told.isdecimal() and "Content-Encoding" not in answer.headers else None
        if (length or 0) > limits.MOST_FILE_BYTES:
            raise self._too_large()
        try:
            digest, size = poured(self._clock.heeding(self._pieces(answer)), copy, limits.MOST_FILE_BYTES)
        except (HTTPError, requests.RequestException, OSError):
            raise self._cut_off() from None
        if size > limits.MOST_FILE_BYTES:
            raise self._too_large()
        if (length is not None and size != length) or not is_whole_archive(copy):
            raise self._cut_off()
        if not size:
            raise Temporary(f"{self._name}: the answer is empty; the next turn asks again")
        with copy.open("rb") as file:
            start = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        if start.startswith(_HTML):
            raise UserError(
                f"{self._name}: answers with a web page, not a sheet. A login page, or a preview? "
                "Give the address that downloads the file"
            )
        return digest

    def _pieces(self, answer: requests.Response) -> Iterator[bytes]:
        """The body as it comes. Raises Temporary where it does not end in time, however slowly it comes."""
        deadline_at = self._clock.now() + MOST_FETCH_S
        while piece := answer.raw.read1(_PIECE_BYTES, decode_content=True):
            yield piece
            if self._clock.now() > deadline_at:
                raise Temporary(f"{self._name}: the answer takes longer than {MOST_FETCH_S / 60:.0f} minutes")

    def _cut_off(self) -> Temporary:
        return Temporary(f"{self._name}: the answer was cut off; the next turn asks again")

    def _too_large(self) -> UserError:
        return limits.too_large(self._name, f"the sheet is larger than {limits.shown_bytes(limits.MOST_FILE_BYTES)}")

    def _known(self, into: Path) -> _Known | None:
        """What is remembered, where the sheet that is kept is still the same; its copy is in ``kept/`` then."""
        with self._memory.transaction() as connection:
            row = connection.execute("SELECT * FROM fetched_sheet WHERE scope = ?", [self._scope]).fetchone()
        if row is None:
            return None
        known = _Known(row["address"], row["etag"], row["modified"], row["name"], row["digest"])
        try:
            digest, _ = poured(pieces_of(self._shelf.kept), into / "kept" / known.name, limits.MOST_FILE_BYTES)
        except OSError:
            return None
        return known if digest == known.digest else None

    def _keep(self, known: _Known, copy: Path) -> None:
        """Keep a sheet, then what is known of it: killed in between, the digests differ, and it is fetched again."""
        if not known.conditions:
            return
        try:
            self._shelf.keep(copy, self._clock.now())
        except OSError as error:
            raise not_stored(self._shelf.kept.parent, error) from None
        with self._memory.transaction() as connection:
            row = (self._scope, known.address, known.etag, known.modified, known.name, known.digest)
            connection.execute("INSERT OR REPLACE INTO fetched_sheet VALUES (?, ?, ?, ?, ?, ?)", row)


_CONDITIONS = {"If-None-Match", "If-Modified-Since"}


def _session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = f"catalogsync/{__version__}"
    return session


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()


def _lasting_date(headers: Mapping[str, str]) -> str:
    """``Last-Modified``, unless it is of this second, in which the file may change once more (RFC 9110, 8.8.2.2)."""
    modified = headers.get("Last-Modified", "")
    try:
        age_s = (parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(modified)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return modified if age_s >= _SURE_AFTER_S else ""


def _file_name(answer: requests.Response) -> str:
    """The name under which the reader knows the sheet: what the server says, else the last part of the address."""
    told = Message()
    told["Content-Disposition"] = answer.headers.get("Content-Disposition", "").replace("\n", "").replace("\r", "")
    return local_name(told.get_filename() or unquote(urlsplit(str(answer.url)).path))
