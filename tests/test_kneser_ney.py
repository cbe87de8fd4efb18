"""Properties of the n-gram model with modified Kneser-Ney smoothing."""

import math
import re
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from companion.laboratory.kneser_ney import KneserNey

relaxed = settings(deadline=None, max_examples=50)
ABAB = torch.tensor([0, 1, 0, 1])
NOTHING = torch.tensor([], dtype=torch.int64)


@st.composite
def cases(draw, min_size=1):
    """Draw a training text, an order, V, and another text over the same vocabulary."""
    vocab_size = draw(st.integers(1, 5))
    ids = st.lists(st.integers(0, vocab_size - 1), min_size=min_size, max_size=60)
    train, text = torch.tensor(draw(ids)), torch.tensor(draw(ids), dtype=torch.int64)
    return train, draw(st.integers(1, 6)), vocab_size, text


class Slow:
    """The definition, in exact fractions: every count is a search through the text."""

    def __init__(self, train, order, vocab_size):
        self.train, self.order, self.V = train.tolist(), order, vocab_size

    def windows(self, length):
        """Return every gram of one length, repeated as it is."""
        return [
            tuple(self.train[i : i + length])
            for i in range(len(self.train) - length + 1)
        ]

    def count(self, gram):
        """Count a gram of full order as it is, a shorter one by its left neighbours."""
        here = [i for i, g in enumerate(self.windows(len(gram))) if g == gram]
        if len(gram) == self.order:
            return len(here)
        return len({self.train[i - 1] if i else "beginning" for i in here})

    def discounts(self, length):
        """Return D1, D2 and D3 of the grams of one length."""
        found = [self.count(g) for g in set(self.windows(length))]
        n1, n2, n3, n4 = (found.count(k) for k in (1, 2, 3, 4))
        if n1 and n2 and n3:
            Y = Fraction(n1, n1 + 2 * n2)
            D1 = 1 - 2 * Y * Fraction(n2, n1)
            D2 = 2 - 3 * Y * Fraction(n3, n2)
            D3 = 3 - 4 * Y * Fraction(n4, n3)
            if 0 <= D1 <= 1 and 0 <= D2 <= 2 and 0 <= D3 <= 3:
                return D1, D2, D3
        return Fraction(1, 2), Fraction(1), Fraction(3, 2)

    def p(self, token, context):
        """Return P(token | context)."""
        context = tuple(context)[max(0, len(context) - self.order + 1) :]
        shorter = self.p(token, context[1:]) if context else Fraction(1, self.V)
        counts = [self.count((*context, w)) for w in range(self.V)]
        if not sum(counts):
            return shorter
        D = self.discounts(len(context) + 1)
        given_away = sum(D[min(c, 3) - 1] for c in counts if c)
        own = counts[token] and counts[token] - D[min(counts[token], 3) - 1]
        return (own + given_away * shorter) / sum(counts)


def perplexity(model, ids, **options):
    return math.exp(-model.probabilities(ids, **options).log().mean())


# By hand


def test_bigrams_by_hand():
    # a b a b: a stands after the beginning and after b, b only after a: continuation
    # counts 2 and 1. The discounts are 0.5, 1, 1.5, for there are too few counts.
    model = KneserNey(ABAB, 2, 3)
    assert model.discounts == [(0.5, 1, 1.5)] * 2
    # (2 - 1 + 1.5/3) / 3, (1 - 0.5 + 1.5/3) / 3, (1.5/3) / 3
    unigrams = torch.tensor([3, 2, 1]).double() / 6
    assert_close(model.distribution(NOTHING), unigrams)
    # After a: b twice, so D2 = 1 goes to the unigrams: (0 + p)/2, (1 + p)/2.
    after_a = (torch.tensor([0, 1, 0]) + unigrams) / 2
    assert_close(model.distribution(torch.tensor([0])), after_a)
    # After b: a once, so D1 = 0.5 does.
    after_b = torch.tensor([0.5, 0, 0]) + 0.5 * unigrams
    assert_close(model.distribution(torch.tensor([1])), after_b)
    scores = model.probabilities(torch.tensor([0, 1, 1, 2]))
    assert_close(scores, torch.stack([after_a[1], after_b[1], after_b[2]]))


def test_a_frequent_token_of_a_single_context_is_no_candidate_elsewhere():
    """The example of Kneser and Ney: "Francisco" follows only "San"."""
    around = torch.tensor([3, 4, 0, 4, 3, 0, 1, 4, 0, 3])
    train = torch.cat([around, torch.tensor([1, 2]).repeat(50), around])
    after_unseen = KneserNey(train, 2, 6).distribution(torch.tensor([5]))
    share = (train == 2).double().mean()
    assert share > 0.4
    assert after_unseen[2] < 0.2


def test_discounts_by_hand():
    # Among the counts of the eight tokens n1 = 4, n2 = 2, n3 = 1 and n4 = 1.
    counts = [1, 1, 1, 1, 2, 2, 3, 4]
    train = torch.tensor([w for w, c in enumerate(counts) for _ in range(c)])
    (found,) = KneserNey(train, 1, 8).discounts
    Y = 4 / (4 + 2 * 2)
    assert found == pytest.approx((1 - 2 * Y * 2 / 4, 2 - 3 * Y / 2, 3 - 4 * Y / 1))


# Properties


@relaxed
@given(case=cases())
def test_a_distribution_is_positive_and_sums_to_one_after_any_context(case):
    train, order, vocab_size, text = case
    model = KneserNey(train, order, vocab_size)
    for end in range(len(text) + 1):
        distribution = model.distribution(text[:end])
        assert distribution.shape == (vocab_size,)
        assert distribution.dtype == torch.float64
        assert distribution.min() >= 0
        assert distribution.sum().item() == pytest.approx(1, abs=1e-12)


@relaxed
@given(case=cases(min_size=2))
def test_the_definition_evaluated_slowly_agrees(case):
    train, order, vocab_size, text = case
    model, slow = (kind(train, order, vocab_size) for kind in (KneserNey, Slow))
    for length, found in enumerate(model.discounts, 1):
        assert found == pytest.approx([float(D) for D in slow.discounts(length)])
    for context in (text, text[:1], NOTHING, train):
        expected = [float(slow.p(w, context.tolist())) for w in range(vocab_size)]
        expected = torch.tensor(expected, dtype=torch.float64)
        assert_close(model.distribution(context), expected, rtol=1e-12, atol=1e-15)


def test_discounts_as_published_are_used_where_there_are_enough_counts():
    train = torch.multinomial(
        torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]),
        400,
        replacement=True,
        generator=torch.Generator().manual_seed(0),
    )
    model, slow = KneserNey(train, 5, 5), Slow(train, 5, 5)
    published = [D != (0.5, 1.0, 1.5) for D in model.discounts]
    assert sum(published) >= 2
    for length, found in enumerate(model.discounts, 1):
        assert found == pytest.approx([float(D) for D in slow.discounts(length)])


@relaxed
@given(case=cases(min_size=2))
def test_the_probabilities_of_a_text_are_entries_of_the_distributions(case):
    train, order, vocab_size, text = case
    model = KneserNey(train, order, vocab_size)
    found = model.probabilities(text)
    assert found.shape == (len(text) - 1,)
    assert found.dtype == torch.float64
    expected = [
        model.distribution(text[: i + 1])[text[i + 1]] for i in range(len(text) - 1)
    ]
    assert found.equal(torch.stack(expected))


@relaxed
@given(case=cases())
def test_a_context_never_seen_hands_over_to_the_shorter_one(case):
    train, order, vocab_size, text = case
    model = KneserNey(train, order, vocab_size + 1)
    context = torch.cat([torch.tensor([vocab_size]), text])
    assert model.distribution(context).equal(model.distribution(text))


@pytest.mark.parametrize("order", [2, 3, 9])
def test_an_order_longer_than_the_text_works(order):
    model = KneserNey(torch.tensor([1]), order, 3)
    text = torch.tensor([1, 0, 2, 1])
    unigrams = KneserNey(torch.tensor([1]), 1, 3)
    assert model.probabilities(text).equal(unigrams.probabilities(text))


# Counting on


@relaxed
@given(case=cases(min_size=2))
def test_a_token_is_counted_after_it_was_scored(case):
    """What was scored up to some place does not depend on what comes after it."""
    train, order, vocab_size, text = case
    half = max(2, len(text) // 2)
    whole, part = (
        KneserNey(train, order, vocab_size).probabilities(t, learn=True)
        for t in (text, text[:half])
    )
    assert whole[: half - 1].equal(part)
    fixed = KneserNey(train, order, vocab_size).probabilities(text)
    assert whole[0] == fixed[0]


@relaxed
@given(case=cases(min_size=2), cut=st.integers(1, 59))
def test_counting_on_along_the_text_is_counting_it_all(case, cut):
    train, order, vocab_size, _ = case
    cut = min(cut, len(train) - 1)
    model, text = KneserNey(train[:cut], order, vocab_size), train.tolist()
    for i in range(cut, len(text)):
        model._count("".join(map(chr, text)), i)
    assert model._tables == KneserNey(train, order, vocab_size)._tables


def test_counting_on_learns_and_scoring_alone_does_not():
    train = torch.arange(6).repeat(20)
    text = torch.arange(5, -1, -1).repeat(20)
    model = KneserNey(train, 4, 6)
    fixed = perplexity(model, text)
    assert perplexity(model, text) == fixed
    assert perplexity(model, text, learn=True) < fixed / 2
    assert perplexity(model, text) < fixed / 2  # the model has changed


# What is refused


@pytest.mark.parametrize("name", ["order", "vocab_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_an_order_or_a_vocabulary_of_nothing_is_refused(name, value):
    arguments = {"order": 2, "vocab_size": 3} | {name: value}
    with pytest.raises(ValueError, match=f"^{name} is {value}; accepted: 1 or more"):
        KneserNey(ABAB, **arguments)


def test_an_empty_training_text_is_refused():
    with pytest.raises(ValueError, match="ids is empty; accepted: at least one token"):
        KneserNey(NOTHING, 2, 3)


@pytest.mark.parametrize("reader", ["KneserNey", "distribution", "probabilities"])
@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (torch.tensor([0, 3]), "ids run from 0 to 3; accepted: 0 ... 2"),
        (torch.zeros(2, 2).long(), "ids has shape (2, 2) and dtype torch.int64"),
        (torch.zeros(4), "ids has shape (4,) and dtype torch.float32; accepted"),
    ],
)
def test_what_is_no_text_is_refused(reader, ids, said):
    read = {"KneserNey": lambda ids: KneserNey(ids, 2, 3)}.get(
        reader, getattr(KneserNey(ABAB, 2, 3), reader, None)
    )
    with pytest.raises(ValueError, match=re.escape(said)):
        read(ids)


@pytest.mark.parametrize("n", [0, 1])
def test_a_text_without_a_token_to_predict_is_refused(n):
    with pytest.raises(ValueError, match=f"ids holds {n} tokens; accepted: 2 or more"):
        KneserNey(ABAB, 2, 3).probabilities(ABAB[:n])


def test_the_size_is_the_number_of_different_grams():
    model = KneserNey(torch.tensor([0, 1, 0, 1, 2]), 2, 3)
    assert model.size == 3 + 3  # a, b, c; ab, ba, bc
