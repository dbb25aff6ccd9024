"""A watched folder: every sheet once, oldest first, then moved; whatever comes in between."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogsync.errors import SheetError, UserError
from catalogsync.reader import read_sheet
from catalogsync.reconcile import inbox, whole
from catalogsync.reconcile.inbox import move
from tests.reconcile.sourcing import CSV, FakeClock, Job, seen, workbook_bytes


@pytest.fixture
def job(tmp_path: Path) -> Job:
    made = Job(tmp_path, "inbox/")
    (made.folder / "inbox").mkdir()
    return made


def files(job: Job) -> list[str]:
    """Every file of the folder and those below it."""
    folder = job.folder / "inbox"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def process(job: Job, *, is_good: bool = True, result: Path | None = None) -> list[str]:
    """A whole turn: the names of the sheets that were processed."""
    source, names = job.source, []
    with source.pending() as pending:
        for found in pending:
            names.append(found.path.name)
            source.finished(found, is_good=is_good, result=result)
    return names


def stamp(job: Job) -> str:
    return datetime.fromtimestamp(job.clock.at, UTC).astimezone().strftime("%Y%m%d-%H%M%S")


def refuse(monkeypatch: pytest.MonkeyPatch, moves: Callable[[Path, Path], bool], number: int) -> None:
    """Let the system refuse to move some files, as Windows does for one that is open, which nothing here can do."""
    replace = Path.replace

    def refusing(self: Path, target: Path) -> Path:
        if moves(self, Path(target)):
            raise OSError(number, os.strerror(number))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)


def in_use(path: Path, target: Path) -> bool:
    return path.parent.name == "inbox"


def test_sheets_come_oldest_first_and_of_the_same_time_by_name(job: Job) -> None:
    job.put("inbox/c.csv", b"c", age_s=300)
    job.put("inbox/b.xlsx", b"b", age_s=400)
    job.put("inbox/a.ods", b"a", age_s=300)
    assert [content for _, content in job.contents()] == [b"b", b"a", b"c"]


@settings(max_examples=15)
@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), max_size=6))
def test_the_order_is_that_of_time_then_name(ages: dict[str, int]) -> None:
    with tempfile.TemporaryDirectory() as root:
        job = Job(Path(root), "inbox/")
        (job.folder / "inbox").mkdir()
        for name, age in ages.items():
            job.put(f"inbox/{name}.csv", name.encode(), age_s=3600 + age * 60)
        expected = sorted(ages, key=lambda name: (-ages[name], name))
        assert [content.decode() for _, content in job.contents()] == expected
        assert process(job) == [f"{name}.csv" for name in expected]
        assert job.contents() == []


def test_only_files_with_a_sheets_ending_count_and_no_subfolders(job: Job) -> None:
    for name in ("a.csv", "b.TSV", "c.txt", "d.xlsx", "e.xlsm", "f.XLS", "g.ods"):
        job.put(f"inbox/{name}")
    for name in ("letter.pdf", "~$d.xlsx", ".hidden.csv", "g.ods.part", "old/h.csv", "done/i.csv", "failed/j.csv"):
        job.put(f"inbox/{name}")
    (job.folder / "inbox" / "folder.csv").mkdir()
    assert [Path(name).name for name, _ in job.contents()] == [
        "a.csv",
        "b.TSV",
        "c.txt",
        "d.xlsx",
        "e.xlsm",
        "f.XLS",
        "g.ods",
    ]


@pytest.mark.parametrize("sheet", ["inbox/", "inbox\\", "inbox"])
def test_a_folder_is_watched_however_it_is_written(tmp_path: Path, sheet: str) -> None:
    job = Job(tmp_path, sheet)
    job.put("inbox/prices.csv")
    assert job.contents() == [(str(Path("inbox/prices.csv")), CSV)]


def test_nothing_has_come(job: Job) -> None:
    with job.source.pending() as pending:
        assert (pending.sheets, pending.left, len(pending)) == ((), (), 0)
    assert job.clock.slept_s == 0


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    error = Job(tmp_path, "inbox/").refusal()
    assert (type(error), str(error)) == (UserError, "inbox: there is no such folder to watch; make it")


def test_a_file_cannot_be_watched(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv/")
    job.put("prices.csv")
    assert str(job.refusal()).startswith("prices.csv: the folder cannot be watched (")


@pytest.mark.parametrize(("is_good", "folder"), [(True, "done"), (False, "failed")])
def test_a_sheet_is_moved_with_the_time_in_its_name_and_its_result_beside_it(
    job: Job, tmp_path: Path, is_good: bool, folder: str
) -> None:
    job.put("inbox/prices.csv")
    result = tmp_path / "any-name.xlsx"
    result.write_bytes(b"result")
    source = job.source
    with source.pending() as pending:
        (found,) = pending
        told = source.finished(found, is_good=is_good, result=result)
    at = stamp(job)
    inside = job.folder / "inbox" / folder
    assert told == (inside / f"prices-{at}.csv", inside / f"prices-{at}-result.xlsx")
    assert [path.read_bytes() for path in told] == [CSV, b"result"]
    assert (len(files(job)), result.exists()) == (2, False)


def test_sheets_of_the_same_name_and_second_all_stay(job: Job) -> None:
    at = FakeClock().at
    for content in (b"1", b"2", b"3"):
        job.put("inbox/prices.csv", content)
        job.clock.at = at
        source = job.source
        with source.pending() as pending:
            job.clock.at = at
            source.finished(pending.sheets[0], is_good=True)
    base = f"done/prices-{stamp(job)}"
    assert files(job) == [f"{base}-2.csv", f"{base}-3.csv", f"{base}.csv"]


def test_results_of_sheets_with_one_name_and_other_endings_all_stay(job: Job, tmp_path: Path) -> None:
    for name in ("prices.csv", "prices.ods"):
        job.put(f"inbox/{name}")
    source = job.source
    with source.pending() as pending:
        for found in pending:
            result = tmp_path / "result.xlsx"
            result.write_bytes(found.path.suffix.encode())
            source.finished(found, is_good=True, result=result)
    base = f"done/prices-{stamp(job)}"
    assert files(job) == [f"{base}-2-result.xlsx", f"{base}-2.ods", f"{base}-result.xlsx", f"{base}.csv"]


def test_a_sheet_is_still_held_when_it_is_finished(job: Job) -> None:
    original = job.put("inbox/prices.csv")
    source = job.source
    with source.pending() as pending:
        original.write_bytes(b"changed since")
        source.finished(pending.sheets[0], is_good=True)
        assert seen(pending) == [(str(Path("inbox/prices.csv")), CSV)]


def test_of_a_link_the_sheet_is_moved_and_what_it_leads_to_stays(job: Job) -> None:
    there = job.put("stock/of-today.csv")
    (job.folder / "inbox" / "prices.csv").symlink_to(Path("../stock/of-today.csv"))
    assert process(job) == ["prices.csv"]
    assert files(job) == [f"done/prices-{stamp(job)}.csv"]
    assert (job.folder / "inbox" / files(job)[0]).read_bytes() == there.read_bytes() == CSV


def test_a_sheet_that_was_not_finished_comes_again(job: Job) -> None:
    """No connection to the account, or killed: the sheet is as good as before."""
    job.put("inbox/prices.csv")
    assert job.contents() == job.contents() == [(str(Path("inbox/prices.csv")), CSV)]
    assert files(job) == ["prices.csv"]


def test_a_sheet_that_changed_while_it_was_processed_is_not_lost(job: Job) -> None:
    original = job.put("inbox/prices.csv", b"first")
    source = job.source
    with source.pending() as pending:
        original.write_bytes(b"the second one")
        source.finished(pending.sheets[0], is_good=True)
    assert (job.folder / "inbox" / "done" / f"prices-{stamp(job)}.csv").read_bytes() == b"first"
    assert [content for _, content in job.contents()] == [b"the second one"]


def test_a_sheet_that_was_taken_away_while_it_was_processed_is_kept_as_it_was(job: Job) -> None:
    original = job.put("inbox/prices.csv", b"first")
    source = job.source
    with source.pending() as pending:
        original.unlink()
        source.finished(pending.sheets[0], is_good=True)
    assert (job.folder / "inbox" / "done" / f"prices-{stamp(job)}.csv").read_bytes() == b"first"
    assert job.contents() == []


# --- files that cannot be moved ------------------------------------------------------------------------------


def test_a_sheet_that_cannot_be_moved_is_processed_once_and_moved_later(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.put("inbox/prices.csv")
    with monkeypatch.context() as patch:
        refuse(patch, in_use, errno.EACCES)
        assert process(job, is_good=False) == ["prices.csv"]
        with job.source.pending() as pending:
            assert pending.sheets == ()
            assert pending.left == (
                f"{Path('inbox/prices.csv')}: was processed, and cannot be moved away; is it open in another program?",
            )
    assert process(job) == []
    assert files(job) == [f"failed/prices-{stamp(job)}.csv"]
    job.put("inbox/prices.csv")
    assert process(job) == ["prices.csv"]  # what was remembered is forgotten with the move


def test_a_sheet_that_could_not_be_moved_and_changed_is_processed(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.put("inbox/prices.csv")
    refuse(monkeypatch, in_use, errno.EACCES)
    process(job)
    job.put("inbox/prices.csv", b"new")
    assert [content for _, content in job.contents()] == [b"new"]


def test_a_result_that_is_there_is_told_where_the_sheet_cannot_be_moved(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.put("inbox/prices.csv")
    result = tmp_path / "result.xlsx"
    result.write_bytes(b"result")
    refuse(monkeypatch, in_use, errno.EACCES)
    source = job.source
    with source.pending() as pending:
        told = source.finished(pending.sheets[0], is_good=True, result=result)
    assert told == (job.folder / "inbox" / "done" / f"prices-{stamp(job)}-result.xlsx",)
    assert told[0].read_bytes() == b"result"


def test_where_no_folder_can_be_made_the_sheet_is_processed_once(job: Job, tmp_path: Path) -> None:
    job.put("inbox/prices.csv")
    (job.folder / "inbox" / "done").write_bytes(b"a file stands in the way")
    result = tmp_path / "result.xlsx"
    result.write_bytes(b"result")
    source = job.source
    with source.pending() as pending:
        assert source.finished(pending.sheets[0], is_good=True, result=result) == (result,)
    assert job.contents() == []


def test_what_is_remembered_is_bounded_and_forgotten_with_the_file(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_STUCK", 2)
    refuse(monkeypatch, in_use, errno.EACCES)
    for name in "abc":
        job.put(f"inbox/{name}.csv")
    process(job)
    assert remembered(job) == ["b.csv", "c.csv"]
    (job.folder / "inbox" / "c.csv").unlink()
    with job.source.pending():
        assert remembered(job) == ["b.csv"]


def remembered(job: Job) -> list[str]:
    with job.memory.transaction() as connection:
        return [row["name"] for row in connection.execute("SELECT name FROM stuck_sheet ORDER BY name")]


def test_sheets_that_cannot_be_moved_stand_in_no_ones_way(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_SHEETS", 2)
    refuse(monkeypatch, in_use, errno.EACCES)
    for number in range(5):
        job.put(f"inbox/{number}.csv", age_s=3600 - number)
    assert [process(job) for _ in range(4)] == [["0.csv", "1.csv"], ["2.csv", "3.csv"], ["4.csv"], []]


def test_a_turn_takes_as_much_as_fits_and_at_least_one(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_BYTES", 10)
    for number, size in enumerate([6, 4, 1, 20]):
        job.put(f"inbox/{number}.csv", b"x" * size, age_s=3600 - number)
    assert [process(job) for _ in range(4)] == [["0.csv", "1.csv"], ["2.csv"], ["3.csv"], []]


# --- across devices ------------------------------------------------------------------------------------------


def across(path: Path, target: Path) -> bool:
    """Whether a move leads out of the folder where a file is, as onto another device."""
    return path.parent != target.parent


def test_a_move_to_another_device_copies_the_whole_file_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    path, target = tmp_path / "prices.csv", tmp_path / "there" / "prices.csv"
    path.write_bytes(CSV)
    os.utime(path, (1000, 1000))
    refuse(monkeypatch, across, errno.EXDEV)
    move(path, target)
    assert (path.exists(), target.read_bytes(), target.stat().st_mtime) == (False, CSV, 1000)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["prices.csv"]


def test_a_move_to_another_device_that_cannot_remove_the_file_leaves_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    path, target = tmp_path / "prices.csv", tmp_path / "there" / "prices.csv"
    path.write_bytes(CSV)
    refuse(monkeypatch, across, errno.EXDEV)
    unlink = Path.unlink

    def refusing(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise PermissionError(errno.EACCES, "in use")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refusing)  # as Windows does for a file that is open
    with pytest.raises(PermissionError):
        move(path, target)
    assert (path.read_bytes(), target.exists()) == (CSV, False)


# --- files that somebody is writing --------------------------------------------------------------------------


def test_a_sheet_that_is_being_written_is_left_and_the_others_are_not(job: Job) -> None:
    job.put("inbox/a.xlsx", workbook_bytes()[:-30], age_s=300)
    job.put("inbox/b.csv", age_s=200)
    with job.source.pending() as pending:
        assert seen(pending) == [(str(Path("inbox/b.csv")), CSV)]
        assert pending.left == (f"{Path('inbox/a.xlsx')}: still being written; the next turn looks again",)
    assert job.clock.slept_s == whole.MOST_WAIT_S


def test_a_sheet_that_becomes_whole_in_time_keeps_its_place(job: Job) -> None:
    first = job.put("inbox/a.xlsx", workbook_bytes()[:-30], age_s=300)
    job.put("inbox/b.csv", age_s=200)
    job.clock.during = [lambda: first.write_bytes(workbook_bytes())]
    assert [content for _, content in job.contents()] == [workbook_bytes(), CSV]
    assert job.clock.slept_s == 2 * whole.LOOK_S


def test_a_sheet_that_was_cut_off_long_ago_goes_to_the_failed_ones(job: Job) -> None:
    job.put("inbox/prices.xlsx", workbook_bytes()[:-30])
    job.clock.at += whole.QUIET_S + 60
    source = job.source
    with source.pending() as pending:
        with pytest.raises(SheetError):
            read_sheet(pending.sheets[0].path)
        source.finished(pending.sheets[0], is_good=False)
    assert files(job) == [f"failed/prices-{stamp(job)}.xlsx"]


def test_a_sheet_that_is_taken_away_in_between_is_no_problem(job: Job) -> None:
    job.clock.during = [job.put("inbox/a.csv").unlink]
    job.put("inbox/b.csv")
    with job.source.pending() as pending:
        assert ([found.path.name for found in pending], pending.left) == (["b.csv"], ())
