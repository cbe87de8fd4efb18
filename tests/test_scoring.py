"""What the experiments on text share: parts, scores, learning on, and mixtures."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from companion.clipping import clip_grad_norm_
from companion.experiments import scoring
from companion.laboratory.direct import Contexts, DirectLanguageModel
from companion.language_model import LanguageModel
from companion.measuring import evaluate

F64 = torch.float64
V = 28

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def ids():
    return torch.randint(V, (70,), generator=seeded())


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(nn.LSTM(V, 8, dtype=F64), V, init_std=0.7, dropout=0.5)


@pytest.fixture
def direct():
    """Return a model with direct connections, none of them at zero."""
    text = torch.randint(V, (300,), generator=seeded(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.LSTM(V, 8, dtype=F64)
        made = DirectLanguageModel(layer, Contexts(text, 3, V, 16), 2, dropout=0.5)
        nn.init.normal_(made.tables, std=0.3)
    return made


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


# The book


@pytest.mark.parametrize(("join", "blanks"), [("", 0), (" ", 1)])
def test_the_corpus_is_the_book_in_ids(join, blanks):
    ids, vocab = scoring.corpus(join)
    assert len(vocab) == V
    assert ids.min() >= 1  # nothing is unknown
    fused, _ = scoring.corpus("")
    assert (len(ids) > len(fused)) == bool(blanks)
    assert vocab.decode(ids).replace(" ", "") == vocab.decode(fused).replace(" ", "")


@settings(deadline=None)
@given(n=st.integers(0, 3000))
def test_the_three_parts_follow_each_other_and_cover_the_text(n):
    ids = torch.arange(n)
    parts = scoring.split(ids)
    assert torch.cat(parts).equal(ids)
    for part, share in zip(parts, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(part) - share * n) < 1


def test_the_parts_of_the_book_are_disjoint_pieces_of_it():
    ids, _ = scoring.corpus()
    train, validation, test = scoring.split(torch.arange(len(ids)))
    assert train[-1] < validation[0]
    assert validation[-1] < test[0]
    assert min(map(len, (train, validation, test))) > 1000


# Scores of single tokens


@pytest.mark.parametrize("chunk", [1, 7, 20, 1000])
def test_static_scores_are_those_of_evaluate(model, ids, chunk):
    scores = scoring.log_probabilities(model, ids, chunk=chunk)
    assert scores.shape == (len(ids) - 1,)
    assert scores.dtype == F64
    assert scores.max() < 0
    assert -scores.mean().item() == pytest.approx(evaluate(model, ids), abs=1e-12)
    logits, _ = copy.deepcopy(model).eval()(ids[None, :-1])
    expected = logits.log_softmax(1)[torch.arange(len(ids) - 1), ids[1:]]
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("learning_rate", [0.0, 0.5])
def test_scoring_leaves_the_model_as_it_is(model, ids, learning_rate, training):
    before = weights(model.train(training))
    scoring.log_probabilities(model, ids, learning_rate)
    torch.testing.assert_close(weights(model), before, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training == training for module in model.modules())


def test_each_chunk_is_scored_before_it_is_learned_from(model, ids):
    """The scores of a chunk depend on the text before it, and on nothing else."""
    static = scoring.log_probabilities(model, ids)
    dynamic = scoring.log_probabilities(model, ids, 0.5)
    assert dynamic[:20].equal(static[:20])
    assert not dynamic[20:].isclose(static[20:]).all()
    # Other text from token 41 on: what is scored up to there does not change.
    other = ids.clone()
    other[41:] = (ids[41:] + 1) % V
    changed = scoring.log_probabilities(model, other, 0.5)
    assert changed[:40].equal(dynamic[:40])


def test_dynamic_scores_equal_a_loop_by_hand(model, ids):
    model.W_hq.data.mul_(20)  # so that there is something to clip
    learner = copy.deepcopy(model).eval()
    state, scores, norms = None, [], []
    for start in (0, 30, 60):
        targets = ids[start + 1 : start + 31]
        inputs = ids[start : start + len(targets)]
        if state is not None:
            state = tuple(part.detach() for part in state)
        logits, state = learner(inputs[None], state)
        scores.append(-F.cross_entropy(logits, targets, reduction="none").detach())
        learner.zero_grad()
        F.cross_entropy(logits, targets).backward()
        norms.append(clip_grad_norm_(learner, 1.0))
        with torch.no_grad():
            for parameter in learner.parameters():
                parameter -= 0.3 * parameter.grad
    dynamic = scoring.log_probabilities(model, ids, 0.3, chunk=30)
    torch.testing.assert_close(dynamic, torch.cat(scores), rtol=0, atol=1e-12)
    assert min(norms[:2]) > 1


def test_dynamic_evaluation_learns_a_text_that_repeats_itself(model):
    ids = torch.arange(V).repeat(20)
    static, dynamic = (
        scoring.log_probabilities(model, ids, rate) for rate in (0.0, 0.5)
    )
    assert dynamic[-V:].mean() > static[-V:].mean() + 0.1


# The same with direct connections


def sums(model, value=0.1):
    return torch.full_like(model.tables, value)


def test_fixed_scores_with_direct_connections_are_those_of_evaluate(direct, ids):
    logs = scoring.log_probabilities(direct, ids, chunk=7)
    assert logs.dtype == F64
    assert -logs.mean().item() == pytest.approx(evaluate(direct, ids), 1e-12)


def test_learning_on_leaves_the_model_and_its_sums_as_they_are(direct, ids):
    before, kept = copy.deepcopy(direct.state_dict()), sums(direct)
    scoring.log_probabilities(direct, ids, 0.1, table_rate=0.3, sums=kept)
    assert_close(direct.state_dict(), before, rtol=0, atol=0)
    assert kept.eq(0.1).all()


@pytest.mark.parametrize("rates", [(0.1, 0.0), (0.0, 0.3), (0.1, 0.3)])
def test_both_parts_learn_from_a_chunk_after_it_was_scored(direct, ids, rates):
    rate, table_rate = rates

    def scores(text):
        return scoring.log_probabilities(
            direct, text, rate, table_rate=table_rate, sums=sums(direct)
        )

    static, dynamic = scoring.log_probabilities(direct, ids), scores(ids)
    assert dynamic[:20].equal(static[:20])
    assert not dynamic[20:].isclose(static[20:]).all()
    other = ids.clone()
    other[41:] = (ids[41:] + 1) % V
    assert scores(other)[:40].equal(dynamic[:40])


# Mixtures


def test_a_mixture_is_a_mean_of_probabilities():
    p, q = torch.rand(2, 50, dtype=F64, generator=torch.Generator().manual_seed(0))
    found = scoring.mix([p.log(), q.log()], [0.3, 0.7])
    assert_close(found.exp(), 0.3 * p + 0.7 * q)


def test_the_weight_is_chosen_on_the_validation_text():
    generator = torch.Generator().manual_seed(0)
    a, b = (
        {
            part: torch.rand(200, dtype=F64, generator=generator).log()
            for part in scoring.PARTS
        }
        for _ in "ab"
    )
    found = scoring.mixed(a, b)
    tried = {
        w / 20: (1 / (w / 20 * a[k].exp() + (1 - w / 20) * b[k].exp())).log().mean()
        for k in ("validation",)
        for w in range(1, 20)
    }
    assert found["weight"] == min(tried, key=tried.get)
    assert found["validation"] == pytest.approx(min(tried.values()).exp())
    worse = {"validation": b["validation"], "test": 9 * b["test"]}
    assert scoring.mixed(a, worse)["weight"] == found["weight"]


def test_a_weight_of_one_leaves_a_model_alone():
    a, b = torch.randn(2, 5, V, dtype=F64).log_softmax(-1)
    assert scoring.mix([a, b], [1.0, 0.0]).equal(a)
    assert scoring.mix([a, b], [0.0, 1.0]).equal(b)
    assert_close(scoring.average([a, b]).exp(), (a.exp() + b.exp()) / 2)
