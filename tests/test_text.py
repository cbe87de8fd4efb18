"""Properties of cleaning, the vocabulary and one-hot encoding."""

import itertools
import re
import string

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from companion import datasets
from companion.support import checks
from companion.text import UNKNOWN, Vocab, clean, clean_lines, one_hot

relaxed = settings(deadline=None)

# Any Unicode at all, and strings dense in what the cleaning turns on: line ends, other
# blanks, letters outside ASCII, and the Kelvin sign, whose lower case is ASCII's "k".
texts = st.text() | st.text(st.sampled_from("abYZ  .'0\n\n\r\t\u2028éß\u212a"))
streams = st.text(st.sampled_from("abcdef "))
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]


@pytest.fixture
def real_text():
    mode, reason = datasets.origin()
    if mode != "real":
        pytest.skip(f"needs the real data ({reason})")
    return datasets.time_machine()


# Cleaning


@relaxed
@given(texts)
def test_clean_text_is_words_of_a_to_z_between_single_spaces(text):
    assert re.fullmatch("([a-z]+( [a-z]+)*)?", clean(text))
    assert re.fullmatch("[a-z ]*", clean(text, join=""))


@relaxed
@given(texts)
def test_the_default_join_keeps_exactly_the_words_of_the_text(text):
    assert clean(text).split() == [w.lower() for w in re.findall("[A-Za-z]+", text)]


@relaxed
@given(texts)
def test_the_fused_form_is_the_concatenation_of_the_lines(text):
    assert clean(text, join="") == "".join(clean_lines(text))


@relaxed
@given(texts, st.sampled_from([" ", ""]))
def test_cleaning_twice_is_cleaning_once(text, join):
    once = clean(text, join)
    assert clean(once, join) == once


@relaxed
@given(texts)
def test_every_line_gives_one_clean_line_on_its_own(text):
    lines = text.split("\n")
    assert clean_lines(text) == [clean(line) for line in lines]


def test_only_the_fused_form_fuses_words_across_a_line_end():
    text = "(It spoke to him)\n\n  was 1895's first--\u212aelvin.\n"
    assert clean(text) == "it spoke to him was s first elvin"
    assert clean(text, join="") == "it spoke to himwas s first elvin"


@pytest.mark.parametrize("join", ["\n", "  ", "_"])
def test_another_join_is_refused(join):
    with pytest.raises(ValueError, match=re.escape(f"join is {join!r}; accepted")):
        clean("a\nb", join=join)


# The vocabulary


@relaxed
@given(streams)
def test_tokens_are_ordered_by_frequency_and_ties_by_first_appearance(stream):
    expected = sorted(set(stream), key=lambda t: (-stream.count(t), stream.index(t)))
    vocab = Vocab(stream)
    assert vocab.tokens == (UNKNOWN, *expected)
    assert len(vocab) == len(expected) + 1


@relaxed
@given(st.text())
def test_encoding_and_decoding_returns_the_text(text):
    vocab = Vocab(text)
    ids = vocab.encode(text)
    assert ids.dtype == torch.int64
    assert ids.shape == (len(text),)
    assert vocab.decode(ids) == text
    assert vocab.decode(ids.tolist()) == text


@relaxed
@given(streams, st.integers(1, 5))
def test_min_count_leaves_out_the_rarer_tokens_but_counts_them(stream, min_count):
    vocab = Vocab(stream, min_count=min_count)
    kept = {token for token in stream if stream.count(token) >= min_count}
    assert set(vocab.tokens) == {UNKNOWN} | kept
    assert dict(vocab.counts) == {token: stream.count(token) for token in stream}
    for token, i in zip(stream, vocab.encode(stream).tolist(), strict=True):
        assert (token in vocab) == (token in kept) == (i != vocab.unk)


def test_the_ids_of_the_tokens_count_up_from_unk():
    vocab = Vocab("the time traveller")
    assert vocab.tokens[0] == UNKNOWN
    assert vocab.unk == 0
    assert vocab.encode(vocab.tokens).tolist() == list(range(len(vocab)))


def test_an_unknown_token_is_encoded_as_unk():
    assert Vocab("abb").encode("bza").tolist() == [1, Vocab.unk, 2]


def test_words_can_be_tokens_too():
    vocab = Vocab(["to", "be", "or", "not", "to", "be"])
    assert vocab.tokens == (UNKNOWN, "to", "be", "or", "not")
    assert vocab.decode(vocab.encode(["not", "be"])) == "notbe"


def test_unk_in_the_data_gets_no_second_entry():
    vocab = Vocab([UNKNOWN, UNKNOWN, "a"])
    assert vocab.tokens == (UNKNOWN, "a")
    assert vocab.encode([UNKNOWN]).tolist() == [0]


def test_without_tokens_there_is_only_unk():
    vocab = Vocab("")
    assert vocab.tokens == (UNKNOWN,)
    assert vocab.encode("").dtype == torch.int64
    assert vocab.encode("").shape == (0,)
    assert vocab.decode([]) == ""


@pytest.mark.parametrize("min_count", [0, -3])
def test_a_min_count_below_one_is_refused(min_count):
    with pytest.raises(ValueError, match=f"min_count is {min_count}; accepted"):
        Vocab("abc", min_count=min_count)


@pytest.mark.parametrize("wrong", [-1, 4])
def test_decoding_refuses_an_id_outside_the_vocabulary(wrong):
    found = rf"{min(0, wrong)} to {max(0, wrong)}; accepted: 0 \.\.\. 3"
    with pytest.raises(ValueError, match=rf"ids run from {found}"):
        Vocab("abc").decode(torch.tensor([0, wrong]))


# One-hot encoding


@relaxed
@given(st.data(), st.integers(1, 300), st.lists(st.integers(0, 4), max_size=3))
def test_one_hot_equals_torchs_on_int64(data, num_classes, shape):
    size = torch.Size(shape).numel()
    values = st.lists(st.integers(0, num_classes - 1), min_size=size, max_size=size)
    ids = torch.tensor(data.draw(values), dtype=torch.int64).reshape(shape)
    rows = one_hot(ids, num_classes)
    assert rows.shape == (*shape, num_classes)
    assert rows.equal(F.one_hot(ids, num_classes).to(rows.dtype))
    assert rows.sum(dim=-1).equal(torch.ones(shape))
    assert rows.argmax(dim=-1).equal(ids)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("num_classes", [28, 127])
def test_every_integer_dtype_gives_the_same_rows(dtype, num_classes):
    ids = torch.tensor([[0, 2], [27, 5]])
    expected = one_hot(ids, num_classes)
    assert one_hot(ids.to(dtype), num_classes).equal(expected)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
def test_more_classes_than_the_dtype_can_count_are_no_obstacle(dtype):
    ids = torch.tensor([0, 100])
    for num_classes in (128, 256, 300):
        assert one_hot(ids.to(dtype), num_classes).equal(one_hot(ids, num_classes))


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_wide_unsigned_dtypes_are_integers_too(dtype):
    ids = torch.tensor([0, 2])
    assert one_hot(ids.to(dtype), 3).equal(one_hot(ids, 3))


def test_a_product_with_one_hot_rows_looks_rows_up_and_so_does_its_gradient():
    ids = torch.tensor([[3, 0, 3], [1, 3, 0]])
    values = torch.randn(5, 4, dtype=torch.float64)
    product, table = values.clone().requires_grad_(), values.clone().requires_grad_()
    by_product = one_hot(ids, 5, dtype=torch.float64) @ product
    by_embedding = F.embedding(ids, table)
    assert by_product.equal(by_embedding)
    assert by_product.equal(product[ids])
    weights = torch.randn_like(by_product)
    (by_product * weights).sum().backward()
    (by_embedding * weights).sum().backward()
    torch.testing.assert_close(product.grad, table.grad, rtol=0, atol=1e-12)
    assert product.grad[[2, 4]].eq(0).all()  # rows that no id names


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_result_has_the_dtype_asked_for(dtype):
    assert one_hot(torch.tensor([1]), 2, dtype=dtype).dtype == dtype


def test_the_default_dtype_is_pytorchs():
    torch.set_default_dtype(torch.float64)
    try:
        assert one_hot(torch.tensor([1]), 2).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert one_hot(torch.tensor([1]), 2).dtype == torch.float32


@pytest.mark.parametrize("device", DEVICES)
def test_the_result_is_on_the_device_of_the_ids(device):
    ids = torch.tensor([1], device=device)
    with torch.device("meta"):  # what PyTorch's own default is does not matter
        assert one_hot(ids, 2).device == ids.device


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_no_ids_give_no_rows(shape):
    rows = one_hot(torch.empty(shape, dtype=torch.int64), 4)
    assert rows.shape == (*shape, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.bool])
def test_ids_that_are_no_integers_are_refused(dtype):
    with pytest.raises(ValueError, match=f"ids has dtype {dtype}; accepted"):
        one_hot(torch.tensor([0, 1]).to(dtype), 2)


@pytest.mark.parametrize("wrong", [-1, 28, 29])
def test_an_id_out_of_range_is_refused(wrong):
    span = f"{min(wrong, 5)} to {max(wrong, 5)}"
    with pytest.raises(
        ValueError, match=rf"ids run from {span}; accepted: 0 \.\.\. 27"
    ):
        one_hot(torch.tensor([[5], [wrong]]), 28)


@pytest.mark.parametrize("num_classes", [0, -1])
def test_fewer_than_one_class_is_refused(num_classes):
    with pytest.raises(ValueError, match=f"num_classes is {num_classes}; accepted"):
        one_hot(torch.tensor([], dtype=torch.int64), num_classes)


@pytest.mark.parametrize("dtype", [*INTEGERS, torch.uint16])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0)])
def test_checked_ids_come_back_as_int64(dtype, shape):
    ids = torch.full(shape, 4, dtype=dtype)
    checked = checks.ids(ids, 5)
    assert checked.dtype == torch.int64
    assert checked.equal(torch.full(shape, 4))
    assert ids.dtype == dtype


def test_ids_that_are_fit_already_are_not_copied():
    ids = torch.tensor([[0, 4], [2, 1]])
    assert checks.ids(ids, 5) is ids


def test_what_one_hot_refuses_the_check_refuses():
    for ids, num_classes, message in (
        (torch.tensor([0.0]), 5, "ids has dtype torch.float32; accepted: an integer"),
        (torch.tensor([True]), 5, "ids has dtype torch.bool"),
        (torch.tensor([1, 5]), 5, r"ids run from 1 to 5; accepted: 0 \.\.\. 4"),
        (torch.tensor([-1, 2]), 5, "ids run from -1 to 2"),
        (torch.tensor([0]), 0, "num_classes is 0; accepted: 1 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            checks.ids(ids, num_classes)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([1.9], "ids has .*dtype torch.float32; accepted: a one-dimensional integer"),
        ("12", "ids is '12'; accepted: integers"),
        ([True], r"ids is \[True\]; accepted"),
        ([True, 2], r"ids is \[True, 2\]; accepted"),
        (torch.tensor([True]), "dtype torch.bool; accepted"),
        (torch.zeros(2, 2, dtype=torch.int64), r"ids has shape \(2, 2\)"),
        (1, "ids is 1; accepted"),
        (None, "ids is None; accepted"),
        ([None], r"ids is \[None\]; accepted"),
        ([2**70], "ids is .*; accepted"),
    ],
)
def test_decoding_refuses_what_are_no_ids(ids, said):
    with pytest.raises(ValueError, match=said):
        Vocab("abc").decode(ids)


def test_ids_are_decoded_from_whatever_holds_integers():
    vocab = Vocab("abc")
    ids = torch.tensor([3, 0, 1])
    for form in (
        ids,
        ids.int(),
        ids.tolist(),
        tuple(ids),
        ids.numpy(),
        iter([3, 0, 1]),
    ):
        assert vocab.decode(form) == "c<unk>a"
    assert vocab.decode(range(1, 4)) == "abc"


@pytest.mark.parametrize("tokens", [None, 5, b"ab", ["a", 1], [None], {"a": 3}, [[0]]])
def test_tokens_that_are_no_strings_are_refused(tokens):
    with pytest.raises(ValueError, match=r"tokens is .*; accepted: a string"):
        Vocab(tokens)
    with pytest.raises(ValueError, match=r"tokens is .*; accepted: a string"):
        Vocab("ab").encode(tokens)


@pytest.mark.parametrize("token", [1, None, ["a"]])
def test_what_is_no_string_is_not_in_the_vocabulary(token):
    assert token not in Vocab("ab")


@pytest.mark.parametrize("text", [None, b"ab", 5, ["ab"]])
@pytest.mark.parametrize("function", [clean, clean_lines])
def test_a_text_that_is_no_string_is_refused(function, text):
    with pytest.raises(ValueError, match=r"text is .*; accepted: a string"):
        function(text)


def test_lists_and_arrays_of_ids_give_the_rows_of_a_tensor():
    ids = torch.tensor([[1, 2], [0, 2]])
    for form in (ids.tolist(), ids.numpy(), tuple(map(tuple, ids.tolist()))):
        assert one_hot(form, 3).equal(one_hot(ids, 3))
    assert one_hot([], 3).shape == (0, 3)


# The corpus


def test_the_corpus_uses_all_letters_and_the_space():
    vocab = Vocab(clean(datasets.time_machine()))
    assert len(vocab) == 28
    assert set(vocab.tokens) == {UNKNOWN, " ", *string.ascii_lowercase}


def test_the_fused_corpus_has_its_known_size(real_text):
    fused = clean(real_text, join="")
    assert len(fused) == 170_580
    assert len(Vocab(fused)) == 28


def test_the_classic_slice_fuses_182_line_ends(real_text):
    lines = [line for line in clean_lines(real_text) if line]
    ends = list(itertools.accumulate(map(len, lines)))
    assert sum(end < 10_000 for end in ends) == 182


def test_himwas_is_an_accident_of_the_fused_form(real_text):
    assert "himwas" in clean(real_text, join="")[:10_000]
    assert "himwas" not in clean(real_text)
