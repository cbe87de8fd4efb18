"""The benchmark of the names compares like with like, and counts what it says."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from companion import datasets
from companion.laboratory.prefixes import prefix_tree
from companion.laboratory.surnames import encode
from companion.names import ids, pad
from tests.benchmarks import names as benchmark

NAMES = ["Ivanov", "Ivanova", "Ivanin", "Abe", "Abe", "Ito"]


@pytest.fixture(scope="module")
def contestants():
    return benchmark.contestants()


def test_both_contestants_give_the_same_logits(contestants):
    classic, read = contestants
    alone = torch.cat([classic(encode(name)) for name in NAMES])
    torch.testing.assert_close(read(*pad([ids(name) for name in NAMES])), alone)


def test_the_operations_are_those_that_a_step_performs(contestants):
    _, read = contestants
    padded, lengths = pad([ids(name) for name in NAMES])
    counter = FlopCounterMode(display=False)
    with counter:
        F.cross_entropy(read(padded, lengths), torch.arange(6)).backward()
    classes = read.model.output.out_features
    expected = benchmark.operations(padded, lengths, layers=2, classes=classes)
    # The counter does not see the in-place products, one a layer and parent.
    parents = sum(prefix_tree(padded, lengths).inner)
    unseen = 2 * parents * (2 * benchmark.H * 3 * benchmark.H)
    assert parents == len({n[:i] for n in NAMES for i in range(1, len(n))}) == 10
    assert counter.get_total_flops() == expected - unseen


def test_the_rows_are_those_of_the_published_training():
    rows, labels = benchmark.training_rows()
    assert len(rows) == len(labels)
    assert set(labels) == set(range(18))
    if datasets.origin()[0] == "real":
        assert len(rows) == 18_063


def test_a_measurement_in_small(monkeypatch):
    rows, labels = benchmark.training_rows()
    monkeypatch.setattr(benchmark, "training_rows", lambda: (rows[::90], labels[::90]))
    monkeypatch.setattr(benchmark, "BLOCK", 3)
    monkeypatch.setattr(benchmark, "ROUNDS", 3)
    monkeypatch.setattr(benchmark, "BATCH", 64)
    before = torch.get_num_threads()
    found = benchmark.measure(threads=1)
    assert torch.get_num_threads() == before
    assert found.keys() == {
        "names_epoch_vs_one_at_a_time",
        "names_epoch_share_of_matmul_ceiling",
    }
    assert found["names_epoch_vs_one_at_a_time"] > 1
    assert 0 < found["names_epoch_share_of_matmul_ceiling"] < 1.5
