"""A sheet at any other address that fsspec knows (``s3://``, ``sftp://``, ``gs://`` …): the optional extra `remote`."""

from __future__ import annotations

import fnmatch
import glob
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalogsync.errors import CatalogSyncError, Temporary, UserError
from catalogsync.reader import limits
from catalogsync.reconcile.address import shown_address, split
from catalogsync.reconcile.copies import PIECE_BYTES, Shelf, local_name, poured
from catalogsync.reconcile.found import Clock, Found, Pending, is_on_its_way, newest
from catalogsync.reconcile.whole import LOOK_S, MOST_WAIT_S, is_whole_archive

_LOGIN = (
    "Keep it where the protocol's own programs look: keys of an SSH agent, the cloud's profile or environment variables"
)
_TIMES = ("LastModified", "last_modified", "modified", "mtime", "updated", "created")
"""Where the file systems put the time of the last change, the surest names first."""

_NOT_ALLOWED = ("credential", "auth", "denied", "forbidden", "permission")


class RemoteSource:
    """An address; its last part may be a pattern, of which the newest match counts."""

    takes_result = False

    def __init__(self, sheet: str, shelf: Shelf, clock: Clock) -> None:
        self._address, self._shelf, self._clock = sheet, shelf, clock
        if "::" in sheet:
            raise UserError(f"{sheet.partition('://')[0]}://…: addresses that lead through one another are not read")
        parts = split(sheet, _LOGIN)
        self._scheme = parts.scheme
        self._name = shown_address(parts)
        if sheet.endswith("/"):
            raise UserError(
                f"{self._name}: a folder is watched on a disk only; name its sheets by a pattern: {self._name}*.csv"
            )
        if glob.has_magic(sheet.rpartition("/")[0]):
            raise UserError(f"{self._name}: only the last part may be a pattern")

    @contextmanager
    def pending(self) -> Iterator[Pending]:
        """The one sheet.

        Raises UserError where there is none, it may not be read, or a package is missing; Temporary where there is no
        connection, or it is still being written.
        """
        with self._shelf.holding(self._clock.now()) as into:
            try:
                found = self._found(into)
            except CatalogSyncError:
                raise
            except Exception as error:  # every file system raises what the library below it does
                raise self._failure(error) from None
            yield Pending((found,))

    def finished(self, found: Found, *, is_good: bool, result: Path | None = None) -> tuple[Path, ...]:
        """The sheet stays where it is."""
        return (result,) if result else ()

    def _found(self, into: Path) -> Found:
        system, path = self._opened()
        if glob.has_magic(posixpath.basename(path)) and not system.exists(path):
            path = self._newest(system, path)
        name = posixpath.basename(path)
        deadline_at = self._clock.now() + MOST_WAIT_S
        before = _facts(system.info(path))
        copy = into / local_name(name)
        while True:
            self._clock.pause(LOOK_S)
            now = _facts(system.info(path))
            if now == before:
                copy.unlink(missing_ok=True)
                digest, size = poured(self._clock.heeding(_pieces(system, path)), copy, limits.MOST_FILE_BYTES)
                if size > limits.MOST_FILE_BYTES:
                    most = limits.shown_bytes(limits.MOST_FILE_BYTES)
                    raise limits.too_large(self._name, f"the sheet is larger than {most}")
                after = _facts(system.info(path))
                if after == now and size in (after[0], size if after[0] is None else -1) and is_whole_archive(copy):
                    return Found(f"{self._name.rpartition('/')[0]}/{name}", copy, digest)
                now = after
            if self._clock.now() >= deadline_at:
                raise Temporary(f"{self._name}: still being written, or cut off; the next turn looks again")
            before = now

    def _opened(self) -> tuple[Any, str]:
        """The file system, and the path in it. A new one each turn: connections break, and listings grow old."""
        try:
            from fsspec.core import url_to_fs
            from fsspec.registry import known_implementations
        except ImportError:
            raise UserError(
                f"{self._name}: addresses of this kind need the extra `remote`: pip install 'catalogsync[remote]'"
            ) from None
        try:
            system, path = url_to_fs(self._address, skip_instance_cache=True)
        except ImportError as error:
            told = known_implementations.get(self._scheme, {}).get("err", str(error))
            raise UserError(
                f"{self._name}: a package for {self._scheme}:// is missing. {told} (pip install …)"
            ) from None
        except ValueError as error:
            if "Protocol not known" in str(error):
                raise UserError(f"{self._name}: fsspec knows no protocol {self._scheme}://") from None
            raise
        return system, path

    def _newest(self, system: Any, path: str) -> str:
        folder, pattern = posixpath.split(path)
        matches = (
            (_modified_at(info), info["name"])
            for info in system.ls(folder, detail=True)
            if info["type"] == "file" and fnmatch.fnmatchcase(posixpath.basename(info["name"]), pattern)
        )
        name = newest((at, name) for at, name in matches if not is_on_its_way(posixpath.basename(name)))
        if name is None:
            raise UserError(f"{self._name}: no file matches this pattern")
        return name

    def _failure(self, error: Exception) -> CatalogSyncError:
        kind = type(error).__name__
        match error:
            case FileNotFoundError() | NotADirectoryError():
                return UserError(f"{self._name}: there is no such file")
            case IsADirectoryError():
                return UserError(f"{self._name}: is a folder; name the sheets by a pattern, as in {self._name}/*.csv")
            case PermissionError():
                return UserError(f"{self._name}: may not be read: permission denied. {_LOGIN}")
        if any(word in f"{kind} {error}".lower() for word in _NOT_ALLOWED):
            return UserError(f"{self._name}: the server does not let us in ({kind}). {_LOGIN}")
        return Temporary(f"{self._name}: cannot be read now ({kind})")


def _pieces(system: Any, path: str) -> Iterator[bytes]:
    with system.open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _facts(info: Mapping[str, Any]) -> tuple[int | None, float]:
    if info.get("type") == "directory":
        raise IsADirectoryError
    return info.get("size"), _modified_at(info)


def _modified_at(info: Mapping[str, Any]) -> float:
    """When a file was last changed, in Unix seconds; 0 where the file system does not say."""
    for key in _TIMES:
        match info.get(key):
            case datetime() as at:
                return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
            case int() | float() as at:
                return float(at)
            case str() as text:
                try:
                    at = datetime.fromisoformat(text)
                except ValueError:
                    continue
                return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
    return 0.0
