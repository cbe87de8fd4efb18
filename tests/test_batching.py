"""Properties of the minibatches.

Most streams here count up from 0, so that a token tells its place in the stream.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.batching import random_batches, sequential_batches

relaxed = settings(deadline=None)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@st.composite
def sizes(draw):
    """Draw n, N, T and a seed, n long enough for one minibatch from any offset."""
    batch_size, num_steps = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    n = (batch_size + 1) * num_steps + draw(st.integers(0, 60))
    return n, batch_size, num_steps, draw(st.integers(0, 2**32))


def epoch(batches, n, batch_size, num_steps, seed):
    """Return X and Y of a whole epoch, both ``(minibatches, N, T)``."""
    stream = torch.arange(n)
    pairs = list(batches(stream, batch_size, num_steps, generator=seeded(seed)))
    return tuple(torch.stack(side) for side in zip(*pairs, strict=True))


both = pytest.mark.parametrize("batches", [sequential_batches, random_batches])


# What both have in common


@both
@relaxed
@given(size=sizes())
def test_a_minibatch_is_windows_of_the_stream_and_their_successors(batches, size):
    _, batch_size, num_steps, _ = size
    X, Y = epoch(batches, *size)
    assert X.shape[1:] == Y.shape[1:] == (batch_size, num_steps)
    assert Y.equal(X + 1)
    assert X.equal(X[..., :1] + torch.arange(num_steps))


@both
@relaxed
@given(size=sizes())
def test_no_token_is_read_twice_within_an_epoch(batches, size):
    X, _ = epoch(batches, *size)
    assert X.unique().numel() == X.numel()


@both
@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_the_offsets_over_all_seeds_are_exactly_the_steps_of_a_window(
    batches, num_steps
):
    # The rows of the sequential batches begin in other places too: take the first.
    firsts = [epoch(batches, 40, 1, num_steps, seed)[0][0, 0, 0] for seed in range(100)]
    if batches is random_batches:
        firsts = [first % num_steps for first in firsts]
    assert {int(first) for first in firsts} == set(range(num_steps))


@both
def test_a_seed_fixes_the_epochs_and_each_epoch_differs(batches):
    def two_epochs(seed):
        generator = seeded(seed)
        return [
            [X.tolist() for X, _ in batches(torch.arange(1000), 2, 50, generator=g)]
            for g in (generator, generator)
        ]

    first, second = two_epochs(seed=0)
    assert first != second
    assert two_epochs(seed=0) == [first, second]
    assert two_epochs(seed=1) != [first, second]


@both
def test_the_global_random_numbers_are_left_alone(batches):
    before = torch.get_rng_state()
    list(batches(torch.arange(100), 2, 5, generator=seeded(0)))
    assert torch.get_rng_state().equal(before)


@both
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_the_dtype_of_the_ids_is_kept(batches, dtype):
    for X, Y in batches(torch.arange(50).to(dtype), 2, 5, generator=seeded(0)):
        assert X.dtype == Y.dtype == dtype


@both
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_minibatches_are_on_the_device_of_the_ids(batches, device):
    stream = torch.arange(50, device=device)
    pairs = list(batches(stream, 2, 5, generator=seeded(0)))
    assert len(pairs) == 4
    for X, Y in pairs:
        assert X.device == Y.device == torch.device(device)
        assert X.shape == Y.shape == (2, 5)


# Sequential


@relaxed
@given(size=sizes())
def test_each_row_continues_the_same_row_of_the_minibatch_before(size):
    n, batch_size, num_steps, _ = size
    X, _ = epoch(sequential_batches, *size)
    offset = int(X[0, 0, 0])
    length = (n - offset - 1) // batch_size
    assert len(X) == length // num_steps
    for i, row in enumerate(X.transpose(0, 1).flatten(1)):
        start = offset + i * length
        assert row.equal(torch.arange(start, start + len(X) * num_steps))


@relaxed
@given(size=sizes())
def test_without_a_generator_the_first_row_begins_at_the_first_token(size):
    n, batch_size, num_steps, _ = size
    (X, Y), *rest = sequential_batches(torch.arange(n), batch_size, num_steps)
    assert X[0].equal(torch.arange(num_steps))
    assert Y[0].equal(torch.arange(num_steps) + 1)
    assert 1 + len(rest) == (n - 1) // batch_size // num_steps


@relaxed
@given(st.integers(1, 5), st.integers(1, 7))
def test_the_shortest_stream_gives_one_minibatch_and_a_shorter_one_is_refused(N, T):
    shortest = torch.arange(N * T + 1)
    ((X, Y),) = sequential_batches(shortest, N, T)
    assert X.flatten().equal(shortest[:-1])
    assert Y.flatten().equal(shortest[1:])
    message = f"ids holds {N * T} tokens; accepted: at least {N * T + 1} for one"
    with pytest.raises(ValueError, match=message):
        sequential_batches(shortest[:-1], N, T)


# Random


@relaxed
@given(size=sizes())
def test_random_windows_tile_the_stream_and_few_are_left_out(size):
    n, batch_size, num_steps, _ = size
    X, _ = epoch(random_batches, *size)
    starts = X[..., 0].flatten()
    offset = int(starts[0]) % num_steps
    windows = set(range(offset, n - num_steps, num_steps))
    assert set(starts.tolist()) <= windows
    assert len(windows) == (n - offset - 1) // num_steps
    assert len(X) == len(windows) // batch_size
    assert len(windows) - len(starts) < batch_size


def test_the_order_of_random_windows_is_drawn():
    # T = 1 has one offset only: what differs between the seeds is the order alone.
    orders = [epoch(random_batches, 51, 10, 1, seed)[0].flatten() for seed in range(5)]
    assert all(order.sort().values.equal(torch.arange(50)) for order in orders)
    assert len({tuple(order.tolist()) for order in [*orders, torch.arange(50)]}) == 6


def test_every_window_lands_in_every_place():
    places = torch.zeros(4, 4)
    for seed in range(100):
        X, _ = epoch(random_batches, 5, 2, 1, seed)
        places[torch.arange(4), X.flatten()] += 1
    assert places.ge(10).all()  # 25 expected


@both
@pytest.mark.parametrize("seed", range(6))
def test_a_late_offset_leaves_a_short_stream_too_short(batches, seed):
    longer, _ = epoch(batches, 100, 2, 3, seed)
    offset = int(longer[0, 0, 0]) % 3
    stream = torch.arange(2 * 3 + 1)
    if offset == 0:
        ((X, _),) = batches(stream, 2, 3, generator=seeded(seed))
        assert X.unique().equal(stream[:-1])
    else:
        message = f"ids holds 7 tokens; accepted: at least {offset + 7} .*{offset}$"
        with pytest.raises(ValueError, match=message):
            batches(stream, 2, 3, generator=seeded(seed))


# What is refused, by the call and not by the iteration


@both
@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (torch.zeros(4, 100, dtype=torch.int64), r"shape \(4, 100\)"),
        (torch.tensor(3), r"shape \(\)"),
        (torch.zeros(100), "torch.float32"),
        (torch.zeros(100, dtype=torch.bool), "torch.bool"),
        (torch.zeros(100, dtype=torch.complex64), "torch.complex64"),
    ],
)
def test_ids_must_be_a_vector_of_integers(batches, ids, said):
    with pytest.raises(ValueError, match=f"ids has .*{said}.*; accepted"):
        batches(ids, 2, 5, generator=seeded(0))


@both
@pytest.mark.parametrize("size", [0, -2])
def test_sizes_below_one_are_refused(batches, size):
    with pytest.raises(ValueError, match=f"batch_size is {size}; accepted"):
        batches(torch.arange(100), size, 5, generator=seeded(0))
    with pytest.raises(ValueError, match=f"num_steps is {size}; accepted"):
        batches(torch.arange(100), 2, size, generator=seeded(0))


@both
@pytest.mark.parametrize("n", [0, 1, 10])
def test_a_stream_too_short_for_one_minibatch_is_refused(batches, n):
    with pytest.raises(ValueError, match=f"ids holds {n} tokens; accepted: at least"):
        batches(torch.arange(n), 2, 5, generator=seeded(0))


@both
def test_a_minibatch_shares_no_memory_with_the_stream_or_its_targets(batches):
    stream = torch.arange(50)
    pairs = batches(stream, 2, 5, generator=seeded(0))
    stream.fill_(-1)  # the call has read it already
    pairs = list(pairs)
    expected = [
        (X.clone(), Y.clone())
        for X, Y in batches(torch.arange(50), 2, 5, generator=seeded(0))
    ]
    for (X, Y), (X_e, Y_e) in zip(pairs, expected, strict=True):
        X.fill_(-7)
        assert Y.equal(Y_e)
        assert X_e.ge(0).all()
    assert all(Y.equal(Y_e) for (_, Y), (_, Y_e) in zip(pairs, expected, strict=True))


def test_random_batches_need_a_generator():
    with pytest.raises(ValueError, match=r"^generator is None; accepted: a Gen"):
        random_batches(torch.arange(50), 2, 5, generator=None)


@pytest.mark.parametrize("cut", [sequential_batches, random_batches])
def test_what_is_no_generator_is_refused(cut):
    with pytest.raises(ValueError, match=r"^generator is 7; accepted: a Generator$"):
        cut(torch.arange(50), 2, 5, generator=7)


@pytest.mark.parametrize("cut", [sequential_batches, random_batches])
def test_the_generator_draws_where_it_lives_and_not_on_the_default_device(cut):
    ids = torch.arange(50)
    expected = list(cut(ids, 2, 5, generator=seeded(0)))
    with torch.device("meta"):
        pairs = list(cut(ids, 2, 5, generator=seeded(0)))
    for (X, Y), (X_e, Y_e) in zip(pairs, expected, strict=True):
        assert X.equal(X_e)
        assert Y.equal(Y_e)
