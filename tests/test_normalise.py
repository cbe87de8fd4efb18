"""Properties of the door that every name goes through."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from companion import datasets
from companion.classify.door import LONGEST, WRITTEN, normalise
from companion.laboratory.surnames import distinct, examples, mend_rows
from companion.names import ids

relaxed = settings(deadline=None)


def outcome(name):
    try:
        return normalise(name)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("Ivanov", "ivanov"),
        ("PAPADOPOULOS", "papadopoulos"),
        (" Ito\n", "ito"),
        ("van  der\xa0\tBerg", "van der berg"),
        ("Lu:", "lu"),
        ("Abl , ", "abl"),
        ("Ślusàrski", "slusarski"),
        ("Groß", "gross"),
        ("Łoś", "los"),
        ("İnönü", "inonu"),
        ("Nguyễn", "nguyen"),
        ("Nguyê\N{COMBINING TILDE}n", "nguyen"),  # accents apart from their letters
        ("\N{LATIN SMALL LIGATURE FI}nk", "fink"),
        ("O\N{RIGHT SINGLE QUOTATION MARK}Brien", "o'brien"),
        ("O\N{MODIFIER LETTER APOSTROPHE}Brien", "o'brien"),
        ("O`Brien", "o'brien"),
        ("Al\N{EN DASH}Sayed", "al-sayed"),
        ("Mac\N{ZERO WIDTH SPACE}Do\N{SOFT HYPHEN}nald", "macdonald"),
        ("a" * LONGEST, "a" * LONGEST),
    ],
)
def test_names_are_written_in_one_way(name, normal):
    assert normalise(name) == normal
    assert normalise(np.str_(name)) == normal


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("R2D2", "['2']"),
        ("½", "['½']"),
        ("St. John", "['.']"),
        ("Smith, John", "[',']"),
        ("Urb/nek", "['/']"),
        ("x\x00y", r"['\x00']"),
        ("\U0001f600", "['\U0001f600']"),
        ("a\ue000", r"['\ue000']"),
        ("a\ud800", r"['\ud800']"),
        ("王", "['王']"),
        ("田中", "['中', '田']"),
        ("Ива", "['И', 'а', 'в']"),
        ("Παπ", "['Π', 'α', 'π']"),
        ("김", "['김']"),
        ("محمد", "['ح', 'د', 'م']"),
        ("Ivаnov", "['а']"),  # a Cyrillic letter among Latin ones
        ("€", "['€']"),  # what unidecode spells with letters
        ("a°", "['°']"),
        ("ka\N{DEVANAGARI VOWEL SIGN I}", "['\N{DEVANAGARI VOWEL SIGN I}']"),
        ("Əli", "['Ə']"),  # a Latin letter that unidecode does not spell with one
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_not_latin_is_refused_by_name(name, held):
    message = re.escape(f"name {name!r} holds {held}; accepted: Latin letters, blanks,")
    with pytest.raises(ValueError, match=message):
        normalise(name)


@pytest.mark.parametrize(
    "name", ["", " \xa0", ":,", "-'", "\N{COMBINING ACUTE ACCENT}"]
)
def test_without_a_letter_there_is_no_name(name):
    message = re.escape(f"name is {name!r}; accepted: at least one letter")
    with pytest.raises(ValueError, match=message):
        normalise(name)


@pytest.mark.parametrize("name", [None, 5, b"Ito", ["Ito"], np.array("Ito")])
def test_what_is_no_string_is_refused(name):
    with pytest.raises(ValueError, match=r"name is .*; accepted: a string"):
        normalise(name)


def test_a_name_that_is_too_long_is_refused_and_shown_in_part():
    for length in (41, 100_000):
        message = f"has {length} characters; accepted: at most 40"
        with pytest.raises(ValueError, match=message):
            normalise("a" * length)
    with pytest.raises(ValueError, match="accepted") as caught:
        normalise("1" * 100_000)
    assert len(str(caught.value)) < 200
    with pytest.raises(ValueError, match="accepted") as caught:
        normalise("".join(map(chr, range(0x4E00, 0x6000))))
    assert len(str(caught.value)) < 300


@relaxed
@given(st.text(max_size=50))
@example("ab, ")
@example("a\u200b")
def test_what_passes_is_normal(name):
    normal = outcome(name)
    if normal is not None:
        assert set(normal) <= set(WRITTEN)
        assert 1 <= len(normal) <= LONGEST
        assert normal == " ".join(normal.split())
        assert normalise(normal) == normal
        assert len(ids(normal)) == len(normal)


@relaxed
@given(st.text(st.sampled_from(WRITTEN), max_size=45), st.text(" \t\xa0", max_size=3))
def test_capitals_and_blanks_around_make_no_difference(name, blanks):
    assert outcome(name.upper()) == outcome(name)
    assert outcome(blanks + name + blanks) == outcome(name)


def test_rows_become_examples():
    rows = {
        "Czech": ["Ábl", "abl ", "Zed", "Maxa1", "To The First \xa0Page"],
        "Greek": [],
        "Irish": ["ABL", "O’Neil"],
    }
    names, labels, refused = examples(rows)
    assert (names, labels) == (["abl", "zed", "abl", "o'neil"], [0, 0, 2, 2])
    assert refused == ["Maxa1", "To The First \xa0Page"]


def test_the_examples_of_the_data_are_distinct_and_normal():
    names, labels, refused = examples(datasets.names())
    assert len(set(zip(names, labels, strict=True))) == len(names) == len(labels)
    assert all(normalise(name) == name for name in names)
    assert set(labels) == set(range(18))
    if datasets.origin()[0] == "real":
        assert len(names) == 17_982
        assert len(refused) == 28
        # Capitals told nothing but "An" from "an".
        assert len(distinct(mend_rows(datasets.names())[0])[0]) == 17_983


@pytest.mark.parametrize("length", [41, 80, 81, 1000])
def test_a_name_that_is_too_long_is_shown_whole_up_to_80_characters(length):
    shown = "a" * length if length <= 80 else "a" * 40 + "..."
    said = f"^name '{re.escape(shown)}' has {length} characters; accepted: at most 40$"
    with pytest.raises(ValueError, match=said):
        normalise("a" * length)


def test_the_first_ten_foreign_characters_are_named():
    said = f"holds {list('абвгдежзий')}; accepted: Latin letters, blanks, hyphens and a"
    with pytest.raises(ValueError, match=f"{re.escape(said)}postrophes$"):
        normalise("кабвгдежзий")


def test_a_letter_that_unicode_gives_no_name_is_foreign():
    with pytest.raises(ValueError, match=re.escape("holds ['\U00017000']; acc")):
        normalise("a\U00017000")  # Tangut


def test_distinct_names_stand_in_the_order_of_the_alphabet():
    names = [f"{first}{second}" for first in "zyxcba" for second in "Éba"]
    folded, labels = distinct({"Czech": names, "Irish": names[:3]})
    assert folded[:18] == sorted(folded[:18])
    assert folded[18:] == ["zE", "za", "zb"]
    assert labels == 18 * [0] + 3 * [1]
