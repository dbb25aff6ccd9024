"""A sheet named by its path or a pattern: which one counts, and when it is whole."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.errors import SheetError, Stopped, Temporary, UserError
from catalogsync.reader import limits, read_sheet
from catalogsync.reconcile import whole
from catalogsync.reconcile.copies import KEPT_S, Shelf, local_name, pieces_of
from catalogsync.reconcile.found import newest
from tests.reconcile.sourcing import CSV, FakeClock, Job, workbook_bytes


def test_a_path_is_relative_to_the_project_file(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    job.put("prices.csv")
    assert job.contents() == [("prices.csv", CSV)]


def test_a_path_may_be_absolute_or_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere.csv").write_bytes(CSV)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert Job(tmp_path, str(tmp_path / "elsewhere.csv")).contents() == [(str(tmp_path / "elsewhere.csv"), CSV)]
    assert Job(tmp_path, "~/elsewhere.csv").contents() == [(str(tmp_path / "elsewhere.csv"), CSV)]


def test_a_symlink_is_followed(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    (job.folder / "prices.csv").symlink_to(job.put("of-today.csv"))
    assert job.contents() == [("prices.csv", CSV)]


def test_the_copy_has_the_sheets_own_name_and_is_gone_afterwards(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    job.put("prices.csv")
    with job.source.pending() as pending:
        (found,) = pending
        assert (found.path.name, found.path.is_relative_to(job.state)) == ("prices.csv", True)
    assert job.stored() == []


def test_a_sheet_that_is_saved_while_it_is_read_changes_nothing_of_what_is_read(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    original = job.put("prices.csv")
    with job.source.pending() as pending:
        original.write_bytes(b"SKU,Price\nA-1,99\n")
        (found,) = pending
        assert found.path.read_bytes() == CSV


def test_a_missing_file_is_told_with_the_folder_that_was_looked_in(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    error = job.refusal()
    assert isinstance(error, UserError)
    assert str(error) == f"prices.csv: there is no such file (looked in {job.folder})"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    job = Job(tmp_path, "out/prices.csv")
    assert str(job.refusal()) == (
        f"{Path('out/prices.csv')}: there is no such file, and no folder {job.folder / 'out'}; "
        "a path is relative to the project file's folder"
    )


def test_the_newest_match_of_a_pattern_counts(tmp_path: Path) -> None:
    job = Job(tmp_path, "inbox/prices-*.csv")
    job.put("inbox/prices-a.csv", b"old", age_s=300)
    job.put("inbox/prices-b.csv", b"new", age_s=200)
    job.put("inbox/prices-c.csv", b"older", age_s=400)
    job.put("inbox/stock.csv", b"another", age_s=100)
    assert job.contents() == [(str(Path("inbox/prices-b.csv")), b"new")]


def test_of_matches_of_the_same_time_the_last_name_counts(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices-*.csv")
    for name in ("prices-2.csv", "prices-3.csv", "prices-1.csv"):
        job.put(name, name.encode())
    assert job.contents() == [("prices-3.csv", b"prices-3.csv")]


NO_SHEETS = [
    "~$prices.xlsx",
    ".~lock.prices.xlsx#",
    ".prices.xlsx",
    "prices.xlsx.crdownload",
    "prices.xlsx.part",
    "prices.xlsx.partial",
    "prices.xlsx.TMP",
    "prices.xlsx.filepart",
    "prices.xlsx~",
]


@pytest.mark.parametrize("name", NO_SHEETS)
def test_a_pattern_passes_over_what_is_no_sheet_yet(tmp_path: Path, name: str) -> None:
    job = Job(tmp_path, "*prices*")
    job.put("prices.csv", age_s=5000)
    job.put(name, b"newer", age_s=10)
    (job.folder / "prices").mkdir()
    assert job.contents() == [("prices.csv", CSV)]


def test_a_pattern_without_a_match_says_what_does_not_count(tmp_path: Path) -> None:
    job = Job(tmp_path, "inbox/prices-*.xlsx")
    job.put("inbox/~$prices-1.xlsx")
    assert str(job.refusal()) == (
        f"inbox/prices-*.xlsx: no file matches this pattern (looked in {job.folder / 'inbox'}; lock files and files "
        "that are hidden or on their way do not count)"
    )


def test_a_file_whose_name_has_brackets_is_no_pattern_where_it_is_there(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices [1].csv")
    job.put("prices [1].csv", b"this one")
    job.put("prices 1.csv", b"not this one")
    assert job.contents() == [("prices [1].csv", b"this one")]


def test_brackets_in_the_projects_own_folder_are_no_pattern(tmp_path: Path) -> None:
    root = tmp_path / "shop [old]"
    root.mkdir()
    job = Job(root, "*.csv")
    job.put("prices.csv")
    assert job.contents() == [("prices.csv", CSV)]


# Two writers may share a second, and people's names come in every alphabet.
FILES = st.lists(
    st.tuples(st.integers(0, 3).map(float), st.text("abcя1-_ ", min_size=1)), unique_by=lambda file: file[1]
)


@given(FILES, st.randoms())
def test_the_newest_depends_on_time_and_name_only(files: list[tuple[float, str]], random: object) -> None:
    name = newest(iter(files))
    if not files:
        assert name is None
        return
    shuffled = list(files)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert newest(iter(shuffled)) == name
    latest = max(at for at, _ in files)
    assert name == sorted(name for at, name in files if at == latest)[-1]


# --- files that somebody is writing --------------------------------------------------------------------------


def test_a_file_that_grows_is_waited_for(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    path = job.put("prices.csv", b"SKU,")
    job.clock.during = [
        lambda: path.write_bytes(b"SKU,Price\n"),
        lambda: path.write_bytes(CSV),
    ]
    assert job.contents() == [("prices.csv", CSV)]
    assert job.clock.slept_s == 3 * whole.LOOK_S


def test_a_file_that_never_stops_growing_is_refused_in_the_end(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    path = job.put("prices.csv")

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"A-2,20\n")

    job.clock.during = [grow] * 1000
    error = job.refusal()
    assert (type(error), error.exit_code) == (Temporary, 6)
    assert str(error) == "prices.csv: still being written; the next turn looks again"
    assert job.clock.slept_s == whole.MOST_WAIT_S
    assert job.stored() == []


def test_a_change_without_another_size_is_seen(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    path = job.put("prices.csv", CSV, age_s=3600)

    def rewrite() -> None:
        path.write_bytes(CSV.replace(b"10", b"12"))
        os.utime(path, (job.clock.at, job.clock.at))

    job.clock.during = [rewrite]
    assert job.contents() == [("prices.csv", CSV.replace(b"10", b"12"))]
    assert job.clock.slept_s == 2 * whole.LOOK_S


def test_a_file_that_changes_while_it_is_copied_is_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(tmp_path, "prices.csv")
    path = job.put("prices.csv")
    writes = [b"SKU,Price\nA-1,10\nA-2,20\n"]

    def disturbed(source: Path) -> list[bytes]:  # no clock passes while a file is copied, so nothing else can disturb
        pieces = list(pieces_of(source))
        if writes:
            path.write_bytes(writes.pop())
        return pieces

    monkeypatch.setattr(whole, "pieces_of", disturbed)
    assert job.contents() == [("prices.csv", b"SKU,Price\nA-1,10\nA-2,20\n")]


def test_a_workbook_without_its_end_is_waited_for(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.xlsx")
    path = job.put("prices.xlsx", workbook_bytes()[:-30])
    job.clock.during = [lambda: None] * 5 + [lambda: path.write_bytes(workbook_bytes())]
    assert job.contents() == [("prices.xlsx", workbook_bytes())]


@pytest.mark.parametrize(("content", "words"), [(b"", " is empty"), (workbook_bytes()[:-30], ": still being written")])
def test_what_cannot_be_whole_is_not_given_to_the_reader(tmp_path: Path, content: bytes, words: str) -> None:
    job = Job(tmp_path, "prices.xlsx")
    job.put("prices.xlsx", content)
    error = job.refusal()
    assert (type(error), str(error)) == (
        Temporary,
        f"prices.xlsx{words}; the next turn looks again",
    )


def test_a_workbook_that_has_been_cut_off_for_long_is_read_and_refused_as_damaged(tmp_path: Path) -> None:
    clock = FakeClock()
    clock.at += whole.QUIET_S + 60
    job = Job(tmp_path, "prices.xlsx", clock)
    job.put("prices.xlsx", workbook_bytes()[:-30])
    with job.source.pending() as pending:
        (found,) = pending
        with pytest.raises(SheetError, match=r"^prices.xlsx is a workbook .* that is cut off or damaged"):
            read_sheet(found.path)


def test_a_file_that_is_replaced_by_a_save_is_found_again(tmp_path: Path) -> None:
    """Excel and others write another file, remove the old one and rename the new one."""
    job = Job(tmp_path, "prices.csv")
    path = job.put("prices.csv")
    job.clock.during = [path.unlink, lambda: path.write_bytes(b"SKU\nnew\n")]
    assert job.contents() == [("prices.csv", b"SKU\nnew\n")]


def test_a_file_that_goes_away_is_told_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    job.clock.during = [job.put("prices.csv").unlink]
    error = job.refusal()
    assert str(error) == "prices.csv: there is no such file any more; it was there a moment ago"
    assert job.clock.slept_s == 2 * whole.LOOK_S


def test_a_file_that_another_program_holds_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Windows refuses to open a file that is being written: here the error is raised for it."""
    job = Job(tmp_path, "prices.csv")
    path = job.put("prices.csv")
    opened, held = Path.open, [True]

    def holding(self: Path, *arguments: Any, **named: Any) -> Any:
        if self == path and held:
            raise PermissionError(errno.EACCES, "in use")
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", holding)
    error = job.refusal()
    assert (type(error), str(error), job.clock.slept_s) == (
        UserError,
        "prices.csv may not be read: permission denied, or another program holds it open",
        whole.MOST_WAIT_S,
    )
    job.clock.during = [lambda: None, held.clear]
    assert job.contents() == [("prices.csv", CSV)]


@pytest.mark.parametrize("sheet", ["", " ", "prices\0.csv"])
def test_what_names_nothing_is_told(tmp_path: Path, sheet: str) -> None:
    with pytest.raises(UserError, match=r"^`sheet:` of the job names a file, a pattern"):
        _ = Job(tmp_path, sheet).source


def test_a_name_that_no_disk_can_hold_is_a_missing_file(tmp_path: Path) -> None:
    assert "there is no such file" in str(Job(tmp_path, "x" * 5000).refusal())


def test_a_home_folder_of_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^~nobody-of-this-name/prices.csv: this machine knows no home folder"):
        _ = Job(tmp_path, "~nobody-of-this-name/prices.csv").source


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    job.put("prices.csv").chmod(0)
    error = job.refusal()
    assert (type(error), str(error)) == (
        UserError,
        "prices.csv may not be read: permission denied, or another program holds it open",
    )


def test_a_file_larger_than_any_sheet_is_copied_only_so_far_that_the_reader_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_FILE_BYTES", 3 << 20)
    job = Job(tmp_path, "prices.csv")
    job.put("prices.csv", b"A" * (10 << 20))
    with job.source.pending() as pending:
        (found,) = pending
        assert found.path.stat().st_size == 4 << 20
        with pytest.raises(SheetError, match="larger than 3 MB"):
            read_sheet(found.path)


def test_who_asks_to_stop_does_not_wait_for_a_file(tmp_path: Path) -> None:
    """Sleeping ends at once then: looks would follow one another without a pause."""
    job = Job(tmp_path, "prices.xlsx")
    job.put("prices.xlsx", workbook_bytes()[:-30])
    job.clock.during = [lambda: job.stop.ask(15)]
    error = job.refusal()
    assert (type(error), error.exit_code, job.clock.slept_s) == (Stopped, 143, whole.LOOK_S)
    assert job.stored() == []


def test_who_asks_to_stop_does_not_wait_for_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(tmp_path, "prices.csv")
    job.put("prices.csv")

    def endless(path: Path) -> Iterator[bytes]:  # a disk that is far away
        while True:
            yield b"x"
            job.stop.ask(2)

    monkeypatch.setattr(whole, "pieces_of", endless)
    assert (type(job.refusal()), job.stored()) == (Stopped, [])


# --- the state folder ----------------------------------------------------------------------------------------


def test_copies_of_a_process_that_was_killed_are_removed_and_those_in_use_are_not(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "one/job")
    with shelf.holding(0) as ours:
        dead = ours.with_name("held-dead")
        dead.mkdir()
        (dead / "prices.csv").write_bytes(CSV)
        with shelf.holding(0) as another:
            assert (ours.is_dir(), another.is_dir(), dead.exists()) == (True, True, False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_copies_of_a_process_that_is_killed_are_in_use_until_then(tmp_path: Path) -> None:
    probe = (
        "import sys, pathlib; from catalogsync.reconcile.copies import Shelf\n"
        "with Shelf(pathlib.Path(sys.argv[1]), 'one/job').holding(0) as folder:\n"
        "    (folder / 'prices.csv').write_bytes(b'x'); print(folder, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", probe, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        with Shelf(tmp_path, "one/job").holding(0):
            assert (theirs / "prices.csv").exists()
        process.kill()
        process.wait()
    with Shelf(tmp_path, "one/job").holding(0):
        assert not theirs.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_no_job_asks_for_any_more_is_removed(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet"
    sheet.write_bytes(CSV)
    old, current = Shelf(tmp_path, "gone/job"), Shelf(tmp_path, "one/job")
    for shelf in (old, current):
        with shelf.holding(0):
            shelf.keep(sheet, now=0)
    current.touch(KEPT_S)
    with current.holding(KEPT_S + 60):
        assert (old.kept.exists(), current.kept.exists()) == (False, True)


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    job = Job(tmp_path, "prices.csv")
    job.put("prices.csv")
    (job.state / "sheets").write_bytes(b"a file stands in the way")
    assert "the sheet cannot be copied here" in str(job.refusal())
    assert "CATALOGSYNC_STATE moves it" in str(job.refusal())


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("prices.xlsx", "prices.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:prices.csv", "C_prices.csv"),
        ("nul.csv", "_nul.csv"),
        ("null.csv", "null.csv"),
        ("a\x00b\n.csv", "a_b_.csv"),
        ("..", "sheet"),
        ("", "sheet"),
        ("/", "sheet"),
        (f"{'ж' * 300}.xlsx", f"{'ж' * 90}.xlsx"),
        ("Цены 2026.xlsx", "Цены 2026.xlsx"),
    ],
)
def test_a_name_from_elsewhere_leads_to_no_other_folder(given: str, made: str) -> None:
    assert local_name(given) == made
