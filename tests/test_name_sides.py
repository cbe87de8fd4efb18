"""Laboratory D: the networks and the linear models of its contest, in small."""

import random

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from torch import nn
from torch.nn import functional as F

from companion.experiments import name_networks as networks
from companion.experiments import name_ngrams as ngrams
from companion.experiments import name_parts as parts
from companion.experiments import name_search as search
from companion.experiments.spelling import SpellingClassifier
from companion.names import ids, pad

F64 = torch.float64
K = 18
FEW = ["Papadakis", "Ivanova", "O'Keefe", "Ito", "A"]


@pytest.fixture(autouse=True)
def _keep_the_generator():
    with torch.random.fork_rng():
        yield


@pytest.fixture
def _double():
    torch.set_default_dtype(F64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def small():
    """A few names of every language, to train with and to ask about."""
    train = parts.contest_parts()["train"]
    some = parts.take(train, range(0, len(train[0]), max(1, len(train[0]) // 500)))
    return parts.inner_parts(some, 0)


@pytest.mark.usefixtures("_double")
def test_the_network_is_the_joint_one_with_scores_of_pieces():
    model = networks.Contestant(
        FEW, hidden=5, order=3, spelling=0.7, dropout=0.0, piece_dropout=0.0
    )
    joint = SpellingClassifier(
        nn.GRU(59, 5, bidirectional=True), K, dropout=0.0, aux_weight=0.7
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    joint.layer.load_state_dict(model.layer.state_dict())
    with torch.no_grad():
        joint.output.weight.copy_(model.output.weight)
        joint.output.bias.copy_(model.bias)
        heads = joint.forward_head, joint.backward_head
        for mine, theirs in zip(model.guesses, heads, strict=True):
            theirs.load_state_dict(mine.state_dict())
    asked = [*FEW, "Papadopoulos", "Zed"]
    padded, lengths = pad([ids(name) for name in asked])
    # A piece of a name that was not trained with has no row, and scores nothing.
    counts = CountVectorizer(
        analyzer="char",
        ngram_range=(1, 3),
        lowercase=False,
        preprocessor=lambda name: f"|{name}|",
    )
    X = torch.from_numpy(counts.fit(FEW).transform(asked).toarray()).to(F64)
    alphabet = networks.ALPHABET + "|"
    D = torch.zeros(X.shape[1], K)
    for piece, column in counts.vocabulary_.items():
        number = 0
        for char in piece:
            number = number * networks.BASE + alphabet.index(char) + 1
        (row,) = (model.seen == number).nonzero()[0]
        D[column] = model.table.weight[row].detach()
    assert len(model.seen) == X.shape[1]
    torch.testing.assert_close(model(padded, lengths), joint(padded, lengths) + X @ D)
    labels = torch.arange(len(asked))
    spelt = joint.loss(padded, lengths, labels) - F.cross_entropy(
        joint(padded, lengths), labels
    )
    mine = model.loss(padded, lengths, labels) - F.cross_entropy(
        model(padded, lengths), labels
    )
    torch.testing.assert_close(mine, spelt)


def test_only_the_scores_of_pieces_decay(small, monkeypatch):
    seen = []

    class Watched(torch.optim.AdamW):
        def __init__(self, groups, **options):
            super().__init__(groups, **options)
            seen.extend(self.param_groups)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    networks.train_network(
        small["train"], "joint", {"hidden": 4}, rate=0.01, epochs=1, decay=0.2
    )
    assert sorted((len(g["params"]), g["weight_decay"]) for g in seen) == [
        (1, 0.2),
        (14, 0.0),
    ]


@pytest.mark.parametrize("name", search.NETWORKS)
def test_a_network_of_the_search_in_small(small, name):
    settings = search.draw(name, 1) | {"epochs": 2}
    assert search.draw(name, 1) != search.draw(name, 2)
    options = settings["options"] = dict(settings["options"])
    options["hidden"] = min(options["hidden"], 4)
    if settings["kind"] == "joint":
        assert (options["hidden"] > 0) == ("states" in name)
        assert (options["order"] > 0) == ("pieces" in name)
        assert (options["spelling"] > 0) == ("spelling" in name)
    first, same, other = (
        search.logs_of(small["train"], small["test"][0], name, settings, seed)
        for seed in (0, 0, 1)
    )
    assert first.shape == (len(small["test"][0]), K)
    torch.testing.assert_close(first.exp().sum(1), torch.ones(len(first)))
    assert torch.equal(first, same)
    if name != "pieces":
        assert not torch.equal(first, other)
    found = search.judge(small, first)
    assert found["value"] == pytest.approx(
        parts.value(found["plain"]) + parts.value(found["adjusted"])
    )


@pytest.mark.parametrize("weighting", ngrams.WEIGHTINGS)
def test_the_features_of_a_weighting(weighting):
    train, asked = ["Anna", "Ito", "Anton"], ["Anna", "Zz"]
    X, Z = ngrams.features((train, [0, 1, 2]), asked, weighting, 2)
    assert X.shape[0] == 3
    assert Z.shape == (2, X.shape[1])
    assert abs(X[0] - Z[0]).max() < 1e-12
    largest = X.max()
    if weighting == "binary":
        assert largest == 1
    elif weighting == "counts":
        assert largest == 2  # the letter n of Anna
    else:
        lengths = (X.multiply(X)).sum(1)
        assert abs(lengths - 1).max() < 1e-12
    bare = ngrams.features((train, [0, 1, 2]), asked, weighting, 2, marks=False)[0]
    assert bare.shape[1] < X.shape[1]


def test_a_path_of_regressions_ends_where_one_fit_does(small):
    train, asked = small["train"], small["test"][0]
    path = ngrams.regression_path(train, asked, "binary", 2, [0.1, 1.0])
    alone = ngrams.regression_path(train, asked, "binary", 2, [1.0])
    logs, steps = path[1.0]
    assert steps < 2000
    torch.testing.assert_close(logs, alone[1.0][0], rtol=0, atol=2e-3)
    torch.testing.assert_close(logs.exp().sum(1), torch.ones(len(logs), dtype=F64))


@pytest.mark.parametrize("kind", search.OTHERS)
def test_the_other_models_answer_better_than_chance(small, kind):
    for settings in random.Random(0).sample(search.OTHERS[kind], 3):
        logs = search.logs_of(small["train"], small["test"][0], kind, settings)
        right = logs.argmax(1) == torch.tensor(small["test"][1])
        assert right.double().mean() > 0.2
