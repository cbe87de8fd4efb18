"""Properties of gradient clipping, and parity with PyTorch's and d2l's."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion.clipping import clip_grad_norm_
from companion.reference import load_d2l

F64 = torch.float64
SHAPES = st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=4)
relaxed = settings(deadline=None)


def parameters(*shapes, scale=1.0, seed=0, dtype=F64):
    """Return tensors with gradients drawn from a normal distribution."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for shape in shapes:
        parameter = nn.Parameter(torch.zeros(shape, dtype=dtype))
        draw = torch.randn(shape, generator=generator, dtype=F64)
        parameter.grad = (scale * draw).to(dtype)
        made.append(parameter)
    return made


def module(scale=1.0):
    """Return a module with gradients, one parameter of it inside another module."""
    made = nn.Sequential(nn.Linear(3, 4, dtype=F64), nn.Linear(4, 2, dtype=F64))
    donors = parameters(*(p.shape for p in made.parameters()), scale=scale)
    for parameter, donor in zip(made.parameters(), donors, strict=True):
        parameter.grad = donor.grad
    return made


def gradients(tensors):
    """Copy the gradients of tensors or of a module."""
    if isinstance(tensors, nn.Module):
        tensors = tensors.parameters()
    return [None if p.grad is None else p.grad.clone() for p in tensors]


def flat(grads):
    """Write gradients as the one vector they are, in float64."""
    return torch.cat([grad.double().reshape(-1) for grad in grads])


def same_bits(some, others):
    for one, other in zip(some, others, strict=True):
        integers = {4: torch.int32, 8: torch.int64}[one.element_size()]
        assert one.view(integers).equal(other.view(integers))


# What becomes of the gradient


@relaxed
@given(
    shapes=SHAPES,
    scale=st.floats(1e-6, 1e6),
    max_norm=st.floats(1e-6, 1e6),
    dtype=st.sampled_from([torch.float32, F64]),
    seed=st.integers(0, 2**32),
)
def test_it_is_no_longer_than_the_radius_and_points_where_it_pointed(
    shapes, scale, max_norm, dtype, seed
):
    tensors = parameters(*shapes, scale=scale, seed=seed, dtype=dtype)
    before = gradients(tensors)
    norm = clip_grad_norm_(tensors, max_norm)
    old, new = flat(before), flat(gradients(tensors))
    assert isinstance(norm, float)
    assert norm == pytest.approx(old.norm().item(), rel=1e-6)
    assert new.norm() <= max_norm * (1 + 1e-6)
    cosine = torch.cosine_similarity(new, old, dim=0, eps=0)
    assert cosine.item() == pytest.approx(1, abs=1e-6)
    if norm > max_norm:
        assert new.norm().item() == pytest.approx(max_norm, rel=1e-6)
    else:
        same_bits(gradients(tensors), before)


def test_by_hand_all_gradients_are_one_vector():
    a, b = parameters((2,), ())
    a.grad, b.grad = torch.tensor([3.0, 0.0]).double(), torch.tensor(4.0).double()
    assert clip_grad_norm_([a, b], 1.0) == 5.0
    torch.testing.assert_close(a.grad, torch.tensor([0.6, 0.0]).double())
    torch.testing.assert_close(b.grad, torch.tensor(0.8).double())


def test_a_gradient_as_long_as_the_radius_is_left_alone():
    (a,) = parameters((2,))
    a.grad = torch.tensor([3.0, 4.0]).double()
    assert clip_grad_norm_(a, 5.0) == 5.0
    assert a.grad.tolist() == [3.0, 4.0]


def test_an_infinite_radius_only_measures():
    tensors = parameters((3, 2), (4,), scale=1e3)
    before = gradients(tensors)
    norm = clip_grad_norm_(tensors, math.inf)
    assert norm == pytest.approx(flat(before).norm().item())
    same_bits(gradients(tensors), before)


def test_clipping_twice_is_clipping_once():
    tensors = parameters((3, 2), (4,), scale=10)
    clip_grad_norm_(tensors, 2.0)
    once = gradients(tensors)
    assert clip_grad_norm_(tensors, 2.0) == pytest.approx(2.0)
    torch.testing.assert_close(gradients(tensors), once)


def test_it_works_in_place_and_in_the_dtype_of_each_gradient():
    tensors = parameters((3,), dtype=torch.float32) + parameters((2, 2), scale=100)
    held = [p.grad for p in tensors]
    assert clip_grad_norm_(tensors, 1.0) > 1
    assert all(p.grad is grad for p, grad in zip(tensors, held, strict=True))
    assert [grad.dtype for grad in held] == [torch.float32, F64]
    assert flat(held).norm().item() == pytest.approx(1, rel=1e-6)
    for parameter in tensors:
        assert parameter.eq(0).all()  # the parameters themselves do not move
        assert parameter.requires_grad


def test_a_float64_gradient_is_clipped_with_float64_precision():
    tensors = parameters((50,), (7, 3), scale=1e4)
    before = flat(gradients(tensors))
    assert clip_grad_norm_(tensors, 3.0) == pytest.approx(before.norm().item(), 1e-14)
    after = flat(gradients(tensors))
    torch.testing.assert_close(after, before * 3 / before.norm(), rtol=1e-14, atol=0)


# What counts as parameters


@pytest.mark.parametrize("max_norm", [0.5, 1e9])
def test_a_module_its_parameters_and_a_generator_of_them_are_the_same(max_norm):
    forms = [lambda m: m, lambda m: list(m.parameters()), lambda m: m.parameters()]
    norms, results = [], []
    for form in forms:
        made = module(scale=10)
        norms.append(clip_grad_norm_(form(made), max_norm))
        results.append(gradients(made))
    assert norms[0] == norms[1] == norms[2]
    for result in results[1:]:
        same_bits(result, results[0])


def test_one_tensor_is_a_list_of_one():
    (alone,), (listed,) = parameters((3, 2), scale=10), parameters((3, 2), scale=10)
    assert clip_grad_norm_(alone, 1.0) == clip_grad_norm_([listed], 1.0)
    same_bits([alone.grad], [listed.grad])


def test_a_parameter_without_a_gradient_counts_as_zero_and_stays_without():
    first, without, last = parameters((3,), (4,), (2, 2), scale=10)
    without.grad = None
    expected = parameters((3,), (4,), (2, 2), scale=10)
    del expected[1]
    norm = clip_grad_norm_([first, without, last], 1.0)
    assert norm == clip_grad_norm_(expected, 1.0)
    assert without.grad is None
    same_bits([first.grad, last.grad], gradients(expected))


def test_no_gradient_at_all_has_norm_zero():
    layer = nn.Linear(2, 2)
    for nothing in (layer, list(layer.parameters()), layer.weight, [], iter(())):
        norm = clip_grad_norm_(nothing, 1.0)
        assert norm == 0.0
        assert isinstance(norm, float)
    assert gradients(layer) == [None, None]


def test_a_gradient_of_zeros_stays_zero():
    (a,) = parameters((3,), scale=0)
    assert clip_grad_norm_(a, 1e-9) == 0.0
    assert a.grad.eq(0).all()


# Parity


# PyTorch divides by the norm plus 1e-6, hence norms well above 1.
@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 20.0, 1e6])
def test_it_equals_pytorchs(max_norm):
    cases = [
        lambda: module(scale=10),
        lambda: parameters((3, 2), (), (4,), scale=10),
        lambda: parameters((5, 3), scale=10)[0],
    ]
    for case in cases:
        ours, theirs = case(), case()
        as_torch_wants = (
            theirs.parameters() if isinstance(theirs, nn.Module) else theirs
        )
        norm = clip_grad_norm_(ours, max_norm)
        their_norm = nn.utils.clip_grad_norm_(as_torch_wants, max_norm)
        assert norm == pytest.approx(their_norm.item(), rel=1e-12)
        if isinstance(ours, torch.Tensor):
            ours, theirs = [ours], [theirs]
        torch.testing.assert_close(
            gradients(ours), gradients(theirs), rtol=1e-6, atol=0
        )


@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e6])
def test_it_equals_d2ls(max_norm):
    d2l = load_d2l()
    ours, theirs = module(scale=10), module(scale=10)
    clip_grad_norm_(ours, max_norm)
    d2l.grad_clipping(theirs, max_norm)
    torch.testing.assert_close(gradients(ours), gradients(theirs), rtol=1e-6, atol=0)
    ours, theirs = (parameters((3, 2), (4,), scale=10) for _ in range(2))
    clip_grad_norm_(ours, max_norm)
    d2l.grad_clipping(SimpleNamespace(params=theirs), max_norm)
    torch.testing.assert_close(gradients(ours), gradients(theirs), rtol=1e-6, atol=0)


# What is refused


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(
    ("bad", "norm"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "inf")]
)
def test_a_gradient_that_is_not_finite_is_an_error_and_left_as_it_is(bad, norm, dtype):
    tensors = parameters((3,), (2, 2), (4,), scale=10, dtype=dtype)
    tensors[1].grad[0, 1] = bad
    before = gradients(tensors)
    with pytest.raises(FloatingPointError, match=f"norm of the gradient is {norm}$"):
        clip_grad_norm_(tensors, 1.0)
    same_bits(gradients(tensors), before)


def test_nan_beside_infinity_is_an_error_and_left_as_it_is():
    tensors = parameters((3,), (2,))
    tensors[0].grad[0], tensors[1].grad[1] = math.nan, math.inf
    before = gradients(tensors)
    with pytest.raises(FloatingPointError, match="norm of the gradient is nan"):
        clip_grad_norm_(tensors, 1.0)
    same_bits(gradients(tensors), before)


def test_where_pytorchs_function_spreads_nan_ours_does_not():
    ours, theirs = parameters((3,), (2,)), parameters((3,), (2,))
    ours[0].grad[0] = theirs[0].grad[0] = math.nan
    nn.utils.clip_grad_norm_(theirs, 1.0)
    assert flat(gradients(theirs)).isnan().all()
    with pytest.raises(FloatingPointError):
        clip_grad_norm_(ours, 1.0)
    assert flat(gradients(ours)).isnan().sum() == 1


def test_entries_whose_squares_overflow_are_an_error_although_finite():
    """In float32 the square of 1e30 overflows, so the norm does; in float64 it fits."""
    (narrow,), (wide,) = parameters((3,), dtype=torch.float32), parameters((3,))
    narrow.grad, wide.grad = torch.full((3,), 1e30), torch.full((3,), 1e30, dtype=F64)
    with pytest.raises(FloatingPointError, match="norm of the gradient is inf"):
        clip_grad_norm_(narrow, 1.0)
    assert narrow.grad.eq(1e30).all()
    assert clip_grad_norm_(wide, 1.0) == pytest.approx(math.sqrt(3) * 1e30)
    torch.testing.assert_close(wide.grad, torch.full((3,), 3**-0.5, dtype=F64))


@pytest.mark.parametrize("max_norm", [0, 0.0, -1, -0.5, -math.inf, math.nan])
def test_a_radius_that_is_not_above_zero_is_refused(max_norm):
    tensors = parameters((3,), scale=10)
    before = gradients(tensors)
    with pytest.raises(ValueError, match=f"^max_norm is {max_norm}; accepted: a num"):
        clip_grad_norm_(tensors, max_norm)
    with pytest.raises(ValueError, match="max_norm is"):
        clip_grad_norm_([], max_norm)  # also where there is nothing to clip
    same_bits(gradients(tensors), before)


def overflow():
    (a,) = parameters((3,), dtype=torch.float32)
    a.grad = torch.full((3,), 1e30)
    return a


def test_that_only_the_squares_overflow_is_said_in_a_note():
    with pytest.raises(FloatingPointError) as caught:
        clip_grad_norm_(overflow(), 1.0)
    assert str(caught.value) == "the norm of the gradient is inf"
    (note,) = caught.value.__notes__
    assert "Every entry is finite, but their squares overflow torch.float32" in note


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_with_a_bad_entry_has_no_such_note(bad):
    a = overflow()
    a.grad[1] = bad
    with pytest.raises(FloatingPointError) as caught:
        clip_grad_norm_(a, 1.0)
    assert not hasattr(caught.value, "__notes__")


def test_the_note_is_said_of_a_sparse_gradient_too():
    table = nn.Parameter(torch.zeros(4, 2))
    entries = torch.full((2, 2), 1e30)
    table.grad = torch.sparse_coo_tensor(torch.tensor([[0, 2]]), entries, (4, 2))
    with pytest.raises(FloatingPointError) as caught:
        clip_grad_norm_(table, 1.0)
    assert "Every entry is finite" in caught.value.__notes__[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_gradient_of_half_precision_is_measured_in_float32(dtype):
    (a,) = parameters((40, 50), scale=3000, dtype=dtype)
    exact = a.grad.double().norm().item()
    assert exact > 65504  # beyond the range of float16
    assert clip_grad_norm_(a, 100.0) == pytest.approx(exact, rel=1e-5)
    assert a.grad.dtype == dtype
    assert a.grad.double().norm().item() == pytest.approx(100, rel=0.01)


def test_a_parameter_that_is_listed_twice_counts_once():
    (once,), (twice,) = parameters((3, 2), scale=10), parameters((3, 2), scale=10)
    assert clip_grad_norm_([twice, twice], 1.0) == clip_grad_norm_(once, 1.0)
    same_bits([twice.grad], [once.grad])


def test_gradients_handed_in_for_parameters_are_refused():
    (a,) = parameters((3,), scale=10)
    inner = a * 2  # no leaf: it keeps no gradient
    for wrong in (a.grad, [a.grad], inner, [torch.zeros(2)]):
        with pytest.raises(ValueError, match=r"parameters is \[\(.*accepted: a module"):
            clip_grad_norm_(wrong, 1.0)


def test_frozen_parameters_beside_others_count_as_zero():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    assert clip_grad_norm_(layer, 1.0) == 0.0
