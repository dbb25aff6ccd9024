"""Sheet codecs: what each type's cells mean, what is refused and in which words, and the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalogsync import captions, fields, numbertext
from catalogsync.celltext import CellError, clean_text, is_too_long_mark, quoted
from catalogsync.model import Column, Field
from catalogsync.moments import as_date, is_second_time
from tests.builders import column


def parse(text: str, one: Column) -> str:
    """One cell through its column's codec; CellError where it cannot be read."""
    values, errors = fields.parse_column(pd.Series([text], dtype="str"), one)
    for error in errors.values():
        raise error
    return str(values[0])


def refusal(text: str, one: Column) -> tuple[str, str]:
    """What is said about a cell, and the hint."""
    with pytest.raises(CellError) as caught:
        parse(text, one)
    return caught.value.what, caught.value.hint


# --- text ----------------------------------------------------------------------------------------------------

TEXT_LIKE = ("text", "textarea", "url", "streetaddress", "smart_address", "legal_entity", "a type of tomorrow")


@pytest.mark.parametrize("type_", TEXT_LIKE)
@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("00123", "00123"),
        ("  Oak \t", "Oak"),
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree"),
        ("=1+1", "=1+1"),
        ("no", "no"),
        ("1,50", "1,50"),
        ("2  blanks", "2  blanks"),
        ("   ", ""),
        ("", ""),
    ],
)
def test_text_stays_as_written_less_outer_blanks(type_: str, text: str, canonical: str) -> None:
    assert parse(text, column(type_)) == canonical


@pytest.mark.parametrize(
    ("type_", "is_known"), [("text", True), ("items", True), ("legal_entity", True), ("file", False)]
)
def test_a_type_without_codec_of_its_own_is_told_apart(type_: str, is_known: bool) -> None:
    assert fields.is_known(Field(1, "x", type_)) is is_known


# --- numbers -------------------------------------------------------------------------------------------------

NUMBERS: list[tuple[str, str, str]] = [
    # cell, `decimal:`, canonical
    ("80", "", "80"),
    ("80.0", "", "80"),
    ("0080", "", "80"),
    ("-0", "", "0"),
    ("-0.00", "", "0"),
    ("+5", "", "5"),
    (".5", "", "0.5"),
    (" 7 ", "", "7"),
    ("1 388", "", "1388"),
    ("1\u00a0388.5", "", "1388.5"),
    ("1\u202f388\u202f000", "", "1388000"),
    ("1\u2009388", "", "1388"),
    ("1'388.50", "", "1388.5"),
    ("1’388.50", "", "1388.5"),
    ("1,388.73", ".", "1388.73"),
    ("1,388.73р.", ".", "1388.73"),
    ("1,234,567", ".", "1234567"),
    ("78,50", ",", "78.5"),
    ("1.388,73", ",", "1388.73"),
    ("1.388.000", ",", "1388000"),
    ("1 388,73 руб.", ",", "1388.73"),
    ("-1.388,00", ",", "-1388"),
    (",5", ",", "0.5"),
    ("1.234", ",", "1234"),  # a point groups thousands where the comma is the decimal sign
    ("$5", "", "5"),
    ("5 €", "", "5"),
    ("€ -5", "", "-5"),
    ("R$ 12,90", ",", "12.9"),
    ("12 zł", "", "12"),
    ("5 USD", "", "5"),
    ("eur 5", "", "5"),
    ("15%", "", "15"),
    ("15 %", "", "15"),
    ("0.1", "", "0.1"),
    ("123456789012345678.123456789012345678", "", "123456789012345678.123456789012345678"),
    ("9" * 99, "", "9" * 99),
    ("9" * 300, "", "9" * 300),
    ("0." + "0" * 40 + "1", "", "0." + "0" * 40 + "1"),
]


@pytest.mark.parametrize("type_", sorted(fields.NUMBER_TYPES))
@pytest.mark.parametrize(("text", "decimal", "canonical"), NUMBERS)
def test_a_number_as_people_write_it(type_: str, text: str, decimal: str, canonical: str) -> None:
    assert parse(text, column(type_, decimal=decimal)) == canonical


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("1.2.3", ""),
        ("12 34", ""),
        ("1 2345", ""),
        ("1,23.4", "."),
        ("1.38,5", ","),
        ("1,5,0", ","),
        ("5-", ""),
        ("(5)", ""),
        ("--5", ""),
        ("−5", ""),
        ("5.", ""),
        ("$5€", ""),
        ("5 pcs", ""),
        ("5 EUR/kg", ""),
        ("٣", ""),
        ("1\n000", ""),
        ("0x10", ""),
        ("1_000", ""),
        ("9" * 101 + ".0", ""),
    ],
)
def test_what_is_no_number_is_refused(text: str, decimal: str) -> None:
    assert refusal(text, column("numeric", decimal=decimal)) == (f"{quoted(text)} is not a number", "")


@pytest.mark.parametrize("text", ["abc", "-", "NaN", "Infinity", "по запиту"])
def test_a_word_in_a_column_of_numbers_may_mean_no_value(text: str) -> None:
    hint = f'if that means no value: `empty: "{text}"`'
    assert refusal(text, column("numeric")) == (f"{quoted(text)} is not a number", hint)


@pytest.mark.parametrize("kind", ["text", "numeric", "date", "checkbox", "select", "multiselect"])
def test_the_texts_that_the_mapping_declares_empty_are_empty_cells(kind: str) -> None:
    empties = frozenset(map(captions.folded, ["По запиту", "-", "н.д."]))
    cells = pd.Series([" по  запиту", "-", "Н.Д.", "", "- 5"], dtype="str")
    values, errors = fields.parse_column(cells, column(kind, empties=empties))
    assert list(values[:4]) == [""] * 4
    assert "- 5" in errors or (kind, values[4]) == ("text", "- 5")


@pytest.mark.parametrize("text", ["1,5", "1,388.73", "1,388"])
def test_a_comma_is_not_guessed(text: str) -> None:
    hint = 'a comma may be a decimal or a thousands sign: set `decimal: ","` or `decimal: "."`'
    assert refusal(text, column("price")) == (f'"{text}" is not a number', hint)


@pytest.mark.parametrize("text", ["8.80609E+12", "8,80609e12", "1E5", "-2e+3"])
def test_a_number_that_excel_shortened_is_refused(text: str) -> None:
    what, hint = refusal(text, column("numeric", decimal=","))
    assert (what, hint) == (f'"{text}" is a number that Excel shortened', "its digits are lost; export it as text")


@pytest.mark.parametrize(("text", "canonical"), [("5 €", "5"), ("5", "5"), ("EUR 5", "5"), ("5%", "5")])
def test_the_mappings_currency_admits_itself_and_bare_numbers(text: str, canonical: str) -> None:
    assert parse(text, column("price", currency="EUR")) == canonical


def test_another_currency_than_the_mappings_is_refused() -> None:
    hint = "the mapping's `currency:` says which counts"
    assert refusal("$5", column("price", currency="EUR")) == ('"$5" is not in EUR', hint)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("$5", "USD"),
        ("1,388.73р.", "RUB"),
        ("5 ГРН", "UAH"),
        ("R$ 5", "BRL"),
        ("5 chf", "CHF"),
        ("5", ""),
        ("5%", ""),
        ("5 pcs", ""),
        ("$5€", ""),
        ("€", ""),
        ("", ""),
        ("1" * 30_000 + "x1x", ""),
    ],
)
def test_the_currency_beside_a_number(text: str, currency: str) -> None:
    assert numbertext.currency_of(text) == currency


_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=6)


@given(_DECIMALS)
def test_a_number_is_worth_what_decimal_says(number: Decimal) -> None:
    canonical = parse(format(number, "f"), column("numeric"))
    assert Decimal(canonical) == number
    assert parse(canonical, column("numeric")) == canonical
    assert canonical == numbertext.canonical_number(str(number))


@given(_DECIMALS, st.sampled_from([(",", "."), (",", " "), (",", "\u00a0"), (".", ","), (".", "'"), ("", " ")]))
def test_a_grouped_number_is_worth_what_decimal_says(number: Decimal, signs: tuple[str, str]) -> None:
    decimal, group = signs
    written = format(number, ",f").translate({ord(","): group, ord("."): decimal or "."})
    assert Decimal(parse(written, column("price", decimal=decimal))) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.sampled_from(["", ",", "."]))
def test_numbers_are_read_as_they_are_shown_with_every_decimal_sign(number: Decimal, decimal: str) -> None:
    canonical = numbertext.plain_decimal(number)
    price = column("price", decimal=decimal)
    assert fields.show(canonical, price) == canonical.replace(".", decimal or ".")
    assert parse(fields.show(canonical, price), price) == canonical


def test_a_point_that_groups_no_thousands_is_refused_where_the_comma_is_the_decimal_sign() -> None:
    assert refusal("12.5", column("price", decimal=",")) == ('"12.5" is not a number', "")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("80.00", "80"),
        ("8E+1", "80"),
        ("1e-3", "0.001"),
        ("-0.0", "0"),
        ("about 5", "about 5"),
        ("NaN", "NaN"),
        ("", ""),
        ("1e999999999", "1e999999999"),
        ("1e-999999999", "1e-999999999"),
    ],
)
def test_the_catalogs_numbers_become_canonical_and_the_rest_still_compares(text: str, canonical: str) -> None:
    assert numbertext.canonical_number(text) == canonical


# --- checkbox ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["1", "yes", "YES", "True", "on", "x", "X", "+", "✓", "да", "ДА", "Sí", " sim ", "tak", "oui"]
)
def test_words_for_yes(word: str) -> None:
    assert parse(word, column("checkbox")) == "1"


@pytest.mark.parametrize("word", ["0", "no", "NO", "False", "off", "-", "нет", "Não", "nie", "non"])
def test_words_for_no(word: str) -> None:
    assert parse(word, column("checkbox")) == "0"


@pytest.mark.parametrize("word", ["2", "maybe", "1.0", "yes please", "nil"])
def test_other_words_are_neither_yes_nor_no(word: str) -> None:
    assert refusal(word, column("checkbox")) == (
        f'"{word}" is not yes or no',
        "write yes/no, true/false, 1/0 or да/нет",
    )


# --- dates ---------------------------------------------------------------------------------------------------

DATES: list[tuple[str, tuple[str, ...], str]] = [
    ("2024-02-29", (), "2024-02-29"),
    ("2024-2-9", (), "2024-02-09"),
    ("2024/02/29", (), "2024-02-29"),
    ("29.02.2024", (), "2024-02-29"),
    ("9.2.2024", (), "2024-02-09"),
    ("2024-02-29 00:00:00", (), "2024-02-29"),
    ("2024-02-29T00:00:00Z", (), "2024-02-29"),
    (" 2024-02-29 ", (), "2024-02-29"),
    ("0001-01-01", (), "0001-01-01"),
    ("9999-12-31", (), "9999-12-31"),
    ("29/02/2024", ("%d/%m/%Y",), "2024-02-29"),
    ("03/04/2024", ("%m/%d/%Y",), "2024-03-04"),
    ("2024.02.29", ("%d/%m/%Y", "%Y.%m.%d"), "2024-02-29"),
    ("2024-02-29", ("%d/%m/%Y",), "2024-02-29"),  # a date cell of a workbook
]


@pytest.mark.parametrize("type_", ["date", "birthday"])
@pytest.mark.parametrize(("text", "formats", "canonical"), DATES)
def test_a_date(type_: str, text: str, formats: tuple[str, ...], canonical: str) -> None:
    assert parse(text, column(type_, formats=formats)) == canonical


_GUESS = "is not a date that can be read without guessing"


@pytest.mark.parametrize(
    ("text", "formats", "what", "hint"),
    [
        ("03/04/2024", (), f'"03/04/2024" {_GUESS}', 'set `format:`, for example `format: "%d/%m/%Y"`'),
        ("3.4.24", (), f'"3.4.24" {_GUESS}', 'set `format:`, for example `format: "%d/%m/%Y"`'),
        ("45351", (), f'"45351" {_GUESS}', 'set `format:`, for example `format: "%d/%m/%Y"`'),
        ("2024/02/29", ("%d/%m/%Y", "%d.%m.%Y"), f'"2024/02/29" {_GUESS}', "expected %d/%m/%Y or %d.%m.%Y"),
        ("2023-02-29", (), '"2023-02-29" is not a date', ""),
        ("2024-02-29 25:00", (), '"2024-02-29 25:00" is not a date', ""),
        ("2024-02-29 noon", (), '"2024-02-29 noon" is not a date', ""),
        ("2024-02-29 +02:00", (), '"2024-02-29 +02:00" is not a date', ""),
        ("2024-02-29 10:30", (), '"2024-02-29 10:30" has a time of day, the field holds a date only', ""),
    ],
)
def test_a_date_that_cannot_be_read(text: str, formats: tuple[str, ...], what: str, hint: str) -> None:
    assert refusal(text, column("date", formats=formats)) == (what, hint)


def _unix(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> str:
    return str(int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()))


@pytest.mark.parametrize(
    ("text", "zone", "canonical"),
    [
        ("2024-01-05 10:30", "Europe/Riga", _unix(2024, 1, 5, 8, 30)),
        ("2024-07-05 10:30:15", "Europe/Riga", _unix(2024, 7, 5, 7, 30, 15)),
        ("2024-07-05", "Europe/Riga", _unix(2024, 7, 4, 21)),
        ("05.07.2024 10:30", "America/Sao_Paulo", _unix(2024, 7, 5, 13, 30)),
        ("2024-01-05T10:30:00Z", "Europe/Riga", _unix(2024, 1, 5, 10, 30)),
        ("2024-01-05T10:30:00+05:30", "Europe/Riga", _unix(2024, 1, 5, 5)),
        ("2024-01-05 10:30 -0300", "Europe/Riga", _unix(2024, 1, 5, 13, 30)),
        ("2024-07-05 10:30:15.973000000", "Europe/Riga", _unix(2024, 7, 5, 7, 30, 15)),
        ("2024-07-05T07:30:15.9Z", "Europe/Riga", _unix(2024, 7, 5, 7, 30, 15)),
        ("1969-12-31 23:59:59", "UTC", "-1"),
        ("1970-01-01 00:00", "UTC", "0"),
        ("2024-03-31 02:59:59", "Europe/Riga", _unix(2024, 3, 31, 0, 59, 59)),  # the last second before the skip
        ("2024-03-31 04:00", "Europe/Riga", _unix(2024, 3, 31, 1)),  # the first after it
        ("2024-10-27 03:30+03:00", "Europe/Riga", _unix(2024, 10, 27, 0, 30)),  # the first of the two
        ("2024-10-27 03:30+02:00", "Europe/Riga", _unix(2024, 10, 27, 1, 30)),  # the second
    ],
)
def test_a_moment_is_counted_in_the_accounts_zone(text: str, zone: str, canonical: str) -> None:
    assert parse(text, column("date_time", timezone=zone)) == canonical


@pytest.mark.parametrize("text", ["2024-03-31 03:00", "2024-03-31 03:59:59", "2024-10-27 03:00", "2024-10-27 03:30:00"])
def test_an_hour_that_clocks_skip_or_repeat_is_refused(text: str) -> None:
    what, hint = refusal(text, column("date_time"))
    assert what == f'"{text}" falls into the hour that clocks skip or repeat in Europe/Riga'
    assert hint == "write the offset too, as in 2024-10-27 03:30:00+03:00"


def test_the_second_of_a_repeated_hour_is_told_from_the_first() -> None:
    assert is_second_time("1729992600", "Europe/Riga")
    assert not is_second_time("1729989000", "Europe/Riga")
    assert not is_second_time("1729992600", "UTC")
    assert not is_second_time("soon", "Europe/Riga")


@pytest.mark.parametrize("text", ["0001-01-01 00:00", "9999-12-31T23:59:59-05:00"])
def test_a_moment_that_no_calendar_holds_is_refused(text: str) -> None:
    what, _ = refusal(text, column("date_time"))
    assert what == f'"{text}" is outside the years 1 to 9999 in Europe/Riga'


def test_a_moment_uses_the_mappings_format() -> None:
    one = column("date_time", formats=("%d/%m/%Y %H:%M",), timezone="UTC")
    assert parse("05/07/2024 10:30", one) == _unix(2024, 7, 5, 10, 30)


@pytest.mark.parametrize(
    ("text", "is_day"), [("2024-02-29", True), ("2024-02-30", False), ("", False), ("soon", False)]
)
def test_as_date_knows_days(text: str, is_day: bool) -> None:
    assert (as_date(text) is not None) is is_day


# --- options -------------------------------------------------------------------------------------------------

COLOURS = {51: "Red", 52: "Dark blue", 53: "Salt &amp; pepper", 54: 'B&W "2"', 55: "red"}


@pytest.mark.parametrize("type_", ["select", "radiobutton", "category"])
@pytest.mark.parametrize(
    ("label", "id_"),
    [
        ("Red", "51"),
        ("red", "55"),
        (" Red ", "51"),
        ("DARK  BLUE", "52"),
        ("dark\u00a0blue", "52"),
        ("Salt & pepper", "53"),
        ("Salt &amp; pepper", "53"),
        ("salt & PEPPER", "53"),
        ("B&amp;W &quot;2&quot;", "54"),
        ("52", "52"),
        ("", ""),
    ],
)
def test_an_option_is_found_exactly_then_folded_then_by_id(type_: str, label: str, id_: str) -> None:
    assert parse(label, column(type_, enums=COLOURS)) == id_


def test_an_exact_caption_wins_over_a_folded_one_however_it_is_escaped() -> None:
    one = column("select", enums={51: "salt & p", 52: "Salt &amp; P"})
    assert [parse(label, one) for label in ("Salt & P", "Salt &amp; P", "salt & p")] == ["52", "52", "51"]


def test_the_mappings_labels_win_over_captions() -> None:
    one = column("select", enums=COLOURS, labels={"Red": "52", "Crimson": "51"})
    assert [parse(label, one) for label in ("Red", "Crimson", "Dark blue")] == ["52", "51", "52"]


def test_a_caption_wins_over_the_id_of_another_option() -> None:
    assert parse("52", column("select", enums={38: "52", 52: "38"})) == "38"


@pytest.mark.parametrize("unknown", ["error", "skip"])
def test_a_label_that_names_two_options_is_refused_even_where_unknown_ones_are_skipped(unknown: str) -> None:
    one = column("select", enums={51: "Red", 52: "red"}, unknown=unknown)
    assert refusal("RED", one) == ('"RED" names 2 options: "Red" (51), "red" (52)', "say which under `enums:`")


@pytest.mark.parametrize(
    ("label", "enums", "hint"),
    [
        ("Rde", {51: "Red", 52: "Blue"}, 'did you mean "Red"?'),
        ("Salt & peper", {53: "Salt &amp; pepper"}, 'did you mean "Salt & pepper"?'),
        ("Octarine", {51: "Red", 52: "Blue"}, "options: Red, Blue"),
        ("Red", {}, "the field has no options"),
        ("99", {51: "Red", 52: "Blue"}, "options: Red, Blue"),
        ("²", {51: "Red", 52: "Blue"}, "options: Red, Blue"),
    ],
)
def test_an_unknown_option_is_refused_with_what_was_meant(label: str, enums: Mapping[int, str], hint: str) -> None:
    assert refusal(label, column("select", enums=enums)) == (f'"{label}" is not an option', hint)


def test_an_unknown_option_can_be_skipped() -> None:
    assert parse("Octarine", column("select", enums=COLOURS, unknown="skip")) == ""


SIZES = {63: "L", 61: "S", 62: "M"}


@pytest.mark.parametrize(
    ("text", "split", "canonical"),
    [
        ("S", ";", "61"),
        ("L; S", ";", "61,63"),
        ("S;L;S;s", ";", "61,63"),
        (";S;;", ";", "61"),
        (" ; ", ";", ""),
        ("M,S", ",", "61,62"),
        ("M / L", "/", "62,63"),
        ("S M", " ", "61,62"),
        ("S\nM", "\n", "61,62"),
        ("S", "", "61"),
    ],
)
def test_several_options_come_out_ascending_and_once(text: str, split: str, canonical: str) -> None:
    assert parse(text, column("multiselect", enums=SIZES, split=split)) == canonical


def test_one_unknown_option_refuses_the_cell_or_is_skipped_alone() -> None:
    assert refusal("S; XS", column("multiselect", enums=SIZES))[0] == '"XS" is not an option'
    assert parse("S; XS; M", column("multiselect", enums=SIZES, unknown="skip")) == "61,62"


def test_ids_are_joined_as_numbers_not_as_words() -> None:
    assert fields.join_ids([100, 9, 100]) == "9,100"


@pytest.mark.parametrize(
    ("enums", "split", "canonical", "shown", "exact"),
    [
        ({61: "S", 62: "M"}, ";", "61,62", "S; M", "S; M"),
        ({61: "S", 62: "M"}, " ", "61,62", "S M", "S M"),
        ({61: "Salt &amp; pepper"}, ";", "61", "Salt & pepper", "Salt & pepper"),
        ({61: "S; slim", 62: "M"}, ";", "61,62", "S; slim; M", "61;62"),
        ({61: "S", 62: "S"}, ";", "62", "S", "62"),
        ({61: "S", 62: "S", 63: "61"}, ";", "62,63", "S; 61", "62;63"),
        ({61: "Red", 62: "S", 63: "S", 64: "61"}, ";", "61,62", "Red; S", "Red;62"),
        ({61: "Red", 62: " ", 64: "61"}, ";", "61,62", "Red;  ", "Red;62"),
        ({61: "S", 62: ""}, ";", "62", "", "62"),
    ],
)
def test_options_are_written_by_id_where_captions_would_not_be_read_back(
    enums: Mapping[int, str], split: str, canonical: str, shown: str, exact: str
) -> None:
    one = column("multiselect", enums=enums, split=split)
    assert (fields.show(canonical, one), fields.show_exactly(canonical, one)) == (shown, exact)


def test_a_caption_that_the_mapping_takes_for_an_empty_cell_is_written_by_id() -> None:
    one = column("select", enums={61: "-", 62: "M"}, empties=frozenset({"-"}))
    assert [fields.show_exactly(option, one) for option in ("61", "62")] == ["61", "M"]


def test_options_that_no_words_name_are_left_as_they_are() -> None:
    twins_and_their_ids = column("select", enums={61: "S", 62: "S", 63: "61"})
    mark = fields.show_exactly("61", twins_and_their_ids)
    assert mark == '[catalogsync: "S" would not be read back; the catalog keeps its text]'
    assert parse(mark, twins_and_their_ids) == mark


def test_a_mark_is_no_new_option_whatever_it_tells_of() -> None:
    one = column("multiselect", enums={61: "S,+M,L", 62: "S,+M,L", 63: "61"}, unknown="add")
    mark = fields.show_exactly("61", one)
    assert parse(mark, one) == mark
    assert is_too_long_mark(mark)
    assert (
        parse(fields.show_exactly("99", one), one)
        == '[catalogsync: "99" would not be read back; the catalog keeps its text]'
    )


# --- items ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('[{"unit_price": 9.50, "quantity": "2.0"}]', [{"quantity": "2", "unit_price": "9.5"}]),
        ('[{"sku": "007", "description": "Oak & ash"}]', [{"description": "Oak & ash", "sku": "007"}]),
        (
            '[{"bonus": null, "note": "", "discount": {"type": "amount", "value": 0}}]',
            [{"discount": {"type": "amount", "value": "0"}}],
        ),
        ('[{"discount": {"type": ""}, "sku": "1"}]', [{"sku": "1"}]),
        ('[{"is_free": false, "quantity": -0.0}]', [{"is_free": False, "quantity": "0"}]),
        ('[{"quantity": 0.1234567890123456789}]', [{"quantity": "0.1234567890123456789"}]),
        ('[{"quantity": 1e999999999}]', [{"quantity": "1E+999999999"}]),
    ],
)
def test_items_become_json_with_sorted_keys_and_canonical_numbers(text: str, canonical: object) -> None:
    assert parse(text, column("items")) == json.dumps(canonical, ensure_ascii=False)


def test_an_empty_list_of_items_is_empty() -> None:
    assert parse(" [] ", column("items")) == ""


@pytest.mark.parametrize(
    "text", ["Oak", "{}", '{"sku": 1}', "[1]", '["a"]', "[{]", "[" * 100_000, '[{"a": "\\ud800"}]', "9" * 5000]
)
def test_what_is_no_list_of_objects_is_refused(text: str) -> None:
    what, hint = refusal(text, column("items"))
    assert (what, hint[:2]) == (f"{quoted(text)} is not a JSON list of objects", "[{")


# --- columns, messages ---------------------------------------------------------------------------------------


def test_the_subtypes_are_those_of_the_api() -> None:
    assert dict(fields.SUBTYPES) == {
        "smart_address": ("address_line_1", "address_line_2", "city", "state", "zip", "country"),
        "legal_entity": ("name", "entity_type", "vat_id", "kpp", "address", "external_id"),
    }


def test_a_column_keeps_its_index_and_tells_each_wrong_text_once() -> None:
    cells = pd.Series(["5", "x", "", "x", "5.0", "y"], index=[3, 1, 4, 8, 5, 9], dtype="str")
    values, errors = fields.parse_column(cells, column("numeric"))
    assert values.to_dict() == {3: "5", 1: "", 4: "", 8: "", 5: "5", 9: ""}
    assert {text: error.what for text, error in errors.items()} == {
        "x": '"x" is not a number',
        "y": '"y" is not a number',
    }


def test_an_empty_column_stays_a_column_of_text() -> None:
    values, errors = fields.parse_column(pd.Series([], dtype="str"), column("date"))
    assert (len(values), str(values.dtype), errors) == (0, "str", {})


@pytest.mark.parametrize(
    ("text", "told"),
    [("a\n b", '"a b"'), ("x" * 60, f'"{"x" * 60}"'), ("x" * 61, f'"{"x" * 59}…"'), ("", '""')],
)
def test_a_cell_is_quoted_on_one_line_and_cut(text: str, told: str) -> None:
    assert quoted(text) == told


# --- the way back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "canonical", "shown"),
    [
        ("checkbox", "1", "yes"),
        ("checkbox", "0", "no"),
        ("select", "51", "Red"),
        ("select", "99", "99"),
        ("select", "²", "²"),
        ("date_time", "1704443400", "2024-01-05 10:30:00"),
        ("date_time", "1729989000", "2024-10-27 03:30:00+03:00"),
        ("date_time", "1729992600", "2024-10-27 03:30:00+02:00"),
        ("date_time", "9" * 15, "9" * 15),
        ("date_time", "9" * 400, "9" * 400),
        ("date_time", "soon", "soon"),
        ("date_time", "²", "²"),
        ("date", "2024-02-29", "2024-02-29"),
        ("price", "1388.5", "1388.5"),
        ("text", "00123", "00123"),
        ("multiselect", "", ""),
    ],
)
def test_canonical_text_as_people_read_it(type_: str, canonical: str, shown: str) -> None:
    assert fields.show(canonical, column(type_, enums=COLOURS)) == shown


_CLEAN = st.text(st.characters(exclude_categories=["Cs"])).map(clean_text)
_CAPTION = st.text(st.sampled_from("Ss1;, &a"), min_size=1, max_size=4)
_ENUMS = st.dictionaries(st.integers(1, 40), _CAPTION, min_size=1, max_size=5)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), _CLEAN, st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["quantity", "value", "x"]), inner),
    max_leaves=6,
)


@st.composite
def _columns_and_canonical(draw: st.DrawFn) -> tuple[Column, str]:
    """A column of any type with a canonical text of it."""
    type_ = draw(st.sampled_from([*TEXT_LIKE, *fields.PARSERS]))
    enums = draw(_ENUMS)
    one = column(type_, enums=enums, split=draw(st.sampled_from([";", ",", " ", "/"])))
    if type_ == "multiselect":
        return one, fields.join_ids(draw(st.sets(st.sampled_from(sorted(enums)), min_size=1)))
    if type_ in fields.OPTION_TYPES:
        return one, str(draw(st.sampled_from(sorted(enums))))
    texts: dict[str, st.SearchStrategy[str]] = {
        **dict.fromkeys(fields.NUMBER_TYPES, _DECIMALS.map(numbertext.plain_decimal)),
        **dict.fromkeys(("date", "birthday"), st.dates().map(str)),
        "checkbox": st.sampled_from(["0", "1"]),
        "date_time": st.integers(-62_135_500_000, 253_402_200_000).map(str),
        "items": st.lists(st.dictionaries(st.sampled_from(["sku", "quantity", "discount"]), _JSON), max_size=3).map(
            lambda items: fields.canonical_items(json.loads(json.dumps(items), parse_float=Decimal))
        ),
    }
    return one, draw(texts.get(type_, _CLEAN))


@given(_columns_and_canonical())
@example((column("date_time"), "1729989000"))
@example((column("date_time"), "1729992600"))
@example((column("select", enums={1: "S", 2: "S"}), "2"))
@example((column("multiselect", enums={1: "a;b", 2: "c"}), "1,2"))
@example((column("select", enums={1: "&amp;lt;"}), "1"))
def test_what_is_shown_is_read_back_as_it_was(case: tuple[Column, str]) -> None:
    one, canonical = case
    assert parse(fields.show_exactly(canonical, one), one) == canonical


@given(st.sampled_from([*TEXT_LIKE, *fields.PARSERS]), st.text(), st.sampled_from(["", ",", "."]))
@example("date_time", "0001-01-01", "")
@example("date_time", "9999-12-31 23:59:59-12:00", "")
@example("items", '[{"quantity": 1e99999999999999999999}]', "")
@example("numeric", "1" * 50_000, "")
def test_any_text_is_either_read_or_refused_as_a_cell(type_: str, text: str, decimal: str) -> None:
    one = column(type_, enums={1: "S", 2: text[:3]}, decimal=decimal)
    text = text.encode("utf-8", "ignore").decode()
    try:
        canonical = parse(text, one)
    except CellError:
        return
    fields.show_exactly(canonical, one)


_ALMOST = st.text(st.sampled_from("0123456789-+.,:/ TZe%€р'\u00a0[]{}\"²٣"), max_size=24)


@given(st.sampled_from(sorted({*fields.PARSERS} - {"items"})), _ALMOST, st.sampled_from(["", ",", "."]))
def test_a_text_that_looks_like_a_value_is_either_read_or_refused(type_: str, text: str, decimal: str) -> None:
    one = column(type_, enums={1: "1", 2: "2"}, decimal=decimal)
    try:
        canonical = parse(text, one)
    except CellError:
        return
    assert not canonical or parse(fields.show_exactly(canonical, one), one) == canonical
