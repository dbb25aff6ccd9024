"""Every named way to damage a clean sheet is detected or read as if it were whole; what is no damage passes.

`pytest -s tests/e2e/test_damage.py` prints the table, and so does ``python -m tests.damage``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests import damage
from tests.damage import DAMAGES, Damage, Judged, Rows, clean_rows, column_changed, csv_bytes
from tests.e2e.conftest import Start, catalog_of
from tests.e2e.worlds import World


@pytest.fixture(scope="module")
def accounts() -> Iterator[list[World]]:
    """Two accounts that hold the clean sheet: one keeps what has no row, the other deletes it."""
    with damage.imported("keep") as keeping, damage.imported("delete") as deleting:
        yield [keeping, deleting]


@pytest.mark.parametrize("one", DAMAGES, ids=lambda one: one.name)
def test_a_damage_is_detected_or_reads_the_same(accounts: list[World], one: Damage) -> None:
    content = one.content(clean_rows())
    found = [damage.judge(account, content, one.suffix) for account in accounts]
    print(f"{found[0].outcome:10} {one.name:56} {' '.join(found[0].words.split())[:100]}")  # noqa: T201 - the table
    assert "missed" not in [judged.outcome for judged in found], found
    assert found[0].outcome == one.expect, found
    assert one.says in found[0].words


def test_there_are_more_than_thirty_damages_and_each_has_its_own_name() -> None:
    assert len({one.name for one in DAMAGES}) == len(DAMAGES) >= 60


def risen(price: str) -> str:
    return f"{(Decimal(price.replace(',', '.')) * Decimal('1.08')).quantize(Decimal('0.01'))}".replace(".", ",")


def more_rows(rows: Rows) -> Rows:
    return [*rows, *([f"N-{number}", f"Новинка {number}", *rows[number][2:]] for number in range(12))]


BENIGN: dict[str, tuple[Callable[[Rows], Rows], dict[str, int]]] = {
    "prices rise by 8 %": (lambda rows: column_changed("price", risen, rows), {"add": 0, "update": 60, "delete": 0}),
    "a fifth more rows": (more_rows, {"add": 12, "update": 0, "delete": 0}),
    "a new brand": (
        lambda rows: [*rows[:-1], [*rows[-1][:2], "Новий бренд", *rows[-1][3:]]],
        {"add": 0, "update": 0, "delete": 0},
    ),
    "a few products less": (lambda rows: rows[:-3], {"add": 0, "update": 0, "delete": 3}),
    "stock of every product counted anew": (
        lambda rows: column_changed("stock", lambda text: str(int(text) + 5 - int(text) % 11), rows),
        {"add": 0, "update": 0, "delete": 0},
    ),
    "some products sold out, some prices taken back": (
        lambda rows: column_changed("stock", lambda text: "0" if int(text) > 300 else text, rows),
        {"add": 0, "update": 0, "delete": 0},
    ),
}


@pytest.mark.parametrize("name", BENIGN)
def test_what_is_no_damage_is_imported_without_a_word(name: str, start: Start, tmp_path: Path) -> None:
    change, counts = BENIGN[name]
    shell = start(catalog_of(damage.FIELDS))
    sheet, mapping = tmp_path / "sheet.csv", tmp_path / "mapping.yaml"
    mapping.write_text(damage.MAPPING.format(missing="delete", unknown="skip"), encoding="utf-8")
    sheet.write_bytes(csv_bytes(clean_rows()))
    assert shell("import", sheet, "-m", mapping, "--yes") == 0, shell.err
    sheet.write_bytes(csv_bytes(change(clean_rows())))
    made = shell.plan(sheet, "-m", mapping)
    assert made["alarms"] == []
    if any(counts.values()):
        assert made["counts"] == counts
    assert shell("import", sheet, "-m", mapping, "--yes") == 0, shell.err
    assert shell.plan(sheet, "-m", mapping)["changes"] == []


def test_a_change_that_nothing_explains_counts_as_missed(accounts: list[World]) -> None:
    rows = column_changed("name", lambda name: name.replace("12", "21"), clean_rows())
    assert damage.judge(accounts[0], csv_bytes(rows), ".csv") == Judged(
        "missed", "{'add': 0, 'update': 10, 'delete': 0} "
    )
