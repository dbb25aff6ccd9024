"""Sheets at addresses that fsspec knows: its file systems in memory and on disk stand for those of the clouds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.errors import Stopped, Temporary, UserError
from catalogsync.reader import limits
from catalogsync.reconcile import remote, whole
from tests.reconcile.sourcing import CSV, Job, workbook_bytes


@pytest.fixture
def cloud() -> Iterator[MemoryFileSystem]:
    """The file system of ``memory://``, which is one for the whole process."""
    system = MemoryFileSystem()
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def put(cloud: MemoryFileSystem, path: str, content: bytes = CSV, *, at: int = 0) -> None:
    cloud.pipe_file(path, content)
    cloud.store[path].created = cloud.store[path].modified = datetime.fromtimestamp(at, UTC)


def test_a_sheet_is_copied_under_its_name(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    put(cloud, "/bucket/out/prices.csv")
    job = Job(tmp_path, "memory://bucket/out/prices.csv")
    with job.source.pending() as pending:
        (found,) = pending
        assert (found.name, found.path.name, found.path.read_bytes()) == (
            "memory://bucket/out/prices.csv",
            "prices.csv",
            CSV,
        )
    assert job.stored() == []


def test_a_file_address_is_read(tmp_path: Path) -> None:
    job = Job(tmp_path, (tmp_path / "project" / "prices.csv").as_uri())
    job.put("prices.csv")
    assert job.contents() == [(job.sheet, CSV)]


def test_the_newest_match_counts(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    for name, at in [("prices-a", 2), ("prices-b", 9), ("prices-c", 9), ("stock", 99), ("~$prices-d", 99)]:
        put(cloud, f"/bucket/{name}.csv", name.encode(), at=at)
    put(cloud, "/bucket/prices-e.csv/inside.csv", at=99)
    put(cloud, "/bucket/prices-f.csv.part", at=99)
    job = Job(tmp_path, "memory://bucket/prices-*.csv*")
    assert job.contents() == [("memory://bucket/prices-c.csv", b"prices-c")]


def test_the_newest_match_on_a_disk_counts(tmp_path: Path) -> None:
    job = Job(tmp_path, f"{(tmp_path / 'project').as_uri()}/prices-?.csv")
    job.put("prices-1.csv", b"new", age_s=10)
    job.put("prices-2.csv", b"old", age_s=20)
    job.put("prices-10.csv", b"no match", age_s=5)
    (job.folder / "prices-3.csv").mkdir()  # the newest, and no sheet
    assert job.contents() == [(f"{(tmp_path / 'project').as_uri()}/prices-1.csv", b"new")]


def test_what_came_since_the_last_turn_is_seen(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    job = Job(tmp_path, "memory://bucket/*.csv")
    contents = []
    for number in range(3):
        put(cloud, f"/bucket/{number}.csv", str(number).encode(), at=number)
        contents += [content for _, content in job.contents()]
    assert contents == [b"0", b"1", b"2"]


@pytest.mark.parametrize("sheet", ["memory://bucket/prices.csv", "memory://nowhere/prices-*.csv"])
def test_what_is_missing_is_told(tmp_path: Path, cloud: MemoryFileSystem, sheet: str) -> None:
    error = Job(tmp_path, sheet).refusal()
    assert (type(error), str(error)) == (UserError, f"{sheet}: there is no such file")


def test_a_pattern_without_a_match_is_told(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    put(cloud, "/bucket/stock.csv")
    error = Job(tmp_path, "memory://bucket/prices-*.csv").refusal()
    assert str(error) == "memory://bucket/prices-*.csv: no file matches this pattern"


def test_a_folder_is_no_sheet(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    put(cloud, "/bucket/out/prices.csv")
    assert str(Job(tmp_path, "memory://bucket/out").refusal()) == (
        "memory://bucket/out: is a folder; name the sheets by a pattern, as in memory://bucket/out/*.csv"
    )


@pytest.mark.parametrize(
    ("sheet", "words"),
    [
        (
            "memory://bucket/out/",
            "memory://bucket/out/: a folder is watched on a disk only; name its sheets by a pattern: "
            "memory://bucket/out/*.csv",
        ),
        ("memory://bucket/*/prices.csv", "memory://bucket/*/prices.csv: only the last part may be a pattern"),
        ("zip://prices.csv::memory://a.zip", "zip://…: addresses that lead through one another are not read"),
        ("zip::memory://a.zip", "zip::memory://…: addresses that lead through one another are not read"),
        (
            "sftp://anna:s3cret@example.com/prices.csv",
            "sftp://example.com/prices.csv: a password does not belong into a file that is shared. Keep it where the "
            "protocol's own programs look: keys of an SSH agent, the cloud's profile or environment variables",
        ),
    ],
)
def test_an_address_that_can_never_do_is_refused_at_once(tmp_path: Path, sheet: str, words: str) -> None:
    with pytest.raises(UserError) as told:
        _ = Job(tmp_path, sheet).source
    assert str(told.value) == words


def test_a_protocol_that_nobody_knows_is_told(tmp_path: Path) -> None:
    error = Job(tmp_path, "nope://bucket/prices.csv").refusal()
    assert (type(error), str(error)) == (UserError, "nope://bucket/prices.csv: fsspec knows no protocol nope://")


def test_a_package_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # whether this machine has it or not
    error = Job(tmp_path, "s3://bucket/prices.csv").refusal()
    assert (type(error), str(error)) == (
        UserError,
        "s3://bucket/prices.csv: a package for s3:// is missing. Install s3fs to access S3 (pip install …)",
    )


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "fsspec"]:
        monkeypatch.setitem(sys.modules, name, None)
    error = Job(tmp_path, "s3://bucket/prices.csv").refusal()
    assert (type(error), str(error)) == (
        UserError,
        "s3://bucket/prices.csv: addresses of this kind need the extra `remote`: pip install 'catalogsync[remote]'",
    )


def test_fsspec_is_loaded_for_such_addresses_only() -> None:
    probe = "import sys, catalogsync.reconcile.sources; print('fsspec' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# --- file systems that fail ----------------------------------------------------------------------------------


class ClientError(Exception):
    """As botocore raises it."""


class AuthenticationException(Exception):
    """As paramiko raises it."""


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError("x"), UserError, "may not be read: permission denied. Keep it where"),
        (AuthenticationException("x"), UserError, "the server does not let us in (AuthenticationException). Keep it"),
        (ClientError("(AccessDenied)"), UserError, "the server does not let us in (ClientError). Keep it"),
        (ClientError("SlowDown ?key=s3cret"), Temporary, "cannot be read now (ClientError)"),
        (OSError("unreachable"), Temporary, "cannot be read now (OSError)"),
        (EOFError(), Temporary, "cannot be read now (EOFError)"),
    ],
)
def test_a_failure_of_the_file_system_says_who_can_act(
    tmp_path: Path,
    cloud: MemoryFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: type,
    words: str,
) -> None:
    """No cloud is at hand: its library's error is raised where fsspec would."""
    put(cloud, "/bucket/prices.csv")

    def failing(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(MemoryFileSystem, "open", failing)
    told = Job(tmp_path, "memory://bucket/prices.csv").refusal()
    assert type(told) is kind
    assert str(told).startswith(f"memory://bucket/prices.csv: {words}")
    assert "s3cret" not in str(told)


def test_a_sheet_larger_than_any_is_not_copied_to_its_end(
    tmp_path: Path, cloud: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_FILE_BYTES", 3 << 20)
    put(cloud, "/bucket/prices.csv", bytes(10 << 20))
    error = Job(tmp_path, "memory://bucket/prices.csv").refusal()
    assert str(error).startswith("memory://bucket/prices.csv: the sheet is larger than 3 MB. Split it")


# --- files that somebody is writing --------------------------------------------------------------------------


def test_a_sheet_that_grows_is_waited_for(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    put(cloud, "/bucket/prices.csv", b"SKU", at=1)
    job = Job(tmp_path, "memory://bucket/prices.csv")
    job.clock.during = [lambda: put(cloud, "/bucket/prices.csv", CSV, at=2)]
    assert job.contents() == [("memory://bucket/prices.csv", CSV)]
    assert job.clock.slept_s == 2 * whole.LOOK_S


def test_a_workbook_without_its_end_is_waited_for_and_refused(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    put(cloud, "/bucket/prices.xlsx", workbook_bytes()[:-30])
    job = Job(tmp_path, "memory://bucket/prices.xlsx")
    error = job.refusal()
    assert (type(error), str(error)) == (
        Temporary,
        "memory://bucket/prices.xlsx: still being written, or cut off; the next turn looks again",
    )
    assert job.clock.slept_s == whole.MOST_WAIT_S
    job.clock.during = [lambda: put(cloud, "/bucket/prices.xlsx", workbook_bytes())]
    assert job.contents() == [("memory://bucket/prices.xlsx", workbook_bytes())]


def test_a_sheet_that_changes_while_it_is_copied_is_copied_again(
    tmp_path: Path, cloud: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cloud, "/bucket/prices.csv", CSV, at=1)
    pieces, changes = remote._pieces, [CSV.replace(b"10", b"12")]

    def disturbed(system: Any, path: str) -> list[bytes]:  # no clock passes while a file is copied
        copied = list(pieces(system, path))
        if changes:
            put(cloud, "/bucket/prices.csv", changes.pop(), at=2)
        return copied

    monkeypatch.setattr(remote, "_pieces", disturbed)
    job = Job(tmp_path, "memory://bucket/prices.csv")
    assert job.contents() == [("memory://bucket/prices.csv", CSV.replace(b"10", b"12"))]


def test_who_asks_to_stop_does_not_wait(
    tmp_path: Path, cloud: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cloud, "/bucket/prices.xlsx", workbook_bytes()[:-30])
    job = Job(tmp_path, "memory://bucket/prices.xlsx")
    job.clock.during = [lambda: job.stop.ask(15)]
    assert (type(job.refusal()), job.clock.slept_s) == (Stopped, whole.LOOK_S)


def test_a_copy_that_ends_early_is_not_used(
    tmp_path: Path, cloud: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cloud, "/bucket/prices.csv")
    monkeypatch.setattr(remote, "_pieces", lambda *_: [CSV[:-4]])  # as of a connection that ends without an error
    assert isinstance(Job(tmp_path, "memory://bucket/prices.csv").refusal(), Temporary)


def test_a_connection_that_broke_is_not_used_in_the_next_turn(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    class Line(MemoryFileSystem):  # type: ignore[misc]
        """One that fails for ever once it failed, as that of an SSH session does; fsspec keeps instances."""

        protocol = "line"
        is_broken = False
        failures = iter([True])

        @classmethod
        def _strip_protocol(cls, path: str) -> Any:
            return super()._strip_protocol(path.removeprefix("line://"))

        def info(self, path: str, **named: Any) -> Any:
            self.is_broken = self.is_broken or next(self.failures, False)
            if self.is_broken:
                raise OSError("broken pipe")
            return super().info(path, **named)

    fsspec.register_implementation("line", Line, clobber=True)
    put(cloud, "/bucket/prices.csv")
    job = Job(tmp_path, "line:///bucket/prices.csv")
    assert str(job.refusal()) == "line:///bucket/prices.csv: cannot be read now (OSError)"
    assert job.contents() == [("line:///bucket/prices.csv", CSV)]


# --- the time of the last change -----------------------------------------------------------------------------

MOMENT = datetime(2026, 11, 26, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "info",
    [
        {"LastModified": MOMENT},  # s3fs
        {"updated": "2026-11-26T15:12:00.000Z", "created": "2020-01-01T00:00:00Z"},  # gcsfs
        {"last_modified": MOMENT},  # adlfs
        {"mtime": MOMENT},  # sftp
        {"mtime": MOMENT.timestamp(), "created": 1.0},  # a disk
        {"modified": MOMENT.replace(tzinfo=None)},
    ],
)
def test_the_time_is_found_where_file_systems_put_it(info: dict[str, object]) -> None:
    assert remote._modified_at(info) == MOMENT.timestamp()


@given(
    st.dictionaries(st.sampled_from(["mtime", "updated", "other"]), st.none() | st.text() | st.floats() | st.binary())
)
def test_whatever_a_file_system_says_of_the_time_is_no_failure(info: dict[str, object]) -> None:
    assert isinstance(remote._modified_at(info), float)


def test_real_systems_of_fsspec_say_the_time(tmp_path: Path, cloud: MemoryFileSystem) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(CSV)
    os.utime(path, (1000, 1000))
    put(cloud, "/a.csv", at=1000)
    infos = [fsspec.filesystem("file").info(str(path)), cloud.info("/a.csv")]
    assert [remote._modified_at(info) for info in infos] == [1000, 1000]
