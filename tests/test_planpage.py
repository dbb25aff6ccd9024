"""The page of a plan: what it holds, that nothing of the data is markup, and what a real browser makes of it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from catalogsync.errors import Problem
from catalogsync.model import Add, AddOptions, Ceiling, Clash, Delete, Update
from catalogsync.plan import Plan, Shown
from catalogsync.planpage import LONGEST, page_of
from tests.browser import document_of, needs_browser, text_of
from tests.builders import made_plan

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\u2028&amp;{{style}}"


def data_of(page: str) -> Any:
    """What the page's script is given."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def update(before: str, after: str, key: str = "2") -> Plan:
    return made_plan(Update(1, "A", 3, 102, 1102, {key: before}, {key: after}))


def line(plan: Plan) -> Any:
    """The first value of the first entry, as the page shows it."""
    return data_of(page_of(plan, rps=7))["items"][0]["lines"][0][1]


def full_plan() -> Plan:
    """A plan with something of everything."""
    return made_plan(
        Update(1, "B", 3, 102, 1102, {"5": "51"}, {"5": "52"}),
        Add(2, "A", 2, {"2": "80", "name": "Pencil"}),
        Delete(3, "C", 103, "Eraser", 1103),
        columns={
            "name": Shown("Product"),
            "2": Shown("Price", "price"),
            "5": Shown("Colour", "select", {"51": "Red", "52": "Blue"}),
        },
        rejected_rows=1,
        rejected=(Problem("prices.csv:4 (Price)", "is empty", "fill it"),),
        warnings=(Problem("prices.csv:9", "looks odd"),),
        notes=("3 elements have no row",),
        guards={"delete": Ceiling(0)},
        clashes=(Clash("conflict", "B", 3, 102, "2", "75", "80", "90"), Clash("deleted", "D", 5, 104)),
        options=(AddOptions(5, ("Purple",)),),
    )


def test_the_page_shows_what_the_terminal_shows() -> None:
    plan = full_plan()
    page = page_of(plan, rps=7)
    static = html.unescape(re.sub("<[^>]+>", "", page.partition('<div class="tools"')[0]))
    for words in (
        "Products (catalog 4220)",
        "← prices.csv",
        "Plan: 1 to add, 1 to update, 1 to delete, 1 new option; 3 unchanged, 1 rows rejected, 1 conflict,",
        f"1 write request, less than a second at 7 requests per second. Digest {plan.digest}.",
        "guard delete: the plan would delete 1 of 10 elements (10%), the ceiling is 0",
        'Colour: "Purple"',
        "3 elements have no row",
        "prices.csv:9: looks odd",
        "Made 2025-10-09 08:53 UTC",
    ):
        assert words in static
    assert data_of(page)["items"] == [
        {
            "kind": "update",
            "label": "update",
            "key": "B",
            "where": "prices.csv:3, element 102",
            "lines": [["Colour", {"old": "Red", "new": "Blue"}]],
        },
        {
            "kind": "add",
            "label": "add",
            "key": "A",
            "where": "prices.csv:2",
            "lines": [["Product", {"old": "", "new": "Pencil"}], ["Price", {"old": "", "new": "80"}]],
        },
        {
            "kind": "delete",
            "label": "delete",
            "key": "C",
            "where": "element 103",
            "lines": [["element", {"old": "Eraser", "new": "(deleted)"}]],
        },
        {
            "kind": "conflict",
            "label": "conflict, nothing is sent",
            "key": "B",
            "where": "prices.csv:3, element 102",
            "lines": [
                ["Price, was", {"old": "", "new": "75"}],
                ["Price, the sheet says", {"old": "", "new": "80"}],
                ["Price, the catalog says", {"old": "", "new": "90"}],
            ],
        },
        {
            "kind": "conflict",
            "label": "deleted in the CRM, not added again",
            "key": "D",
            "where": "prices.csv:5, element 104",
            "lines": [],
        },
        {
            "kind": "rejected",
            "label": "rejected",
            "key": "prices.csv:4 (Price)",
            "where": "",
            "lines": [["problem", {"old": "", "new": "is empty"}], ["what to do", {"old": "", "new": "fill it"}]],
        },
    ]


# --- nothing of the data is markup, nothing is asked of the network ---


def evil_plan() -> Plan:
    problem = Problem(EVIL, EVIL, EVIL)
    return made_plan(
        Add(1, EVIL, 2, {"name": EVIL, "2": EVIL}),
        Update(2, EVIL, 3, 102, 1102, {"2": f"a long text {EVIL}"}, {"2": f"a long text, {EVIL}"}),
        Delete(3, EVIL, 103, EVIL, 1103),
        catalog_name=EVIL,
        source=EVIL,
        columns={"name": Shown(EVIL), "2": Shown(EVIL)},
        rejected=(problem,),
        warnings=(problem,),
        notes=(EVIL,),
        alarms=(problem,),
        clashes=(Clash("conflict", EVIL, 3, 102, "2", EVIL, EVIL, EVIL),),
        options=(AddOptions(2, (EVIL,)),),
    )


def test_no_data_becomes_markup_ends_the_script_or_fills_a_place_of_the_template() -> None:
    page, plain = page_of(evil_plan(), rps=7), page_of(made_plan(), rps=7)
    assert EVIL not in page
    assert page.count("<script") == plain.count("<script") == 2
    assert page.count("</script") == 2
    assert "<img" not in page
    assert page.count("<style") == page.count("</style") == 1
    assert len(page.split("color-scheme")) == len(plain.split("color-scheme"))
    data = data_of(page)
    assert data["items"][0]["key"] == EVIL
    assert data["items"][0]["lines"] == [[EVIL, {"old": "", "new": EVIL}]] * 2


def test_the_page_asks_the_network_for_nothing_and_forbids_it() -> None:
    page = page_of(full_plan(), rps=7)
    assert not re.search(r"https?://|//[a-z]+\.|url\(|@import|<link|<img|<iframe", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")


def test_half_a_character_does_not_keep_the_page_from_being_written() -> None:
    plan = made_plan(catalog_name="\ud83d", clashes=(Clash("deleted", "\ud83d", 5, 104),))
    page = page_of(plan, rps=7)
    page.encode("utf-8")
    assert data_of(page)["items"][0]["key"] == "\ud83d"


# --- what changed inside a text ---


def test_a_changed_word_of_a_long_text_is_marked_and_the_rest_is_not() -> None:
    assert line(update("A soft pencil, made of cedar wood.", "A hard pencil, made of cedar wood.")) == [
        [" ", "A "],
        ["-", "soft"],
        ["+", "hard"],
        [" ", " pencil, made of cedar wood."],
    ]


def test_long_unchanged_stretches_are_left_out_in_their_middle() -> None:
    same = "word " * 100
    assert line(update(f"{same}old end", f"{same}new end")) == [
        [" ", "word " * 12],
        ["…", " … 380 characters the same … "],
        [" ", "word " * 12],
        ["-", "old"],
        ["+", "new"],
        [" ", " end"],
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [("75", "78.5"), ("", "new"), ("one two three", "four five six"), ("a x " * 400 + "z", "a y " * 400)],
    ids=["short", "was empty", "nothing in common", "too much to compare"],
)
def test_texts_with_little_in_common_are_shown_whole(before: str, after: str) -> None:
    assert line(update(before, after)) == {"old": before, "new": after}


def test_a_cleared_value_says_so_and_a_very_long_one_is_cut_and_told() -> None:
    assert line(update("75", "")) == {"old": "75", "new": "(cleared)"}
    assert line(update("75", "x" * (LONGEST + 3)))["new"] == "x" * LONGEST + "… (3 more characters)"


# --- a real browser ---


def written(folder: Path, plan: Plan) -> Path:
    path = folder / "plan.html"
    path.write_text(page_of(plan, rps=7), encoding="utf-8")
    return path


def many() -> Plan:
    """5,000 changes: 4,000 updates of a long text, 900 adds, 100 deletes."""
    text = "A soft pencil, made of cedar wood, for drawing and for writing. " * 5
    changes: list[Any] = [
        Update(n, f"U{n:04}", n, n, 1, {"2": text}, {"2": text.replace("soft", f"hard{n}")}) for n in range(1, 4001)
    ]
    changes += [Add(n, f"A{n:04}", n, {"name": "Ruler", "2": str(n)}) for n in range(4001, 4901)]
    changes += [Delete(n, f"D{n:04}", n, "Eraser", 1) for n in range(4901, 5001)]
    return made_plan(*changes)


@needs_browser
def test_a_browser_shows_the_counts_of_5000_changes_and_a_first_piece_of_them(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, many()))
    assert text_of(document, "shown") == "5000 of 5000 entries, the first 200 shown"
    assert text_of(document, "more") == "Show 200 more"
    assert re.findall(r'data-kind="\w+"[^>]*>(\w+(?: \w+)? \d+)<', document) == [
        "Adds 900",
        "Updates 4000",
        "Deletes 100",
        "Conflicts 0",
        "Rejected rows 0",
    ]
    assert document.count("<article") == 200
    assert "<del>soft</del><ins>hard1</ins>" in document


@needs_browser
def test_a_browser_finds_and_filters(tmp_path: Path) -> None:
    page = written(tmp_path, many())
    document = document_of(page, "q=hard17%20cedar")
    assert text_of(document, "shown") == "111 of 5000 entries"  # hard17, hard170… and hard1700…
    document = document_of(page, "kind=delete&kind=add&q=d49")
    assert text_of(document, "shown") == "99 of 5000 entries"
    assert document.count("<article") == 99


@needs_browser
def test_a_browser_runs_nothing_of_the_data(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, evil_plan()))
    assert text_of(document, "shown") == "5 of 5 entries"
    assert "owned" not in re.findall(r"<title>([^<]*)", document)[0].replace("='owned'", "")
    assert "<img" not in document
    assert html.escape(EVIL, quote=False) in document
