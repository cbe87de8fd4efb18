"""Properties of the name classifiers, one at a time and packed, and of the tree."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from companion import names as data
from companion.classifier import NameClassifier, log_probabilities
from companion.classify.joint import JointClassifier
from companion.laboratory.classic import ClassicGRU, ClassicRNN, train_one_at_a_time
from companion.laboratory.name_training import batches, train_on_names
from companion.laboratory.prefixes import PrefixGRU, prefix_tree
from companion.laboratory.surnames import encode
from companion.names import ALPHABET, pad

F64 = torch.float64
K = 5
KINDS = [nn.RNN, nn.GRU, nn.LSTM]
NAMES = ["Ivanov", "Ivan", "Ivanova", "Abe", "A", "Abel", "Ivanov", "O'Neil", "b"]

relaxed = settings(deadline=None, max_examples=50)
# Few letters, so that names share beginnings and ends.
words = st.lists(st.text(st.sampled_from("abA'"), min_size=1, max_size=9), min_size=1)
written = st.text(st.sampled_from(ALPHABET)).filter(str.strip)
anything = st.lists(written, min_size=1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def classifier(kind=nn.GRU, hidden=6, layers=1, both=False, **options):
    layer = kind(59, hidden, layers, bidirectional=both, dtype=F64)
    return NameClassifier(layer, K, **options)


def minibatch(names):
    return pad([data.ids(name) for name in names])


def gradients(loss, model):
    return torch.autograd.grad(loss, tuple(model.parameters()))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


# The classic models


def test_the_classic_rnn_follows_its_formulas():
    model = ClassicRNN(59, 6, K).double()
    x, h = encode("Abe").double(), torch.rand(1, 6, dtype=F64)
    W, V = model.hidden.weight, model.output.weight
    state = h
    for step in range(2):  # the third state is never used
        both = torch.cat((x[step], state), 1)
        state = 1 / (1 + torch.exp(-(both @ W.T + model.hidden.bias)))
    expected = torch.cat((x[2], state), 1) @ V.T + model.output.bias
    close(model(x, h), expected)


def test_the_newest_state_has_no_gradient():
    """A name of one character is classified from the initial state alone."""
    model = ClassicRNN(59, 6, K)
    model(encode("A")).sum().backward()
    assert model.hidden.weight.grad is None
    model(encode("Ab")).sum().backward()
    assert model.hidden.weight.grad.abs().sum() > 0


def test_the_initial_state_is_drawn_anew_and_within_its_bounds():
    model = ClassicRNN(59, 1000, K)
    first, second = model.begin_state(), model.begin_state()
    assert first.shape == (1, 1000)
    assert not first.equal(second)
    bound = math.sqrt(6 / 1000)
    assert 0.95 * bound < first.abs().max() <= bound
    assert model.begin_state(seeded()).equal(model.begin_state(seeded()))
    model.eval()
    assert not model(encode("Abe")).equal(model(encode("Abe")))
    assert model(encode("Abe"), first).equal(model(encode("Abe"), first))


@pytest.mark.parametrize("layers", [1, 2])
def test_the_classic_gru_is_a_packed_one_of_a_single_name(layers):
    model = ClassicGRU(59, 6, K, layers).double()
    packed = NameClassifier(model.layer, K)
    packed.output = model.output
    for name in NAMES:
        close(model(encode(name).double()), packed(*minibatch([name])))


@pytest.mark.parametrize("kind", [ClassicRNN, ClassicGRU])
@pytest.mark.parametrize("sizes", [(0, 6, 5), (59, 0, 5), (59, 6, 0)])
def test_sizes_below_1_are_refused(kind, sizes):
    with pytest.raises(ValueError, match=r"(size|num_classes) is 0; accepted"):
        kind(*sizes)


def test_a_stack_of_no_layers_is_refused():
    with pytest.raises(ValueError, match="num_layers is 0; accepted: 1 or more"):
        ClassicGRU(59, 6, K, 0)


@pytest.mark.parametrize("kind", [ClassicRNN, ClassicGRU])
@pytest.mark.parametrize("shape", [(3, 59), (3, 1, 58), (0, 1, 59)])
def test_classic_models_refuse_other_inputs(kind, shape):
    with pytest.raises(ValueError, match=re.escape(f"inputs has shape {shape}")):
        kind(59, 6, K)(torch.zeros(shape))


# Packed minibatches


@relaxed
@given(anything)
def test_padding_changes_no_logit(names):
    """Alone or among longer ones, and whatever stands in the padding."""
    torch.manual_seed(0)
    for kind in KINDS:
        model = classifier(kind, both=True)
        padded, lengths = minibatch(names)
        together = model(padded, lengths)
        assert together.shape == (len(names), K)
        alone = torch.cat([model(*minibatch([name])) for name in names])
        close(together, alone)
        outside = torch.arange(len(padded))[:, None] >= lengths
        scribbled = torch.where(outside, 58 - padded, padded)
        longer = torch.cat((scribbled, scribbled[:1].expand(3, -1)))
        close(model(longer, lengths), alone)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_classes_are_scored_from_the_last_state_of_the_last_layer(
    kind, both, layers
):
    model = classifier(kind, layers=layers, both=both)
    for name in NAMES:
        outputs, _ = model.layer(encode(name).double())  # (n, 1, H or 2H)
        last = outputs[-1, :, :6]
        if both:
            last = torch.cat((last, outputs[0, :, 6:]), 1)
        close(model(*minibatch([name])), model.output(last))


def test_dropout_acts_in_training_only():
    model = classifier(dropout=0.5)
    plain = classifier()
    plain.load_state_dict(model.state_dict())
    close(model.eval()(*minibatch(NAMES)), plain(*minibatch(NAMES)))
    model.train()
    draws = [model(*minibatch(NAMES)) for _ in range(2)]
    assert not draws[0].isclose(draws[1]).any(0).all()


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_dropout_that_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match=f"dropout is {p}; accepted: 0 up to"):
        classifier(dropout=p)


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (
            nn.GRU(59, 4, batch_first=True),
            {},
            "layer is GRU.*; accepted: an RNN.*time first",
        ),
        (nn.LSTM(59, 4, proj_size=2), {}, "layer is LSTM.*without projection"),
        (nn.GRU(58, 4), {}, "layer is GRU.*of 59 features"),
        (nn.GRU(59, 4), {"num_classes": 0}, "num_classes is 0"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layer, options, message):
    with pytest.raises(ValueError, match=message):
        NameClassifier(layer, **{"num_classes": K, **options})


@pytest.mark.parametrize("lengths", [[3], [3, 1, 1]])
def test_lengths_of_another_shape_are_refused(lengths):
    padded, _ = minibatch(["Abe", "B"])
    for model in (classifier(), PrefixGRU(classifier())):
        with pytest.raises(ValueError, match=r"accepted: \(T, N\) and \(N,\)"):
            model(padded, torch.tensor(lengths))
        with pytest.raises(ValueError, match=r"accepted: \(T, N\) and \(N,\)"):
            model(padded[0], torch.tensor(lengths))


# The prefix tree


@relaxed
@given(words)
def test_the_tree_holds_each_prefix_once(names):
    tree = prefix_tree(*minibatch(names))
    prefixes, level = [], [""]
    start = 0
    for t, size in enumerate(tree.sizes):
        characters = tree.characters[start : start + size].tolist()
        parents = tree.parents[t - 1].tolist() if t else [0] * size
        level = [
            level[parent] + ALPHABET[character]
            for parent, character in zip(parents, characters, strict=True)
        ]
        prefixes += level
        start += size
        grown = {name[: t + 1] for name in names if len(name) > t + 1}
        assert set(level[: tree.inner[t]]) == grown
    assert len(prefixes) == len(set(prefixes)) == len(tree.characters)
    assert set(prefixes) == {n[:i] for n in names for i in range(1, len(n) + 1)}
    assert [prefixes[end] for end in tree.ends] == names


@relaxed
@given(words)
def test_reading_by_prefix_gives_the_logits_and_gradients_of_packing(names):
    torch.manual_seed(0)
    for options in (
        {"layers": 1},
        {"layers": 3},
        {"both": True},
    ):
        model = classifier(nn.GRU, **options)
        packed, read = model(*minibatch(names)), PrefixGRU(model)(*minibatch(names))
        close(read, packed)
        weights = torch.randn_like(packed)
        close(
            gradients((read * weights).sum(), model),
            gradients((packed * weights).sum(), model),
        )


def test_the_gradient_by_prefix_is_that_of_finite_differences():
    model = classifier(nn.GRU, hidden=3, layers=2)
    padded, lengths = minibatch(["aba", "ab", "abb", "b"])
    read = PrefixGRU(model)
    parameters = tuple(model.parameters())

    def logits(*values):
        names = [name for name, _ in model.named_parameters()]
        replaced = dict(zip((f"model.{n}" for n in names), values, strict=True))
        return torch.func.functional_call(read, replaced, (padded, lengths))

    assert torch.autograd.gradcheck(logits, parameters)


def test_dropout_on_the_final_state_works_by_prefix_too():
    read = PrefixGRU(classifier(dropout=0.5))
    assert not read(*minibatch(NAMES)).equal(read(*minibatch(NAMES)))
    read.eval()
    assert read(*minibatch(NAMES)).equal(read(*minibatch(NAMES)))


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (nn.LSTM(59, 4), {}, "accepted: a torch.nn.GRU with biases"),
        (nn.GRU(59, 4, bias=False), {}, "accepted: a torch.nn.GRU with biases"),
        (nn.GRU(59, 4, 2, bidirectional=True), {}, "2 layers in two directions"),
        (nn.GRU(59, 4, 2, dropout=0.5), {}, "dropout is 0.5 between layers"),
    ],
)
def test_models_that_cannot_be_read_by_prefix_are_refused(layer, options, message):
    with pytest.raises(ValueError, match=message):
        PrefixGRU(NameClassifier(layer, K, **options))


# Training


def by_pattern():
    """Return names that a model can tell apart: by their last letter."""
    names = [a + b + c for a in "abcd" for b in "abc" for c in "xyz"]
    return names, ["xyz".index(name[-1]) for name in names]


@pytest.mark.parametrize("kind", [ClassicRNN, ClassicGRU])
def test_one_at_a_time_a_classic_model_learns(kind):
    names, labels = by_pattern()
    model = kind(59, 16, 3)
    examples = [(encode(n), k) for n, k in zip(names, labels, strict=True)]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = [
        train_one_at_a_time(model, examples, optimiser, generator=seeded(epoch))
        for epoch in range(15)
    ]
    assert losses[0].shape == (36,)
    assert losses[-1].mean() < 0.2 < losses[0].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_in_minibatches_a_packed_model_learns(kind):
    names, labels = by_pattern()
    sequences = [data.ids(name) for name in names]
    model = NameClassifier(kind(59, 16, bidirectional=True), 3)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = [
        train_on_names(
            model, batches(sequences, labels, 9, generator=seeded()), optimiser
        )
        for _ in range(25)
    ]
    assert losses[-1] < 0.2 < losses[0]
    assert log_probabilities(model, names).argmax(1).tolist() == labels


def test_one_at_a_time_is_a_minibatch_of_one():
    names, labels = by_pattern()
    classic = ClassicGRU(59, 6, 3).double()
    packed = NameClassifier(nn.GRU(59, 6, 2, dtype=F64), 3)
    packed.layer.load_state_dict(classic.layer.state_dict())
    packed.output.load_state_dict(classic.output.state_dict())
    order = torch.randperm(36, generator=seeded(3)).tolist()
    losses = train_one_at_a_time(
        classic,
        [(encode(n).double(), k) for n, k in zip(names, labels, strict=True)],
        torch.optim.SGD(classic.parameters(), lr=0.5),
        max_norm=0.3,
        generator=seeded(3),
    )
    minibatches = [(*minibatch([names[i]]), torch.tensor([labels[i]])) for i in order]
    mean = train_on_names(
        packed,
        minibatches,
        torch.optim.SGD(packed.parameters(), lr=0.5),
        max_norm=0.3,
    )
    assert mean == pytest.approx(losses.mean().item(), rel=1e-6)
    close(list(classic.parameters()), list(packed.parameters()))


def test_the_loss_of_an_epoch_is_a_mean_over_names_not_over_minibatches():
    model = classifier()
    parts = [(NAMES[:7], [0] * 7), (NAMES[7:], [4] * 2)]
    minibatches = [(*minibatch(n), torch.tensor(k)) for n, k in parts]
    mean = train_on_names(
        model, minibatches, torch.optim.SGD(model.parameters(), lr=0.0)
    )
    padded, lengths = minibatch(NAMES)
    expected = F.cross_entropy(
        model(padded, lengths), torch.tensor([0] * 7 + [4] * 2)
    ).item()
    assert mean == pytest.approx(expected, rel=1e-12)


def test_the_model_is_in_training_mode_from_the_first_minibatch():
    model, modes = classifier().eval(), []
    model.register_forward_pre_hook(lambda m, _: modes.append(m.training))
    minibatches = [(*minibatch(["Abe"]), torch.tensor([0]))] * 2
    train_on_names(model, minibatches, torch.optim.SGD(model.parameters(), lr=0.1))
    assert modes == [True, True]


def test_without_names_there_is_no_training():
    model = classifier()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="minibatches is empty"):
        train_on_names(model, [], optimiser)
    with pytest.raises(ValueError, match="examples is empty"):
        train_one_at_a_time(model, [], optimiser)


def spoiled(where):
    """Return a model whose loss, or only its gradient, is not finite."""
    model = ClassicGRU(59, 4, 3)
    if where == "loss":
        model.output.bias.data[1] = math.nan
    else:
        model.output.weight.register_hook(lambda grad: grad * math.inf)
    return model


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("loss", "the loss is nan at step 1: lower the learning rate"),
        ("gradient", r"norm of the gradient is (nan|inf) at step 1; the loss is \d"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("max_norm", [1.0, math.inf])
def test_training_stops_when_it_is_no_longer_finite(where, message, packed, max_norm):
    model = spoiled(where)
    before = model.layer.weight_hh_l0.detach().clone()
    wrapped = NameClassifier(model.layer, 3)
    wrapped.output = model.output
    step = {
        True: lambda optimiser: train_on_names(
            wrapped,
            [(*minibatch(["Abe"]), torch.tensor([0]))],
            optimiser,
            max_norm=max_norm,
        ),
        False: lambda optimiser: train_one_at_a_time(
            model, [(encode("Abe"), 0)], optimiser, max_norm=max_norm
        ),
    }
    optimiser = torch.optim.SGD(model.parameters(), lr=1)
    with pytest.raises(FloatingPointError, match=message):
        step[packed](optimiser)
    assert model.layer.weight_hh_l0.equal(before)


# Prediction


@pytest.mark.parametrize("batch_size", [1, 2, 100])
@pytest.mark.parametrize("training", [False, True])
def test_scores_are_log_probabilities_in_the_order_of_the_names(batch_size, training):
    model = classifier(dropout=0.5).train(training)
    logs = log_probabilities(model, NAMES, batch_size=batch_size)
    assert logs.shape == (len(NAMES), K)
    close(logs.exp().sum(1), torch.ones(len(NAMES), dtype=F64))
    assert not logs.requires_grad
    assert model.training == training
    model.eval()
    for name, row in zip(NAMES, logs, strict=True):
        close(row, model(*minibatch([name]))[0].log_softmax(0))


def test_prediction_folds():
    model = classifier()
    a, b = log_probabilities(model, ["Ślusàrski", "Slusarski"])
    close(a, b)


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "name is ''; accepted"), ("Maxa1", r"'Maxa1'; accepted: .*, not \['1'\]")],
)
def test_names_that_cannot_be_read_are_refused_by_name(name, message):
    with pytest.raises(ValueError, match=message):
        log_probabilities(classifier(), ["Abe", name])


@pytest.mark.parametrize("names", [[], "Abe", [b"Abe"], None])
def test_what_is_no_sequence_of_names_is_refused(names):
    with pytest.raises(ValueError, match=r"names is .*; accepted: "):
        log_probabilities(classifier(), names)


def test_blanks_at_the_ends_are_no_part_of_a_name():
    logs = log_probabilities(classifier(), ["Smith", "Smith ", "\xa0Smith\n"])
    assert logs.eq(logs[0]).all()


class Elsewhere(nn.Module):
    """A model on a device that is not the CPU: what it is given must be there."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, device="meta"))

    def forward(self, ids, lengths):
        """Score two classes, on the CPU."""
        assert ids.device == self.weight.device
        assert lengths.device == torch.device("cpu")
        return torch.arange(len(lengths) * 2.0).view(-1, 2)


def test_names_are_taken_to_the_device_of_the_model():
    assert log_probabilities(Elsewhere(), ["Abe", "B"]).shape == (2, 2)


def test_ids_on_another_device_than_the_model_are_refused():
    model = NameClassifier(nn.GRU(59, 4, device="meta"), K)
    with pytest.raises(ValueError, match="ids is on cpu; accepted: meta"):
        model(*minibatch(["Abe"]))


@pytest.mark.parametrize(
    ("ids", "lengths", "message"),
    [
        ([[59]], [1], "ids run from 59 to 59; accepted: 0 ... 58"),
        ([[-1]], [1], "ids run from -1 to -1"),
        ([[1]], [2], "lengths run from 2 to 2; accepted: 1 ... 1"),
        ([[1]], [0], "lengths run from 0 to 0; accepted: 1 ... 1"),
        ([[1], [2]], [1.9], "lengths has dtype torch.float32; accepted: an integer"),
        ([[1], [2]], [True], "lengths is .*; accepted: integers"),
        ([[1.5]], [1], "ids has dtype torch.float32; accepted: an integer dtype"),
    ],
)
def test_ids_and_lengths_out_of_range_are_refused(ids, lengths, message):
    for model in (classifier(), JointClassifier(nn.GRU(59, 4, bidirectional=True), K)):
        with pytest.raises(ValueError, match=message):
            model(ids, lengths)


def test_a_classifier_of_other_states_is_not_read_by_prefix():
    model = JointClassifier(nn.GRU(59, 4, bidirectional=True), K)
    with pytest.raises(ValueError, match=r"model is JointClassifier.*a NameClassifier"):
        PrefixGRU(model)


def test_a_batch_size_below_1_is_refused():
    with pytest.raises(ValueError, match="batch_size is 0"):
        log_probabilities(classifier(), NAMES, batch_size=0)
