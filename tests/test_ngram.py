"""Properties of the n-gram model with Witten-Bell smoothing."""

import math
import re
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.laboratory.ngram import WittenBell

relaxed = settings(deadline=None, max_examples=50)
ABAB = torch.tensor([0, 1, 0, 1])


@st.composite
def cases(draw, min_size=1):
    """Draw a training text, an order, V, and another text over the same vocabulary."""
    vocab_size = draw(st.integers(1, 5))
    ids = st.lists(st.integers(0, vocab_size - 1), min_size=min_size, max_size=30)
    train, text = torch.tensor(draw(ids)), torch.tensor(draw(ids), dtype=torch.int64)
    return train, draw(st.integers(1, 6)), vocab_size, text


def by_the_formula(train, order, vocab_size, context, token):
    """Evaluate the recursion of the docstring from its top, in exact fractions.

    Independent of the module: nothing is counted beforehand, every count is a search
    through the text, and the recursion runs from the longest context down.
    """
    train, context = train.tolist(), context.tolist()

    def p(h):
        after = [
            train[i + len(h)]
            for i in range(len(train) - len(h))
            if train[i : i + len(h)] == h
        ]
        shorter = p(h[1:]) if h else Fraction(1, vocab_size)
        if not after:
            return shorter
        distinct = len(set(after))
        return (after.count(token) + distinct * shorter) / (len(after) + distinct)

    reach = order - 1
    return p(context[-reach:] if reach else [])


def perplexity(model, ids):
    return math.exp(-model.probabilities(ids).log().mean())


# By hand


def test_unigrams_by_hand():
    model = WittenBell(torch.tensor([0, 0, 0, 1]), 1, 4)
    # c = 4, d = 2: (c(w) + 2/4) / 6
    expected = torch.tensor([3.5, 1.5, 0.5, 0.5]).double() / 6
    for context in ([], [1], [3, 0, 2]):
        distribution = model.distribution(torch.tensor(context, dtype=torch.int64))
        torch.testing.assert_close(distribution, expected)


def test_bigrams_by_hand():
    model = WittenBell(ABAB, 2, 3)
    # Unigrams: (2 + 2/3) / 6 = 4/9 for a and b, (0 + 2/3) / 6 = 1/9 for the third.
    # After a: c = 2, d = 1, so P(b|a) = (2 + 4/9) / 3.
    after_a = model.distribution(torch.tensor([0]))
    expected = torch.tensor([4, 22, 1]).double() / 27
    torch.testing.assert_close(after_a, expected)
    # After b: c = 1, d = 1.
    after_b = model.distribution(torch.tensor([1]))
    torch.testing.assert_close(after_b, torch.tensor([13, 4, 1]).double() / 18)
    score = model.probabilities(torch.tensor([0, 1, 1, 2]))
    torch.testing.assert_close(score, torch.tensor([22 / 27, 4 / 18, 1 / 18]).double())


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_text_that_uses_all_tokens_equally_is_uniform_to_unigrams(order):
    ids = torch.arange(6)
    model = WittenBell(ids, order, 6)
    nothing = torch.tensor([], dtype=torch.int64)
    uniform = torch.full((6,), 1 / 6).double()
    torch.testing.assert_close(model.distribution(nothing), uniform)
    if order == 1:
        assert perplexity(model, ids.flip(0)) == pytest.approx(6)


def test_the_only_token_of_a_vocabulary_is_certain():
    model = WittenBell(torch.zeros(5, dtype=torch.int64), 3, 1)
    assert model.probabilities(torch.zeros(4, dtype=torch.int64)).tolist() == [1, 1, 1]


# Properties


@relaxed
@given(case=cases())
def test_a_distribution_is_positive_and_sums_to_one_after_any_context(case):
    train, order, vocab_size, text = case
    model = WittenBell(train, order, vocab_size)
    for end in range(len(text) + 1):
        distribution = model.distribution(text[:end])
        assert distribution.shape == (vocab_size,)
        assert distribution.dtype == torch.float64
        assert distribution.min() > 0
        assert distribution.sum().item() == pytest.approx(1, abs=1e-12)


@relaxed
@given(case=cases(min_size=2))
def test_the_formula_evaluated_slowly_agrees(case):
    train, order, vocab_size, text = case
    model = WittenBell(train, order, vocab_size)
    for context in (text, text[:1], text[:0], train):
        slow = [
            float(by_the_formula(train, order, vocab_size, context, w))
            for w in range(vocab_size)
        ]
        expected = torch.tensor(slow, dtype=torch.float64)
        torch.testing.assert_close(
            model.distribution(context), expected, rtol=1e-12, atol=0
        )


@relaxed
@given(case=cases(min_size=2))
def test_the_probabilities_of_a_text_are_entries_of_the_distributions(case):
    train, order, vocab_size, text = case
    model = WittenBell(train, order, vocab_size)
    probabilities = model.probabilities(text)
    assert probabilities.shape == (len(text) - 1,)
    assert probabilities.dtype == torch.float64
    expected = [
        model.distribution(text[: i + 1])[text[i + 1]] for i in range(len(text) - 1)
    ]
    assert probabilities.equal(torch.stack(expected))


@relaxed
@given(case=cases())
def test_only_the_last_tokens_of_a_context_count(case):
    train, order, vocab_size, text = case
    model = WittenBell(train, order, vocab_size)
    reach = order - 1
    short = text[len(text) - min(reach, len(text)) :]
    assert model.distribution(text).equal(model.distribution(short))


@relaxed
@given(case=cases())
def test_a_context_never_seen_hands_over_to_the_shorter_one(case):
    train, order, vocab_size, text = case
    # The last id occurs only here: every context that holds it is unseen.
    model = WittenBell(train, order, vocab_size + 1)
    unseen = torch.tensor([vocab_size])
    for middle in range(len(text) + 1):
        context = torch.cat([text[:middle], unseen, text[middle:]])
        expected = model.distribution(text[middle:])
        assert model.distribution(context).equal(expected)


def test_asking_changes_nothing():
    model = WittenBell(ABAB, 3, 4)
    before = model.distribution(torch.tensor([0, 1]))
    model.distribution(torch.tensor([3, 3, 2]))
    model.probabilities(torch.tensor([3, 2, 0, 1]))
    assert model.distribution(torch.tensor([0, 1])).equal(before)


@pytest.mark.parametrize("order", [2, 3, 9])
def test_an_order_longer_than_the_text_works(order):
    train = torch.tensor([1])
    model, unigrams = WittenBell(train, order, 3), WittenBell(train, 1, 3)
    text = torch.tensor([1, 0, 2, 1])
    assert model.probabilities(text).equal(unigrams.probabilities(text))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_ids_of_every_integer_dtype_mean_the_same(dtype):
    model, expected = WittenBell(ABAB.to(dtype), 2, 3), WittenBell(ABAB, 2, 3)
    assert model.probabilities(ABAB.to(dtype)).equal(expected.probabilities(ABAB))


def test_longer_contexts_predict_a_repetitive_text_better():
    ids = torch.tensor([0, 0, 0, 1, 0, 0, 2, 0, 1, 2] * 30)
    train, held_out = ids[:200], ids[200:]
    scores = [perplexity(WittenBell(train, k, 3), held_out) for k in range(1, 6)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 2.4
    assert scores[4] < 1.1
    assert min(a - b for a, b in pairwise(scores)) > 0.01


# What is refused


@pytest.mark.parametrize("name", ["order", "vocab_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_an_order_or_a_vocabulary_of_nothing_is_refused(name, value):
    arguments = {"order": 2, "vocab_size": 3} | {name: value}
    with pytest.raises(ValueError, match=f"^{name} is {value}; accepted: 1 or more"):
        WittenBell(ABAB, **arguments)


def test_an_empty_training_text_is_refused():
    with pytest.raises(ValueError, match="ids is empty; accepted: at least one token"):
        WittenBell(ABAB[:0], 2, 3)


@pytest.fixture(params=["WittenBell", "distribution", "probabilities"])
def reader(request):
    """Return each of the three that read ids."""
    if request.param == "WittenBell":
        return lambda ids: WittenBell(ids, 2, 3)
    return getattr(WittenBell(ABAB, 2, 3), request.param)


@pytest.mark.parametrize(
    ("ids", "found"), [([0, 3], "0 to 3"), ([-1, 2], "-1 to 2"), ([7, 9, 8], "7 to 9")]
)
def test_an_id_outside_the_vocabulary_is_refused(reader, ids, found):
    message = re.escape(f"ids run from {found}; accepted: 0 ... 2")
    with pytest.raises(ValueError, match=message):
        reader(torch.tensor(ids))


@pytest.mark.parametrize("shape", [(), (1, 4), (2, 2)])
def test_ids_that_are_no_vector_are_refused(reader, shape):
    message = re.escape(f"ids has shape {shape} and dtype torch.int64; accepted")
    with pytest.raises(ValueError, match=message):
        reader(torch.zeros(shape, dtype=torch.int64))


def test_ids_that_are_no_integers_are_refused(reader):
    message = r"ids has shape \(4,\) and dtype torch\.float32; accepted"
    with pytest.raises(ValueError, match=message):
        reader(ABAB.float())


@pytest.mark.parametrize("n", [0, 1])
def test_a_text_without_a_token_to_predict_is_refused(n):
    with pytest.raises(ValueError, match=f"ids holds {n} tokens; accepted: 2 or more"):
        WittenBell(ABAB, 2, 3).probabilities(ABAB[:n])


# A discount and a scale


@relaxed
@given(
    case=cases(min_size=2), discount=st.floats(0, 1), scale=st.sampled_from([0.1, 1, 3])
)
def test_discount_and_scale_by_the_formula(case, discount, scale):
    train, order, vocab_size, text = case
    model = WittenBell(train, order, vocab_size, discount=discount, scale=scale)

    def p(context):
        shorter = p(context[1:]) if context else [1 / vocab_size] * vocab_size
        after = [
            train[i + len(context)].item()
            for i in range(len(train) - len(context))
            if train[i : i + len(context)].tolist() == context
        ]
        c = [after.count(w) for w in range(vocab_size)]
        distinct = len(set(after))
        total = len(after) + scale * distinct
        give = (scale + discount) * distinct
        return [
            (max(c[w] - discount, 0) + give * shorter[w]) / total if after else q
            for w, q in enumerate(shorter)
        ]

    context = text[-(order - 1) :].tolist() if order > 1 else []
    expected = torch.tensor(p(context), dtype=torch.float64)
    found = model.distribution(text)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    assert found.sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"discount": -0.1}, "discount is -0.1; accepted: 0 to 1"),
        ({"discount": 1.5}, "discount is 1.5; accepted: 0 to 1"),
        ({"discount": math.nan}, "discount is nan; accepted: 0 to 1"),
        ({"scale": -1.0}, "scale is -1.0; accepted: 0 or more"),
        ({"scale": math.nan}, "scale is nan; accepted: 0 or more"),
        ({"scale": 0.0}, "scale is 0.0; accepted: 0 or more, not 0 without D"),
    ],
)
def test_discounts_and_scales_that_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        WittenBell(ABAB, 2, 3, **arguments)


# Counting on


@relaxed
@given(case=cases(min_size=2))
def test_a_token_is_counted_after_it_was_scored(case):
    train, order, vocab_size, text = case
    half = max(2, len(text) // 2)
    whole, part = (
        WittenBell(train, order, vocab_size).probabilities(t, learn=True)
        for t in (text, text[:half])
    )
    assert whole[: half - 1].equal(part)
    assert whole[0] == WittenBell(train, order, vocab_size).probabilities(text)[0]


def test_counting_on_is_counting_both_texts():
    train, text = torch.tensor([0, 1, 1, 0, 2]), torch.tensor([2, 1, 0, 1, 0])
    model = WittenBell(train, 3, 3)
    model.probabilities(text, learn=True)
    for length in range(3):
        expected = {}
        for ids in (train.tolist(), text.tolist()):
            # The first token of the second text is given, not counted.
            for i in range(length, len(ids)):
                if ids == text.tolist() and i == 0:
                    continue
                context = "".join(map(chr, ids[i - length : i]))
                counts = expected.setdefault(context, {})
                counts[chr(ids[i])] = counts.get(chr(ids[i]), 0) + 1
        assert model._tables[length] == {
            h: ([sum(counts.values())], counts) for h, counts in expected.items()
        }


def test_the_size_is_the_number_of_different_grams():
    model = WittenBell(torch.tensor([0, 1, 0, 1, 2]), 2, 3)
    assert model.size == 3 + 3  # a, b, c; ab, ba, bc
