"""Properties of the classifier that scores at every step, spells, and looks up."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion import names as data
from companion.classifier import log_probabilities
from companion.experiments.spelling import SpellingClassifier, known_ngrams
from companion.laboratory.name_training import batches, train_on_names
from companion.laboratory.surnames import encode
from companion.names import pad

F64 = torch.float64
K = 5
KINDS = [nn.RNN, nn.GRU, nn.LSTM]
NAMES = ["Ivanov", "Ivan", "Ivanova", "Abe", "A", "Abel", "Ivanov", "O'Neil", "b"]


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def minibatch(names):
    return pad([data.ids(name) for name in names])


def close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def by_pattern():
    """Return names that a model can tell apart: by their last letter."""
    names = [a + b + c for a in "abcd" for b in "abc" for c in "xyz"]
    return names, ["xyz".index(name[-1]) for name in names]


# Scores at every step, and spelling


def joint(kind=nn.GRU, **options):
    layer = kind(59, 6, bidirectional=True, dtype=F64)
    return SpellingClassifier(layer, K, **{"dropout": 0.5} | options)


def every_ngram(longest):
    """Number all n-grams of a length and shorter ones."""
    return torch.arange(1, 1 + sum(60**n for n in range(1, longest + 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_has_its_say(kind):
    model = joint(kind).eval()
    together = model(*minibatch(NAMES))
    for name, logits in zip(NAMES, together, strict=True):
        states, _ = model.layer(encode(name).double())  # (n, 1, 2H)
        expected = states[:, 0] @ model.output.weight.T
        close(logits, expected.sum(0) + model.output.bias)


@pytest.mark.parametrize("kind", KINDS)
def test_each_direction_predicts_the_character_that_it_reads_next(kind):
    model = joint(kind, dropout=0.0, aux_weight=0.7)
    labels = torch.arange(len(NAMES)) % K
    nats = {"next": [], "previous": []}
    for name in NAMES:
        states = model.layer(encode(name).double())[0][:, 0]
        spelled = data.ids(name)
        predictions = {
            "next": (model.forward_head(states[:-1, :6]), spelled[1:]),
            "previous": (model.backward_head(states[1:, 6:]), spelled[:-1]),
        }
        for side, (logits, targets) in predictions.items():
            nats[side].append(F.cross_entropy(logits, targets, reduction="none"))
    padded, lengths = minibatch(NAMES)
    expected = F.cross_entropy(model(padded, lengths), labels)
    for losses in nats.values():
        expected = expected + 0.7 * torch.cat(losses).mean()
    close(model.loss(padded, lengths, labels), expected)
    longer = torch.cat((padded, padded[:1].expand(3, -1)))
    close(model.loss(longer, lengths, labels), expected)


def test_a_prediction_does_not_see_its_target():
    """Only characters on the near side of the target move the prediction."""
    model = joint(dropout=0.0)
    before, _ = model.layer(encode("Abel").double())
    after, _ = model.layer(encode("Abex").double())
    close(before[:3, 0, :6], after[:3, 0, :6])
    assert not before[:3, 0, 6:].isclose(after[:3, 0, 6:]).any()


@pytest.mark.parametrize(("aux_weight", "names"), [(0.0, NAMES), (3.0, ["A", "b"])])
def test_without_predictions_the_loss_is_that_of_the_classes(aux_weight, names):
    model = joint(dropout=0.0, aux_weight=aux_weight)
    labels = torch.arange(len(names)) % K
    expected = F.cross_entropy(model(*minibatch(names)), labels)
    close(model.loss(*minibatch(names), labels), expected)


def test_spelling_is_learned_in_training_and_both_losses_fall():
    names, labels = by_pattern()
    sequences = [data.ids(name) for name in names]
    model = SpellingClassifier(nn.GRU(59, 16, bidirectional=True), 3, dropout=0.2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = [
        train_on_names(
            model,
            batches(sequences, labels, 9, generator=seeded()),
            optimiser,
            objective=model.loss,
        )
        for _ in range(25)
    ]
    # Four letters, then three, then three, all equally frequent: ln 3 and less remain.
    assert 3 * math.log(3) < losses[-1] < 12 < losses[0]
    assert log_probabilities(model, names).argmax(1).tolist() == labels


# Direct connections


def ngrams_of(name, longest):
    """Number the n-grams of a folded name as digits to the base 60, by size."""
    digits = [59, *(data.ALPHABET.index(c) for c in data.fold(name)), 59]
    for size in range(1, longest + 1):
        for start in range(len(digits) - size + 1):
            number = 0
            for digit in digits[start : start + size]:
                number = 60 * number + digit
            yield 1 + sum(60**n for n in range(1, size)) + number


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_every_ngram_has_a_score_of_its_own(longest):
    model = joint(longest=longest, known=every_ngram(longest)).eval()
    nn.init.normal_(model.direct.weight)
    plain = joint().eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    padded, lengths = minibatch(NAMES)
    padded = torch.cat((padded, padded[:1].expand(2, -1)))  # more padding than needed
    ngrams = torch.stack(
        [model.direct.weight[[*ngrams_of(name, longest)]].sum(0) for name in NAMES]
    )
    expected = plain(padded, lengths) + ngrams
    close(model(padded, lengths), expected)
    close(model._score_ngrams(padded, lengths), ngrams)
    assert len(model.direct.weight) == 1 + sum(60**n for n in range(1, longest + 1))


@pytest.mark.parametrize(
    "options", [{"ngram_dropout": 0.25}, {"dropout": 0.9, "ngram_dropout": 0.25}]
)
def test_in_training_ngrams_are_left_out(options):
    model = joint(longest=2, known=every_ngram(2), **options)
    nn.init.ones_(model.direct.weight)
    sizes = torch.tensor([float(len(list(ngrams_of(name, 2)))) for name in NAMES])
    draws = torch.stack(
        [model._score_ngrams(*minibatch(NAMES))[:, 0].detach() for _ in range(300)]
    ).float()
    left = draws * 0.75
    torch.testing.assert_close(left, left.round())
    assert (left <= sizes).all()
    assert left.std(0).min() > 0
    torch.testing.assert_close(draws.mean(0), sizes, rtol=0.1, atol=0.0)
    close(model.eval()._score_ngrams(*minibatch(NAMES))[:, 0], sizes.double())


def test_ngrams_that_training_does_not_know_score_zero():
    names, labels = by_pattern()
    layer = nn.GRU(59, 4, bidirectional=True)
    model = SpellingClassifier(layer, 3, longest=3, known=every_ngram(3))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0.1)
    minibatches = batches([data.ids(name) for name in names], labels, 9)
    train_on_names(model, minibatches, optimiser, objective=model.loss)
    known = {number for name in names for number in ngrams_of(name, 3)}
    learned = set(model.direct.weight.detach().any(1).nonzero()[:, 0].tolist())
    assert learned == known


@pytest.mark.parametrize("longest", [1, 2, 3, 4])
def test_rows_for_known_ngrams_give_the_scores_of_a_row_for_every_piece(longest):
    known = known_ngrams([data.ids(name) for name in NAMES[:4]], longest)
    wanted = sorted({n for name in NAMES[:4] for n in ngrams_of(name, longest)})
    assert known.tolist() == wanted
    small = joint(longest=longest, known=known).eval()
    nn.init.normal_(small.direct.weight)
    assert len(small.direct.weight) == 1 + len(known)
    scores = dict(zip(wanted, small.direct.weight[1:], strict=True))
    nothing = torch.zeros(K, dtype=F64)
    expected = torch.stack(
        [
            sum((scores.get(n, nothing) for n in ngrams_of(name, longest)), nothing)
            for name in NAMES
        ]
    )
    close(small._score_ngrams(*minibatch(NAMES)), expected)
    if longest < 4:
        full = joint(longest=longest, known=every_ngram(longest)).eval()
        full.direct.weight.data[known] = small.direct.weight.data[1:]
        close(full._score_ngrams(*minibatch(NAMES)), expected)


TWO_WAYS = nn.GRU(59, 4, bidirectional=True)
ROWS = {"longest": 2, "known": [1, 5]}


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (nn.GRU(59, 4), {}, "accepted: one layer of two directions"),
        (nn.GRU(59, 4, 2, bidirectional=True), {}, "accepted: one layer of two"),
        (nn.GRU(58, 4, bidirectional=True), {}, "of 59 features"),
        (nn.GRU(59, 4, batch_first=True, bidirectional=True), {}, "time first"),
        (nn.LSTM(59, 4, proj_size=2, bidirectional=True), {}, "without projection"),
        (TWO_WAYS, {"dropout": 1.0}, "dropout is 1.0"),
        (TWO_WAYS, {"ngram_dropout": 1.0}, "ngram_dropout is"),
        (TWO_WAYS, {"aux_weight": -1.0}, "aux_weight is -1.0"),
        (TWO_WAYS, {"aux_weight": math.nan}, "aux_weight is nan"),
        (TWO_WAYS, {"num_classes": 0}, "num_classes is 0"),
        (TWO_WAYS, {"longest": 4}, "longest is 4; accepted: 1 ... 5 with known"),
        (TWO_WAYS, {"known": [1]}, "longest is 0; accepted: 1 ... 5 with known"),
        (TWO_WAYS, {**ROWS, "longest": 6}, "longest is 6; accepted"),
        (TWO_WAYS, {**ROWS, "longest": -1}, "longest is -1; accepted"),
        (TWO_WAYS, {**ROWS, "known": [5, 1]}, "known is .*from 1 up, ascending"),
        (TWO_WAYS, {**ROWS, "known": [5, 5]}, "known is .*from 1 up, ascending"),
        (TWO_WAYS, {**ROWS, "known": [0, 5]}, "known is .*from 1 up, ascending"),
        (TWO_WAYS, {**ROWS, "known": []}, "known is .*one or more from 1 up"),
    ],
)
def test_a_joint_model_refuses_what_it_cannot_use(layer, options, message):
    with pytest.raises(ValueError, match=message):
        SpellingClassifier(layer, **{"num_classes": K, **options})


def test_a_joint_model_refuses_lengths_of_another_shape():
    padded, _ = minibatch(["Abe", "B"])
    with pytest.raises(ValueError, match=r"accepted: \(T, N\) and \(N,\)"):
        joint().loss(padded, torch.tensor([3]), torch.tensor([0, 1]))
