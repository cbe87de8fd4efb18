"""The experiment on memory after training, in small."""

import math

import torch
from torch.nn import functional as F

from companion import datasets
from companion.experiments import memory as experiments
from companion.laboratory.fast import FastRNN
from companion.language_model import LanguageModel
from companion.rnn import RNN

V, H = 5, 8


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def layer_and_ids(init_std=0.5, length=600):
    layer = RNN(V, H, init_std=init_std, generator=seeded())
    return layer, torch.randint(V, (length,), generator=seeded(1))


def test_the_gain_is_that_of_the_jacobian_by_autograd():
    layer, ids = layer_and_ids()
    (*_, found) = experiments.gains(layer, ids, places=1, steps=3)
    layer = layer.double()
    X = F.one_hot(ids[:53, None], V).double()
    _, (start,) = layer(X[:50])
    J = torch.autograd.functional.jacobian(
        lambda h: layer(X[50:], (h[None],))[1][0][0], start[0]
    )
    assert math.isclose(10**found, J.norm() / math.sqrt(H), rel_tol=1e-9)


def test_a_layer_without_memory_gives_up_the_last_character_alone():
    _, ids = layer_and_ids(length=8000)
    layer = FastRNN(V, H, init_std=0.5, generator=seeded())
    layer.W_hh.data.zero_()
    shares = experiments.read_out(layer, ids)
    assert shares[0] == 1
    assert max(shares[1:]) < 0.5


def test_with_context_reads_so_many_characters_and_no_more():
    layer, ids = layer_and_ids()
    model = LanguageModel(layer, V, init_std=1, generator=seeded())
    total = 0
    with torch.no_grad():
        for end in range(100, 100 + 4 * 124, 124):
            logits, _ = model(ids[None, end - 3 : end])
            total += F.cross_entropy(logits[-1:], ids[end : end + 1]).item() / 4
    found = experiments.with_context(model, ids, 3, places=4)
    assert math.isclose(found, math.exp(total), rel_tol=1e-5)


def test_a_job_in_small(monkeypatch):
    text = datasets.time_machine()[:14_000]
    monkeypatch.setattr(datasets, "time_machine", lambda: text)
    for start, rho in (("normal", 0.08), ("orthogonal", 1)):
        result = experiments.trained(start, 0, epochs=1, hidden=64)
        before, after = result["log10 gain"].values()
        assert len(before) == len(after) == len(result["read"]["after"]) == 35
        assert math.isclose(result["rho"][0], rho, rel_tol=0.1)
        assert abs(before[-1] - 35 * math.log10(rho)) < 1
        assert result["greedy"].startswith("time traveller ")
