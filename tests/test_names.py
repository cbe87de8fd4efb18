"""Properties of the surnames as data, from folding to minibatches."""

import re
import string
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from companion import datasets
from companion.laboratory.name_training import batches
from companion.laboratory.surnames import distinct, encode, examples, mend_rows
from companion.names import ALPHABET, fold, ids, pad, split

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


spelt = st.text(st.sampled_from(ALPHABET), min_size=1).map(str.strip).filter(bool)

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
        ("王", "Wang"),  # not "Wang "
        ("王小", "Wang Xiao"),
        ("Abe ", "Abe"),
        ("\xa0Abe\n", "Abe"),
    ],
)
def test_folding_gives_the_ascii_spelling(name, folded):
    assert fold(name) == folded


@pytest.mark.parametrize("name", ["", "a\ue000b", "\U0001f600"])
def test_a_character_without_ascii_spelling_stays(name):
    assert fold(name) == name


@relaxed
@given(st.text(st.characters(max_codepoint=127)))
def test_folding_leaves_ascii_alone_but_for_blanks_at_the_ends(name):
    assert fold(name) == name.strip()


@relaxed
@given(st.text())
def test_folding_twice_is_folding_once(name):
    assert fold(fold(name)) == fold(name)


# Encoding


def test_the_alphabet_is_59_distinct_characters():
    assert len(ALPHABET) == len(set(ALPHABET)) == 59
    assert set(ALPHABET) == {*string.ascii_letters, *" .,:;-'"}


@relaxed
@given(spelt)
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
    after = re.escape(f"after folding, not {unknown}")
    message = rf"name is {re.escape(repr(name))}; accepted: .* {after}"
    with pytest.raises(ValueError, match=message):
        encode(name)


# Cleaning


def only(row):
    """Clean a single row: the names it leaves, and the counts that are not zero."""
    names, counts = mend_rows({"Czech": [row]})
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
    names, _ = mend_rows(table)
    assert names == {"Irish": ["b", "a", "b"], "Czech": [], "Greek": []}
    assert list(names) == list(table)
    assert table == {"Irish": ["b", "a", "1", "b"], "Czech": ["1"], "Greek": []}


@relaxed
@given(tables)
def test_the_counts_add_up(table):
    names, counts = mend_rows(table)
    assert counts["rows"] == sum(map(len, table.values()))
    assert counts["kept"] == sum(map(len, names.values()))
    assert counts["rows"] == counts["kept"] + sum(counts[kind] for kind in DROPS)


@relaxed
@given(tables)
def test_each_row_is_judged_on_its_own(table):
    names, counts = mend_rows(table)
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
    for names in mend_rows(table)[0].values():
        for name in names:
            assert encode(name).shape == (len(fold(name)), 1, 59)


@relaxed
@given(tables)
@example({"Irish": ["Lu :"]})
def test_cleaning_twice_is_cleaning_once(table):
    names, counts = mend_rows(table)
    again, recounts = mend_rows(names)
    assert again == names
    assert recounts["rows"] == recounts["kept"] == counts["kept"]


# The data


def test_every_cleaned_name_of_the_data_can_be_encoded():
    names, counts = mend_rows(datasets.names())
    alphabet = set(ALPHABET)
    assert counts["kept"] > 0
    for language in names.values():
        for name in language:
            assert name
            assert name == " ".join(name.split())
            assert set(fold(name)) <= alphabet


def test_the_counts_of_the_real_names(real_names):
    names, counts = mend_rows(real_names)
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


# Ids


@relaxed
@given(spelt)
def test_ids_are_places_in_the_alphabet(name):
    found = ids(name)
    assert found.dtype == torch.int64
    assert "".join(ALPHABET[i] for i in found) == name


@pytest.mark.parametrize("name", ["Ślusàrski", "Groß", "Μαρία", "Nguyễn"])
def test_ids_are_those_of_the_folded_name(name):
    assert ids(name).equal(ids(fold(name)))
    assert ids(name).equal(encode(name).argmax(2).flatten())


# Distinct rows


def test_a_name_stays_once_in_each_of_its_languages():
    table = {"Czech": ["Zed", "Ábl", "Abl"], "Greek": [], "Irish": ["Abl", "Abl"]}
    assert distinct(table) == (["Abl", "Zed", "Abl"], [0, 0, 2])


@relaxed
@given(tables)
def test_distinct_rows_are_the_set_of_folded_rows(table):
    table = mend_rows(table)[0]
    names, labels = distinct(table)
    languages = list(table)
    pairs = [(name, languages[k]) for name, k in zip(names, labels, strict=True)]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == {(fold(name), lang) for lang in table for name in table[lang]}


# The split


def some_rows(seed):
    """Make names of which many have several labels, and labels of unequal frequency."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(400, (600,), generator=generator).tolist()
    labels = (torch.rand(600, generator=generator) ** 3 * 5).int().tolist()
    letters = "abcdefghij"
    names = ["".join(letters[int(digit)] for digit in f"{n:03}") for n in numbers]
    return names, labels


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.1, 0.25, 0.5]))
def test_the_two_sides_of_a_split_share_no_name_and_lose_none(seed, share):
    names, labels = some_rows(seed)
    # An accent is folded away: the same name must not come back in disguise.
    disguised = [
        name.replace("a", "á") if i % 2 else name for i, name in enumerate(names)
    ]
    train, held_out = split(disguised, labels, test_size=share, seed=seed)
    assert sorted(train + held_out) == list(range(600))
    assert not {names[i] for i in train} & {names[i] for i in held_out}
    assert train == sorted(train)
    assert held_out == sorted(held_out)
    assert abs(len(held_out) - share * 600) < 40
    assert split(disguised, labels, test_size=share, seed=seed) == (train, held_out)
    assert split(disguised, labels, test_size=share, seed=seed + 1)[1] != held_out


def test_each_label_has_its_share_on_both_sides():
    names, labels = distinct(mend_rows(datasets.names())[0])
    for seed in range(3):
        _, held_out = split(names, labels, test_size=0.2, seed=seed)
        for label, count in Counter(labels).items():
            here = sum(labels[i] == label for i in held_out)
            # Names of several labels are dealt out with the rarest.
            assert abs(here - 0.2 * count) < 1 + 0.02 * count


def test_a_split_needs_a_label_for_each_name():
    with pytest.raises(
        ValueError, match="2 names, 1 labels; accepted: as many of each"
    ):
        split(["Abl", "Zed"], [0])


@pytest.mark.parametrize("share", [0.0, 1.0, 5, True, "0.2"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"test_size is .*; accepted: between 0 and 1"):
        split(["a", "b", "c", "d"], [0, 0, 1, 1], test_size=share)


@pytest.mark.parametrize(
    ("names", "labels"), [("abcc", [0, 0, 1, 1]), ("ab", [0, 1]), ("", [])]
)
def test_labels_that_cannot_be_on_both_sides_are_refused(names, labels):
    said = "labels.*; accepted: two names or more of each label, and one for each on e"
    with pytest.raises(ValueError, match=f"{said}ach side$"):
        split(list(names), labels, test_size=0.5)


@pytest.mark.parametrize("seed", range(5))
def test_a_name_of_several_labels_is_dealt_out_with_the_rarest(seed):
    """Eight names with the label 0, two with 0 and 1: one of the two on each side."""
    names, labels = [*"abcdefghij", *"ij"], [0] * 10 + [1] * 2
    for side in split(names, labels, test_size=0.5, seed=seed):
        assert len({names[i] for i in side}) == 5
        assert sum(labels[i] for i in side) == 1


def test_without_a_seed_a_split_is_that_of_seed_zero():
    names, labels = some_rows(0)
    assert split(names, labels) == split(names, labels, test_size=0.1, seed=0)
    assert split(names, labels) != split(names, labels, seed=1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": [*"abc", 5]}, "an entry of names is 5; accepted: a string$"),
        (
            {"labels": [[0, 0, 1, 1]]},
            r"labels has shape \(1, 4\) .*: a one-dimensional",
        ),
    ],
)
def test_what_a_split_cannot_use_is_refused_by_name(change, said):
    rows = {"names": [*"abcd"], "labels": [0, 0, 1, 1], "test_size": 0.5}
    split(**rows)
    with pytest.raises(ValueError, match=f"^{said}"):
        split(**rows | change)


def test_labels_of_a_tensor_are_those_of_a_list():
    names, labels = some_rows(0)
    assert split(names, torch.tensor(labels)) == split(names, labels)
    assert split(np.array(names), np.array(labels)) == split(names, labels)


def test_a_blank_at_the_end_takes_no_name_to_the_other_side():
    names, labels = some_rows(0)
    twice = [*names, *(f"{name} " for name in names)]
    sides = split(twice, labels * 2, test_size=0.3)
    one, other = ({twice[i].strip() for i in side} for side in sides)
    assert not one & other


@pytest.mark.parametrize("take", [mend_rows, distinct, examples])
@pytest.mark.parametrize(
    "rows", [{"English": "Smith"}, {"English": [b"Smith"]}, {"English": 5}, ["Smith"]]
)
def test_a_name_for_the_list_of_names_is_refused(take, rows):
    with pytest.raises(ValueError, match=r"rows is .*; accepted: "):
        take(rows)


@pytest.mark.parametrize("take", [fold, ids, encode])
@pytest.mark.parametrize("name", [None, b"Abe", 5])
def test_what_is_no_string_is_no_name(take, name):
    with pytest.raises(ValueError, match=r"name is .*; accepted: a string"):
        take(name)


# Padding and minibatches

sequences = st.lists(st.lists(st.integers(0, 58), min_size=1, max_size=9), min_size=1)


@relaxed
@given(sequences)
def test_padding_puts_each_sequence_into_a_column(columns):
    padded, lengths = pad([torch.tensor(column) for column in columns])
    assert padded.shape == (max(map(len, columns)), len(columns))
    assert padded.dtype == lengths.dtype == torch.int64
    for i, column in enumerate(columns):
        assert padded[: lengths[i], i].tolist() == column
        assert not padded[lengths[i] :, i].any()


@pytest.mark.parametrize("lengths", [[], [0], [2, 0]])
def test_nothing_cannot_be_padded(lengths):
    message = re.escape(f"sequences have lengths {lengths}; accepted: 1 or more")
    with pytest.raises(ValueError, match=message):
        pad([torch.zeros(n, dtype=torch.int64) for n in lengths])


@relaxed
@given(sequences, st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_minibatches_deal_out_every_name_once(columns, batch_size, bucket, seed):
    # The label tells which sequence it is.
    tensors, labels = [torch.tensor(c) for c in columns], list(range(len(columns)))

    def deal(seed):
        generator = torch.Generator().manual_seed(seed)
        return list(
            batches(tensors, labels, batch_size, bucket=bucket, generator=generator)
        )

    dealt = deal(seed)
    assert sorted(k for _, _, Y in dealt for k in Y.tolist()) == labels
    assert sum(len(Y) < batch_size for _, _, Y in dealt) <= 1
    for padded, lengths, Y in dealt:
        assert padded.shape == (lengths.max(), len(Y))
        for i, k in enumerate(Y.tolist()):
            assert padded[: lengths[i], i].tolist() == columns[k]
    for one, two in zip(dealt, deal(seed), strict=True):
        assert all(a.equal(b) for a, b in zip(one, two, strict=True))


def test_buckets_save_padding_and_keep_chance():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 20, (1000,), generator=generator).tolist()
    tensors = [torch.zeros(n, dtype=torch.int64) for n in lengths]

    def deal(bucket):
        return list(
            batches(tensors, list(range(1000)), 20, bucket=bucket, generator=generator)
        )

    padded = {b: sum(X.numel() for X, _, _ in deal(b)) for b in (1, 5, 50)}
    assert sum(lengths) <= padded[50] < padded[5] < padded[1]
    assert padded[50] < 1.1 * sum(lengths) < 1.5 * sum(lengths) < padded[1]
    first, second = deal(5), deal(5)
    assert {frozenset(Y.tolist()) for *_, Y in first}.isdisjoint(
        frozenset(Y.tolist()) for *_, Y in second
    )
    # Minibatches of one length class do not follow each other.
    means = [n.float().mean().item() for _, n, _ in deal(50)]
    assert means != sorted(means)
    assert means != sorted(means, reverse=True)


@pytest.mark.parametrize(
    ("names", "labels", "size", "bucket", "message"),
    [
        (2, 1, 1, 1, "2 sequences, 1 labels; accepted: as many of each"),
        (0, 0, 1, 1, r"lengths \[\]; accepted: 1 or more, of at least one"),
        (1, 1, 0, 1, "batch_size is 0"),
        (1, 1, 1, 0, "bucket is 0"),
    ],
)
def test_minibatches_of_nothing_are_refused(names, labels, size, bucket, message):
    with pytest.raises(ValueError, match=message):
        batches([torch.tensor([1])] * names, [0] * labels, size, bucket=bucket)


def test_the_distinct_rows_of_the_real_names(real_names):
    names, labels = distinct(mend_rows(real_names)[0])
    assert len(names) == 17_983
    several = Counter(names)
    assert len(several) == 17_409
    assert sum(count > 1 for count in several.values()) == 477
    assert labels == sorted(labels)


def test_without_scikit_learn_the_error_of_a_split_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(ImportError, match=r"scikit-learn is missing.*\[chapters\]"):
        split(["a", "b", "c", "d"], [0, 0, 1, 1])
