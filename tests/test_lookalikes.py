"""Texts that look alike fold to one; garbled text is told from text that only looks unusual."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogsync.lookalikes import SUSPECT, difference, folded, mended, without_zeros


@pytest.mark.parametrize(
    ("first", "second", "by"),
    [
        ("AB-1", "ab-1", "upper and lower case"),
        ("AB 1", "AB1", "blanks or invisible characters"),
        ("AB\u00a01", "AB 1", "blanks or invisible characters"),
        ("AB1\u200b", "AB1", "blanks or invisible characters"),
        ("АВ-1", "AB-1", "letters that look alike (Cyrillic А, Cyrillic В)"),
        ("ΑB-1", "AB-1", "letters that look alike (Greek Α)"),
        ("AB–1", "AB-1", "case, blanks, or characters that look alike"),
        ("ＡＢ１", "AB1", "case, blanks, or characters that look alike"),
        ("ав 1", "AB1", "case, blanks, or characters that look alike"),
    ],
)
def test_what_looks_alike_folds_to_one_and_the_difference_is_named(first: str, second: str, by: str) -> None:
    assert len(set(folded([first, second]))) == 1
    assert difference(first, second) == by


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("00123", "123"),
        ("AB-1", "AB1"),
        ("A1", "A2"),
        ("O1", "01"),
        ("1.0", "1"),
        ("Ж1", "X1"),
        ("Č1", "C1"),
        ("é", "e"),
    ],
)
def test_codes_that_differ_in_what_a_person_sees_stay_different(first: str, second: str) -> None:
    assert len(set(folded([first, second]))) == 2


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_many_texts_fold_as_each_of_them_does(texts: list[str]) -> None:
    assert folded(texts) == [folded([text])[0] for text in texts]


def test_zeros_in_front_go_from_each_part_of_a_key_and_a_zero_alone_stays() -> None:
    texts = pd.Series(["00123", "0", "000", "0.5", "A001", "x\x1f007", "\x1f0102.1", "100"], dtype="str")
    assert without_zeros(texts).tolist() == ["123", "0", "0", "0.5", "A001", "x\x1f7", "\x1f102.1", "100"]


def garbled(text: str, codec: str) -> str:
    return text.encode().decode(codec)


@pytest.mark.parametrize(
    ("was", "codec"),
    [
        ("Café", "cp1252"),
        ("Don’t", "cp1252"),
        ("25 °C", "cp1252"),
        ("Żyła", "latin-1"),
        ("роза", "cp1252"),
        ("Привет", "cp1251"),
        ("№ 5", "cp1251"),
        ("Чай", "cp1251"),
        ("żaba", "cp1250"),
        ("Ελλάδα", "latin-1"),
        ("Straße 5", "cp1252"),
    ],
)
def test_text_that_was_read_in_a_wrong_encoding_is_noticed_and_what_it_was_is_offered(was: str, codec: str) -> None:
    text = garbled(was, codec)
    assert text != was
    assert pd.Series([text], dtype="str").str.contains(SUSPECT, regex=True).tolist() == [True]
    assert mended(text) == was


@pytest.mark.parametrize(
    "text",
    [
        "Café, naïve, Müller & Söhne",
        "NÃO, MAÇÃ, ÂNGULO, «MAÇÃ»",
        "¡ESPAÑA! Ñandú «AÑO»",
        "Größe „ELMÄ“ ÅÄÖ 5° ±3",
        "Привіт, ПАРІСІ, РІСІ, СЄРЬОЖА",
        "220В±10% С° Р. 5 В„хит“",
        "Čeština: Ďábelské ódy, Ĺ",
        "Ελληνικά Ώ",
        "日本語 ﷼ 😀",
        "ÎLE, ÎLOT, DÎNER; Ð and Þ",
        "",
    ],
)
def test_text_of_every_alphabet_is_no_garbled_text(text: str) -> None:
    assert mended(text) == ""


@given(st.text(st.characters(min_codepoint=0x410, max_codepoint=0x44F), min_size=4))
def test_russian_words_are_never_taken_for_garbled_ones(text: str) -> None:
    assert mended(text) == ""
