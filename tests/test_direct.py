"""Properties of the language model with direct connections."""

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from companion.laboratory.direct import Contexts, DirectLanguageModel
from companion.language_model import LanguageModel
from companion.measuring import evaluate

V, L, H, F64 = 5, 3, 7, torch.float64
TEXT = torch.randint(V, (60,), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def contexts():
    return Contexts(TEXT, L, V, spare=16)


def make(contexts, folds=2, **options):
    """Return a model all of whose parameters differ from zero."""
    torch.manual_seed(0)
    layer = nn.LSTM(V, H, dtype=F64)
    model = DirectLanguageModel(layer, contexts, folds, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model


# Contexts


def test_rows_by_hand():
    contexts = Contexts(torch.tensor([0, 1, 0, 1, 2]), 2, 3, spare=1)
    # Before a token stand: of length 1, 0 twice and 1 twice; of length 2, 01 twice
    # and 10 once (12 is followed by nothing). Row 0 is the cut-short one.
    assert contexts.size == 1 + 2 + 2 + 1
    assert contexts.counts.tolist() == [1, 2, 2, 2, 1, 1]
    rows = contexts.rows(torch.tensor([[0, 1, 0, 2]]), contexts.begin(1))
    zero, one, of_01, of_10, new = 1, 2, 4, 3, 5
    # Codes put the newest token first: 10 has code 0 + 3, 01 has 1 + 0.
    of_01, of_10 = 3, 4
    expected = [[zero, 0], [one, of_01], [zero, of_10], [new, new]]
    assert rows.tolist() == [expected]


def test_a_row_is_a_context_and_no_other(contexts):
    text = TEXT.tolist()
    rows = contexts.rows(TEXT[None], contexts.begin(1))[0]
    for length in range(1, L + 1):
        grams = [tuple(text[i - length + 1 : i + 1]) for i in range(length - 1, 59)]
        found = rows[length - 1 : 59, length - 1].tolist()
        assert len(set(zip(grams, found, strict=True))) == len(set(grams))
        assert len(set(found)) == len(set(grams))
        for gram, row in zip(grams, found, strict=True):
            assert contexts.counts[row] == grams.count(gram)
    assert rows[: L - 1, L - 1].eq(0).all()


def test_what_is_new_gets_a_spare_row_and_always_the_same():
    contexts = Contexts(TEXT % 4, L, V, spare=16)
    text = torch.full((1, 20), 4)
    rows = contexts.rows(text, contexts.begin(1))[0, L:]
    assert rows.min() >= contexts.size - 16
    assert rows.max() < contexts.size
    assert rows.eq(rows[0]).all()


@pytest.mark.parametrize("cut", [1, 2, 3, 17])
def test_rows_do_not_depend_on_where_the_text_is_cut(contexts, cut):
    whole = contexts.rows(TEXT[None], contexts.begin(1))
    first = contexts.rows(TEXT[None, :cut], contexts.begin(1))
    before = torch.cat([contexts.begin(1), TEXT[None, :cut]], 1)[:, cut:]
    second = contexts.rows(TEXT[None, cut:], before)
    assert torch.cat([first, second], 1).equal(whole)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((TEXT, 0, V), "longest is 0; accepted: 1 or more"),
        ((TEXT, L, 0), "vocab_size is 0; accepted: 1 or more"),
        ((TEXT, L, V, 0), "spare is 0; accepted: 1 or more"),
        (
            (TEXT, 13, 28),
            "longest is 13; accepted: one with fewer than 2 ** 62",
        ),
        ((TEXT, 3, 4), "ids run from 0 to 4; accepted: 0 ... 3"),
        ((TEXT[:3], 3, V), "ids holds 3 tokens; accepted: over 3"),
    ],
)
def test_contexts_that_are_refused(arguments, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Contexts(*arguments)


# The model


def test_it_begins_as_the_recurrent_network_alone(contexts):
    torch.manual_seed(0)
    layer = nn.LSTM(V, H, dtype=F64)
    model = DirectLanguageModel(layer, contexts, init_std=0.5)
    plain = LanguageModel(layer, V, init_std=0.5)
    plain.W_hq, plain.b_q = model.W_hq, model.b_q
    assert model(TEXT[None])[0].equal(plain(TEXT[None])[0])


def test_logits_by_the_formula(contexts):
    model = make(contexts, folds=3).eval()
    X = TEXT[:24].reshape(2, 12)
    logits, _ = model(X)
    states, _ = model.layer(F.one_hot(X.T, V).to(F64))
    rows = contexts.rows(X, contexts.begin(2))
    for t in range(12):
        for i in range(2):
            h, E = states[t, i], model.tables[rows[i, t]]
            G = 2 * torch.sigmoid(
                h @ model.W_hg + torch.ones(L).to(F64) @ model.W_sg + model.b_g
            )
            expected = h @ model.W_hq + model.b_q + G @ E
            assert_close(logits[t * 2 + i], expected, rtol=0, atol=1e-12)


def test_gates_see_which_rows_are_zero(contexts):
    model = make(contexts).eval()
    with torch.no_grad():
        model.tables[contexts.size - contexts.spare :] = 0
        model.W_hg.zero_()
        before = model(TEXT[None])[0]
        model.W_sg += 1
    changed = ~before.isclose(model(TEXT[None])[0]).all(1)
    assert changed.any()
    with torch.no_grad():
        model.tables.zero_()
        model.b_g += 1
    own = model.b_q + model._hidden(TEXT[None], None)[0] @ model.W_hq
    assert_close(model(TEXT[None])[0], own, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cut", [1, 2, 5, 30])
def test_carrying_the_state_over_a_cut_changes_nothing(contexts, cut):
    model = make(contexts).eval()
    whole, _ = model(TEXT[None])
    first, state = model(TEXT[None, :cut])
    second, _ = model(TEXT[None, cut:], state)
    assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)
    assert_close(evaluate(model, TEXT, chunk=7), evaluate(model, TEXT))


def test_no_logit_depends_on_a_later_token(contexts):
    model = make(contexts).eval()
    other = TEXT.clone()
    other[30:] = (other[30:] + 1) % V
    assert_close(model(TEXT[None])[0][:30], model(other[None])[0][:30])


# Training


def batch(n=4, steps=10):
    X = TEXT[: n * steps].reshape(n, steps)
    return X, TEXT[1 : n * steps + 1].reshape(n, steps)


def gradients(model, value):
    model.zero_grad()
    value.backward(retain_graph=True)
    return {
        name: p.grad.to_dense() if p.grad.is_sparse else p.grad
        for name, p in model.named_parameters()
        if p.grad is not None
    }


@pytest.mark.parametrize("folds", [0, 2, 3])
def test_a_fold_reads_the_table_that_never_learns_from_it(contexts, folds):
    model, (X, Y) = make(contexts, folds).train(), batch(6, 9)
    loss, of_tables, penalty, _ = model.losses(X, Y)
    assert "tables" not in gradients(model, loss)
    for value in (of_tables, penalty):
        found = gradients(model, value)
        assert found.keys() == {"tables"}
        learned = found["tables"].reshape(1 + folds, contexts.size, V)
        rows = contexts.rows(X, contexts.begin(6))
        for table in range(1 + folds):
            fold = torch.arange(6) * folds // 6 if folds else torch.arange(6) * 0
            learners = rows[fold != table - 1] if table else rows
            expected = torch.zeros(contexts.size, dtype=torch.bool)
            expected[learners.unique()] = True
            assert learned[table].abs().sum(1).gt(0).equal(expected)


def test_the_loss_is_that_of_the_table_read(contexts):
    model, (X, Y) = make(contexts, folds=2).train(), batch()
    loss, *_ = model.losses(X, Y)
    with torch.no_grad():
        halves = []
        for fold, rows in ((0, slice(0, 2)), (1, slice(2, 4))):
            copy = make(contexts, folds=2).eval()
            size = contexts.size
            copy.tables[:size] = model.tables[(1 + fold) * size : (2 + fold) * size]
            logits, _ = copy(X[rows])
            halves.append(F.cross_entropy(logits, Y[rows].T.reshape(-1)))
    assert_close(loss, sum(halves) / 2, rtol=0, atol=1e-12)


def test_losses_in_evaluation_mode_are_those_of_table_0(contexts):
    model, (X, Y) = make(contexts, folds=2).eval(), batch()
    loss, of_tables, penalty, state = model.losses(X, Y)
    logits, expected = model(X)
    assert_close(loss, F.cross_entropy(logits, Y.T.reshape(-1)))
    assert_close(state, expected)
    # With gates that are open, both losses are the same.
    with torch.no_grad():
        for gate in (model.W_hg, model.W_sg, model.b_g):
            gate.zero_()
    loss, of_tables, penalty, _ = model.losses(X, Y)
    assert_close(of_tables, loss)
    rows = contexts.rows(X, contexts.begin(4))
    squares = model.tables.detach().square().sum(1)[rows] / contexts.counts[rows]
    assert_close(penalty.detach(), squares.sum() / X.numel())


def test_gradients_of_the_recurrent_part_are_right(contexts):
    model, (X, Y) = make(contexts, folds=0).eval(), batch()
    found = gradients(model, model.losses(X, Y)[0])
    logits, _ = model(X)
    expected = gradients(model, F.cross_entropy(logits, Y.T.reshape(-1)))
    expected.pop("tables")
    assert_close(found, expected, rtol=0, atol=1e-12)
    assert {"W_hg", "W_sg", "b_g", "W_hq", "b_q"} < found.keys()


def test_cross_fitting_teaches_what_rows_learned_by_heart_cannot():
    """A text of letters at random: what its rows know by heart is worth nothing."""
    random = torch.randint(V, (2, 1500), generator=torch.Generator().manual_seed(3))
    scores = {}
    for folds in (0, 2):
        torch.manual_seed(0)
        contexts = Contexts(random[0], 5, V, spare=1)
        model = DirectLanguageModel(nn.GRU(V, 4), contexts, folds)
        recurrent = [p for p in model.parameters() if p is not model.tables]
        adam = torch.optim.Adam(recurrent, 0.05)
        adagrad = torch.optim.Adagrad([model.tables], 0.3)
        X, Y = random[0, :1496].reshape(4, -1), random[0, 1:1497].reshape(4, -1)
        for _ in range(20):
            for start in range(0, 374, 34):
                window = slice(start, start + 34)
                loss, of_tables, *_ = model.losses(X[:, window], Y[:, window])
                model.zero_grad()
                (loss + of_tables).backward()
                adam.step()
                adagrad.step()
        scores[folds] = math.exp(evaluate(model, random[1]))
    assert scores[2] < 0.8 * scores[0]
    assert scores[2] < 1.2 * V


@pytest.mark.parametrize("folds", [-1, 1])
def test_folds_that_are_refused(contexts, folds):
    with pytest.raises(ValueError, match=f"folds is {folds}; accepted: 0"):
        DirectLanguageModel(nn.GRU(V, H), contexts, folds)
