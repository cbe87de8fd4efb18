"""Parity with d2l 0.17.0, and how it is loaded."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion import datasets
from companion.batching import random_batches, sequential_batches
from companion.generation import generate
from companion.language_model import LanguageModel
from companion.reference import load_d2l
from companion.rnn import RNN
from companion.text import Vocab, clean

V, H = 28, 32
PREFIXES = ["time traveller", "traveller", "t", "it was at ten"]
WEIGHTS = ("layer.W_xh", "layer.W_hh", "layer.b_h", "W_hq", "b_q")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def close(actual, expected):  # d2l computes in float32 alone
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def d2l():
    return load_d2l()


@pytest.fixture(scope="module")
def corpus():
    text = clean(datasets.time_machine(), join="")
    vocab = Vocab(text)
    return vocab.encode(text), vocab


# Text and minibatches


def test_the_vocabulary_and_the_tokens_are_d2ls(d2l, corpus):
    ids, vocab = corpus
    their_ids, their_vocab = d2l.load_corpus_time_machine()
    assert list(vocab.tokens) == their_vocab.idx_to_token
    assert list(vocab.counts.most_common()) == their_vocab.token_freqs
    assert ids.tolist() == their_ids


@settings(deadline=None)
@given(st.text(st.sampled_from("abcdef ")), st.integers(1, 4))
def test_any_vocabulary_is_d2ls(d2l, stream, min_count):
    ours = Vocab(stream, min_count=min_count)
    theirs = d2l.Vocab(list(stream), min_count)
    assert list(ours.tokens) == theirs.idx_to_token
    assert ours.encode("fade").tolist() == theirs[list("fade")]


def control(monkeypatch, d2l, offset, windows=()):
    """Make d2l begin at an offset and deal out the given windows first."""

    def randint(low, high):
        assert low <= offset <= high
        return offset

    def shuffle(windows_of_d2l):
        rest = [window for window in windows_of_d2l if window not in windows]
        assert len(rest) + len(windows) == len(windows_of_d2l)
        windows_of_d2l[:] = [*windows, *rest]

    monkeypatch.setattr(d2l.random, "randint", randint)
    monkeypatch.setattr(d2l.random, "shuffle", shuffle)


def check_minibatches(ours, theirs, number):
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs) >= number
    for (X, Y), (their_X, their_Y) in zip(ours, theirs, strict=True):
        assert X.equal(their_X)
        assert Y.equal(their_Y)


@pytest.mark.parametrize(("N", "T"), [(32, 35), (2, 5), (3, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sequential_minibatches_are_d2ls(d2l, corpus, monkeypatch, N, T, seed):
    ids = corpus[0][:2500]
    places = sequential_batches(torch.arange(2500), N, T, generator=seeded(seed))
    offset = int(next(places)[0][0, 0])
    control(monkeypatch, d2l, offset)
    check_minibatches(
        sequential_batches(ids, N, T, generator=seeded(seed)),
        d2l.seq_data_iter_sequential(ids.tolist(), N, T),
        number=2,
    )


@pytest.mark.parametrize(("N", "T"), [(32, 35), (2, 5), (3, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_minibatches_are_d2ls(d2l, corpus, monkeypatch, N, T, seed):
    ids = corpus[0][:2500]
    places = random_batches(torch.arange(2500), N, T, generator=seeded(seed))
    starts = torch.cat([X[:, 0] for X, _ in places])
    offset = int(starts[0]) % T
    control(monkeypatch, d2l, offset, windows=(starts - offset).tolist())
    check_minibatches(
        random_batches(ids, N, T, generator=seeded(seed)),
        d2l.seq_data_iter_random(ids.tolist(), N, T),
        number=2,
    )


# The model


@pytest.fixture
def model():
    """Return a model with weights so large that it does not repeat itself at once.

    Those between hidden states are smaller: there, large ones would make it chaotic,
    and its text a matter of how PyTorch rounds.
    """
    layer = RNN(V, H, init_std=1.0, generator=seeded(0))
    model = LanguageModel(layer, V, init_std=1.0, generator=seeded(1))
    layer.W_hh.data.mul_(0.2)
    nn.init.normal_(layer.b_h, generator=seeded(2))
    nn.init.normal_(model.b_q, generator=seeded(3))
    return model


@pytest.fixture
def scratch(d2l, model):
    """Return `d2l.RNNModelScratch` with the weights of the model."""

    def get_params(vocab_size, num_hiddens, device):
        assert (vocab_size, num_hiddens) == (V, H)
        weights = [model.get_parameter(name).detach().clone() for name in WEIGHTS]
        return [weight.to(device).requires_grad_() for weight in weights]

    def init_state(batch_size, num_hiddens, device):
        return (torch.zeros(batch_size, num_hiddens, device=device),)

    def forward(inputs, state, params):
        W_xh, W_hh, b_h, W_hq, b_q = params
        (H_t,) = state
        scores = []
        for X_t in inputs:
            H_t = torch.tanh(torch.mm(X_t, W_xh) + torch.mm(H_t, W_hh) + b_h)
            scores.append(torch.mm(H_t, W_hq) + b_q)
        return torch.cat(scores), (H_t,)

    device = torch.device("cpu")
    return d2l.RNNModelScratch(V, H, device, get_params, init_state, forward)


@pytest.fixture
def concise(d2l, model):
    """Return `d2l.RNNModel` around `nn.RNN` with the weights of the model."""
    theirs = d2l.RNNModel(nn.RNN(V, H), V)
    with torch.no_grad():
        theirs.rnn.weight_ih_l0.copy_(model.layer.W_xh.T)
        theirs.rnn.weight_hh_l0.copy_(model.layer.W_hh.T)
        theirs.rnn.bias_ih_l0.copy_(model.layer.b_h)
        theirs.rnn.bias_hh_l0.zero_()
        theirs.linear.weight.copy_(model.W_hq.T)
        theirs.linear.bias.copy_(model.b_q)
    return theirs


@pytest.fixture
def minibatches(corpus):
    return list(sequential_batches(corpus[0][:1000], 4, 7))[:2]


def test_scores_states_and_gradients_are_those_of_the_scratch_model(
    model, scratch, minibatches
):
    state, their_state = model.begin_state(4), scratch.begin_state(4, "cpu")
    loss = their_loss = 0
    for X, Y in minibatches:
        logits, state = model(X, state)
        their_logits, their_state = scratch(X, their_state)
        assert logits.shape == (7 * 4, V)
        close(logits, their_logits)
        close(state[0], their_state[0])
        loss += nn.functional.cross_entropy(logits, Y.T.reshape(-1))
        their_loss += nn.functional.cross_entropy(their_logits, Y.T.reshape(-1))
    loss.backward()
    their_loss.backward()
    for name, theirs in zip(WEIGHTS, scratch.params, strict=True):
        close(model.get_parameter(name).grad, theirs.grad)


def test_the_two_orders_of_begin_state_do_not_mix(scratch, concise):
    with pytest.raises(TypeError):
        scratch.begin_state("cpu", 2)
    assert concise.begin_state("cpu", 2).shape == (1, 2, H)
    if not torch.accelerator.is_available():
        with pytest.raises(RuntimeError, match=r"accelerator|NVIDIA"):
            concise.begin_state(2, "cpu")


def test_what_d2l_says_of_an_empty_prefix(d2l, scratch):
    with pytest.raises(IndexError, match="string index out of range"):
        d2l.predict_ch8("", 5, scratch, d2l.Vocab(list("abc")), "cpu")


def test_d2l_reads_a_capital_as_unknown(d2l, scratch):
    vocab = d2l.Vocab(list("abcdefghijklmnopqrstuvwxyz "))
    assert d2l.predict_ch8("Time", 5, scratch, vocab, "cpu").startswith("<unk>ime")


def test_scores_and_states_are_those_of_the_concise_model(model, concise, minibatches):
    state, their_state = None, concise.begin_state("cpu", batch_size=4)
    for X, _ in minibatches:
        logits, state = model(X, state)
        their_logits, their_state = concise(X, their_state)
        close(logits, their_logits)
        close(state[0], their_state[0])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_around_torchs_layers_the_model_is_d2ls(d2l, minibatches, kind, bidirectional):
    layer = kind(V, H, num_layers=2, bidirectional=bidirectional)
    ours, theirs = LanguageModel(layer, V), d2l.RNNModel(layer, V)
    with torch.no_grad():
        theirs.linear.weight.copy_(ours.W_hq.T)
        theirs.linear.bias.copy_(ours.b_q)
    state, their_state = ours.begin_state(4), theirs.begin_state("cpu", batch_size=4)
    for X, _ in minibatches:
        torch.testing.assert_close(state, their_state)
        logits, state = ours(X, state)
        their_logits, their_state = theirs(X, their_state)
        close(logits, their_logits)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_generated_text_is_d2ls(d2l, corpus, model, scratch, concise, prefix):
    vocab = corpus[1]
    _, their_vocab = d2l.load_corpus_time_machine()
    text = generate(prefix, 40, model, vocab)
    device = torch.device("cpu")
    assert len(set(text[len(prefix) :])) > 3  # so that agreeing is no accident
    assert text == d2l.predict_ch8(prefix, 40, scratch, their_vocab, device)
    assert text == d2l.predict_ch8(prefix, 40, model, their_vocab, device)
    assert text == d2l.predict_ch8(prefix, 40, concise, their_vocab, device)


# Loading d2l


def loaded(*packages):
    return {
        name: module
        for name, module in sys.modules.items()
        if name.split(".")[0] in packages
    }


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put small modules in the place of d2l and torchvision while a test runs.

    What it returns replaces one of them: dotted name, source.
    """
    kept = loaded("d2l", "torchvision")
    for name in kept:
        del sys.modules[name]
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, source):
        path = tmp_path.joinpath(*name.split("."))
        path.mkdir(exist_ok=True)
        (path / "__init__.py").write_text(source)
        importlib.invalidate_caches()

    write("d2l", "__version__ = '0.17.0'")
    write(
        "d2l.torch",
        "import torchvision\n"
        "from torchvision import transforms\n"
        "def download(name, *args, **kwargs): return name, args, kwargs\n",
    )
    write("torchvision", "from torchvision import transforms")
    write("torchvision.transforms", "Resize = 'real'")
    yield write
    for name in loaded("d2l", "torchvision"):
        del sys.modules[name]
    sys.modules.update(kept)


class _Refuse:
    """Lets each import of torchvision fail, also where it is installed."""

    def __init__(self, error):
        self.error = error

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "torchvision":
            raise self.error


def test_d2l_is_loaded_and_wrapped_once(d2l):
    download = d2l.download
    assert load_d2l() is d2l
    assert d2l.download is download
    assert not hasattr(download.original, "original")


def test_download_gives_our_file_of_the_book(d2l, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Path(d2l.download("time_machine")) == datasets.time_machine_path()
    assert list(tmp_path.iterdir()) == []  # d2l's own keeps files in ../data


def test_another_download_goes_to_the_original(d2l, fake):
    with pytest.raises(AssertionError, match="no such thing does not exist"):
        d2l.download("no such thing")
    download = load_d2l().download
    assert download("fra-eng", "a", b="c") == ("fra-eng", ("a",), {"b": "c"})


@pytest.mark.parametrize("kind", [ModuleNotFoundError, RuntimeError, OSError])
def test_where_torchvision_fails_d2l_gets_a_stand_in_and_nobody_else(
    fake, monkeypatch, kind
):
    error = kind("operator torchvision::nms does not exist")
    monkeypatch.setattr(sys, "meta_path", [_Refuse(error), *sys.meta_path])
    d2l = load_d2l()
    assert d2l.transforms is d2l.torchvision.transforms
    assert d2l.torchvision.__spec__ is None  # of no file
    assert loaded("torchvision") == {}
    with pytest.raises(kind, match="torchvision::nms"):
        importlib.import_module("torchvision")


def test_nothing_is_left_of_a_torchvision_that_breaks_half_way(fake):
    fake("torchvision", "from torchvision import ops\nraise RuntimeError('nms')")
    fake("torchvision.ops", "")
    d2l = load_d2l()
    assert not hasattr(d2l.torchvision, "ops")
    assert loaded("torchvision") == {}


def test_the_stand_in_goes_even_when_d2l_fails(fake, monkeypatch):
    error = ModuleNotFoundError("no torchvision")
    monkeypatch.setattr(sys, "meta_path", [_Refuse(error), *sys.meta_path])
    fake("d2l.torch", "import torchvision\nraise ImportError('no pandas')")
    with pytest.raises(ImportError, match="no pandas"):
        load_d2l()
    assert loaded("torchvision") == {}


@pytest.mark.parametrize("before", [True, False])
def test_a_torchvision_that_works_is_used_and_kept(fake, before):
    if before:
        importlib.import_module("torchvision")
    d2l = load_d2l()
    assert d2l.transforms.Resize == "real"
    assert sys.modules["torchvision"] is d2l.torchvision
    assert sys.modules["torchvision.transforms"] is d2l.transforms


@pytest.mark.parametrize("version", ["1.0.3", "0.17"])
def test_another_version_of_d2l_is_refused(fake, version):
    fake("d2l", f"__version__ = {version!r}")
    with pytest.raises(ImportError, match=rf"d2l is {version}; accepted: 0\.17\.0"):
        load_d2l()
    assert "d2l.torch" not in sys.modules


def test_a_missing_d2l_is_an_import_error(fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "d2l", None)
    with pytest.raises(ImportError, match="d2l"):
        load_d2l()


def test_no_stand_in_is_left_after_the_real_d2l_was_loaded(d2l):
    for name in loaded("torchvision"):
        assert sys.modules[name].__spec__ is not None, name


def test_without_d2l_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "d2l", None)
    with pytest.raises(
        ImportError, match=r"d2l 0\.17\.0 is missing.*companion\[chapters"
    ):
        load_d2l()
