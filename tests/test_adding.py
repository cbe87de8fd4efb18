"""Tests of the adding task."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.laboratory.adding import adding_batch


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 6), st.integers(2, 30), st.integers(0, 2**32))
@settings(deadline=None)
def test_each_half_has_one_mark_and_the_target_is_the_sum_of_the_marked(N, T, seed):
    inputs, targets = adding_batch(N, T, generator=seeded(seed))
    assert inputs.shape == (T, N, 2)
    assert targets.shape == (N,)
    numbers, marks = inputs.unbind(2)
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert ((marks == 0) | (marks == 1)).all()
    for half in (marks[: T // 2], marks[T // 2 :]):
        assert half.sum(0).eq(1).all()
    for i in range(N):
        a, b = marks[:, i].nonzero().ravel().tolist()
        assert targets[i].item() == pytest.approx(numbers[[a, b], i].sum().item())


def test_every_step_of_the_adding_task_may_be_marked():
    inputs, _ = adding_batch(2000, 7, generator=seeded(0))
    shares = inputs[:, :, 1].mean(1)
    assert shares[:3].tolist() == pytest.approx([1 / 3] * 3, abs=0.05)
    assert shares[3:].tolist() == pytest.approx([1 / 4] * 4, abs=0.05)


def test_always_answering_one_has_an_error_of_a_sixth():
    _, targets = adding_batch(200_000, 2, generator=seeded(0), dtype=torch.float64)
    assert (targets - 1).square().mean().item() == pytest.approx(1 / 6, rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_adding_task_has_the_dtype_and_the_device_asked_for(dtype):
    for tensor in adding_batch(2, 4, generator=seeded(0), dtype=dtype, device="meta"):
        assert tensor.dtype == dtype
        assert tensor.device == torch.device("meta")


def test_a_generator_fixes_the_adding_task_and_spares_the_global_one():
    before = torch.get_rng_state()
    (a, _), (b, _), (c, _) = (
        adding_batch(3, 8, generator=seeded(s)) for s in (0, 0, 1)
    )
    assert torch.get_rng_state().equal(before)
    assert a.equal(b)
    assert not a.equal(c)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 5), "batch_size is 0; accepted: 1 or more"),
        ((3, 1), "num_steps is 1; accepted: 2 or more"),
    ],
)
def test_an_adding_task_without_room_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        adding_batch(*sizes, generator=seeded(0))
