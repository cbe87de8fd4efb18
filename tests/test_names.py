"""Properties of folding, encoding and cleaning the surnames."""

import re
import string

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from companion import datasets
from companion.names import ALPHABET, clean, encode, fold

relaxed = settings(deadline=None)

DROPS = ("page link dropped", "foreign character dropped", "empty dropped")

# Rows dense in what the rules of cleaning turn on.
rows = st.one_of(
    st.text(st.sampled_from("abÉłß '-"), max_size=6),
    st.text(st.sampled_from("ab,: \xa0\t1/é"), max_size=6),
    st.sampled_from(["To The First  Page", "To The First Page,", "Lu:", "", " "]),
    st.text(max_size=4),
)
tables = st.dictionaries(
    st.sampled_from(["Czech", "Greek", "Irish"]), st.lists(rows, max_size=8)
)


@pytest.fixture
def real_names():
    mode, reason = datasets.origin()
    if mode != "real":
        pytest.skip(f"needs the real data ({reason})")
    return datasets.names()


# Folding


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Ślusàrski", "Slusarski"),
        ("O'Néàl", "O'Neal"),
        ("Łysy", "Lysy"),
        ("Groß", "Gross"),
        ("Søren", "Soren"),
        ("Sören", "Soren"),
        ("Nguyễn\xa0Thị", "Nguyen Thi"),
    ],
)
def test_folding_gives_the_ascii_spelling(name, folded):
    assert fold(name) == folded


@pytest.mark.parametrize("name", ["", "a\ue000b", "\U0001f600"])
def test_a_character_without_ascii_spelling_stays(name):
    assert fold(name) == name


@relaxed
@given(st.text(st.characters(max_codepoint=127)))
def test_folding_leaves_ascii_alone(name):
    assert fold(name) == name


@relaxed
@given(st.text())
def test_folding_twice_is_folding_once(name):
    assert fold(fold(name)) == fold(name)


# Encoding


def test_the_alphabet_is_59_distinct_characters():
    assert len(ALPHABET) == len(set(ALPHABET)) == 59
    assert set(ALPHABET) == {*string.ascii_letters, *" .,:;-'"}


@relaxed
@given(st.text(st.sampled_from(ALPHABET), min_size=1))
def test_a_name_is_encoded_as_one_one_hot_row_for_each_character(name):
    rows = encode(name)
    assert rows.shape == (len(name), 1, 59)
    assert rows.dtype == torch.float32
    assert rows.sum(dim=-1).eq(1).all()
    assert "".join(ALPHABET[i] for i in rows.argmax(dim=-1).flatten()) == name


@pytest.mark.parametrize("name", ["Ślusàrski", "Groß", "Μαρία", "Nguyễn"])
def test_encoding_folds(name):
    assert fold(name) != name
    assert encode(name).equal(encode(fold(name)))


@pytest.mark.parametrize("name", ["", "\N{COMBINING ACUTE ACCENT}"])
def test_a_name_of_no_character_is_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"name is {name!r}; accepted")):
        encode(name)


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("Maxa1", ["1"]),
        ("Urb/nek", ["/"]),
        ("b\ue000a\ue000", ["\ue000"]),
        ("½", ["/", "1", "2"]),
    ],
)
def test_characters_outside_the_alphabet_are_refused_by_name(name, unknown):
    message = re.escape(f"name {name!r} holds {unknown} after folding; accepted")
    with pytest.raises(ValueError, match=message):
        encode(name)


# Cleaning


def only(row):
    """Clean a single row: the names it leaves, and the counts that are not zero."""
    names, counts = clean({"Czech": [row]})
    return names["Czech"], {kind: count for kind, count in counts.items() if count}


@pytest.mark.parametrize("row", ["Abl", "O'Neill", "Van der Ven", "Ślusàrski", "D."])
def test_a_sound_row_is_kept_as_it_is(row):
    assert only(row) == ([row], {"rows": 1, "kept": 1})


@pytest.mark.parametrize(
    ("row", "name"),
    [(" Abl", "Abl"), ("Abl\xa0", "Abl"), ("a  b", "a b"), ("a\xa0\t b", "a b")],
)
def test_blanks_are_mended(row, name):
    assert only(row) == ([name], {"rows": 1, "kept": 1, "blanks mended": 1})


@pytest.mark.parametrize(
    ("row", "name"), [("Lu:", "Lu"), ("Abl,", "Abl"), ("a,b", "a,b"), ("Jr.", "Jr.")]
)
def test_a_comma_or_colon_goes_only_from_the_end(row, name):
    cut = {"trailing mark cut": 1} if row != name else {}
    assert only(row) == ([name], {"rows": 1, "kept": 1, **cut})


@pytest.mark.parametrize("row", ["To The First Page", " To The First \xa0Page"])
def test_the_page_link_is_dropped(row):
    assert only(row) == ([], {"rows": 1, "page link dropped": 1})


@pytest.mark.parametrize("row", ["Maxa1", "Urb/nek", "Simecek (Jr)", "\U0001f600"])
def test_a_row_with_a_foreign_character_is_dropped(row):
    assert only(row) == ([], {"rows": 1, "foreign character dropped": 1})


@pytest.mark.parametrize("row", ["", " \xa0", ",:"])
def test_a_row_with_nothing_left_is_dropped(row):
    assert only(row) == ([], {"rows": 1, "empty dropped": 1})


def test_order_and_duplicates_stay_and_so_does_a_language_without_names():
    table = {"Irish": ["b", "a", "1", "b"], "Czech": ["1"], "Greek": []}
    names, _ = clean(table)
    assert names == {"Irish": ["b", "a", "b"], "Czech": [], "Greek": []}
    assert list(names) == list(table)
    assert table == {"Irish": ["b", "a", "1", "b"], "Czech": ["1"], "Greek": []}


@relaxed
@given(tables)
def test_the_counts_add_up(table):
    names, counts = clean(table)
    assert counts["rows"] == sum(map(len, table.values()))
    assert counts["kept"] == sum(map(len, names.values()))
    assert counts["rows"] == counts["kept"] + sum(counts[kind] for kind in DROPS)


@relaxed
@given(tables)
def test_each_row_is_judged_on_its_own(table):
    names, counts = clean(table)
    single = [only(row) for rows in table.values() for row in rows]
    assert [n for kept in names.values() for n in kept] == [
        n for s in single for n in s[0]
    ]
    for kind, count in counts.items():
        assert count == sum(s[1].get(kind, 0) for s in single)


@relaxed
@given(tables)
@example({"Greek": ["\N{COMBINING ACUTE ACCENT}"]})
def test_every_kept_name_can_be_encoded(table):
    for names in clean(table)[0].values():
        for name in names:
            assert encode(name).shape == (len(fold(name)), 1, 59)


@relaxed
@given(tables)
@example({"Irish": ["Lu :"]})
def test_cleaning_twice_is_cleaning_once(table):
    names, counts = clean(table)
    again, recounts = clean(names)
    assert again == names
    assert recounts["rows"] == recounts["kept"] == counts["kept"]


# The data


def test_every_cleaned_name_of_the_data_can_be_encoded():
    names, counts = clean(datasets.names())
    alphabet = set(ALPHABET)
    assert counts["kept"] > 0
    for language in names.values():
        for name in language:
            assert name
            assert name == " ".join(name.split())
            assert set(fold(name)) <= alphabet


def test_the_counts_of_the_real_names(real_names):
    names, counts = clean(real_names)
    assert len(names) == 18
    assert counts == {
        "rows": 20_074,
        "blanks mended": 10,
        "trailing mark cut": 4,
        "page link dropped": 24,
        "foreign character dropped": 4,
        "empty dropped": 0,
        "kept": 20_046,
    }
