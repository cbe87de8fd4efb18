"""An epoch over the names: one name at a time against minibatches read by prefix."""

import statistics
import time

import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from companion import datasets
from companion.classifier import NameClassifier
from companion.laboratory.classic import ClassicGRU, train_one_at_a_time
from companion.laboratory.name_training import batches, train_on_names
from companion.laboratory.prefixes import PrefixGRU, prefix_tree
from companion.laboratory.surnames import encode
from companion.names import ALPHABET, fold, ids

H, BATCH = 256, 512
#: Names of a block that is read one at a time, and blocks.
BLOCK, ROUNDS = 100, 5
#: Rows and columns of the large product that gives the machine's rate.
LARGE = 1024


def training_rows() -> tuple[list[str], list[int]]:
    """Return the 18,063 rows that the published run trained on, up to its shuffle."""
    rows, labels = [], []
    for label, raws in enumerate(datasets.names().values()):
        kept = [name for raw in raws if not set(name := fold(raw.rstrip())) - _ALPHABET]
        rows += kept
        labels += [label] * len(kept)
    train, _ = train_test_split(
        range(len(rows)), test_size=0.1, stratify=labels, random_state=0
    )
    return [rows[i] for i in train], [labels[i] for i in train]


_ALPHABET = set(ALPHABET)


def operations(padded: Tensor, lengths: Tensor, layers: int, classes: int) -> int:
    """Count the floating-point operations that the products of a step need.

    For M prefixes, I of them with children, N names: the recurrent product of a layer
    is taken for each prefix with children, forward, for the gradient of its state and
    for that of the matrix, ``3 * 2 * I * H * 3H``; the input product of a layer above
    the first for each prefix, ``3 * 2 * M * H * 3H``; the output layer for each name,
    ``3 * 2 * N * H * K``. One-hot inputs are look-ups and count nothing, nor does
    anything entry by entry. What reading by prefix saves is not counted either.
    """
    tree = prefix_tree(padded, lengths)
    M, inner = sum(tree.sizes), sum(tree.inner)
    recurrent, above = layers * inner, (layers - 1) * M
    return 18 * H**2 * (recurrent + above) + 6 * len(lengths) * H * classes


def contestants() -> tuple[ClassicGRU, PrefixGRU]:
    """Return the published GRU, and the same with the same weights, by prefix."""
    torch.manual_seed(0)
    classes = len(datasets.LANGUAGES)
    classic = ClassicGRU(len(ALPHABET), H, classes)
    packed = NameClassifier(nn.GRU(len(ALPHABET), H, 2), classes)
    packed.layer.load_state_dict(classic.layer.state_dict())
    packed.output.load_state_dict(classic.output.state_dict())
    return classic, PrefixGRU(packed)


def measure(threads: int = 1) -> dict[str, float]:
    """Time both ways of training the published GRU for an epoch, taking turns.

    Both use Adam and clip. The epoch of one name at a time is estimated from random
    names; the other one is timed as a whole, making its minibatches included. Medians
    over the rounds are compared.

    Args:
        threads: Threads of PyTorch.

    Returns:
        ``names_epoch_vs_one_at_a_time``, how many times faster the minibatches are, and
        ``names_epoch_share_of_matmul_ceiling``, their operations (:func:`operations`) a
        second over those of a large product.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _measure()
    finally:
        torch.set_num_threads(before)


def _measure() -> dict[str, float]:
    rows, labels = training_rows()
    sequences = [ids(row) for row in rows]
    classic, read = contestants()
    step, leap = (torch.optim.Adam(m.parameters(), lr=1e-3) for m in (classic, read))
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(rows), generator=generator).tolist()
    A, B = torch.rand(2, LARGE, LARGE)
    seconds = {"one at a time": [], "minibatches": [], "product": []}
    needed = []
    for number in range(ROUNDS + 1):  # the first round warms up
        block = [order[(number * BLOCK + i) % len(order)] for i in range(BLOCK)]
        examples = [(encode(rows[i]), labels[i]) for i in block]
        began = time.perf_counter()
        train_one_at_a_time(classic, examples, step, generator=generator)
        one = (time.perf_counter() - began) / BLOCK * len(rows)

        began = time.perf_counter()
        train_on_names(
            read, batches(sequences, labels, BATCH, generator=generator), leap
        )
        many = time.perf_counter() - began

        began = time.perf_counter()
        for _ in range(10):
            A @ B
        product = (time.perf_counter() - began) / 10
        if number:
            for name, value in zip(seconds, (one, many, product), strict=True):
                seconds[name].append(value)
    for padded, lengths, _ in batches(sequences, labels, BATCH, generator=generator):
        needed.append(operations(padded, lengths, 2, len(datasets.LANGUAGES)))
    one, many, product = (statistics.median(s) for s in seconds.values())
    return {
        "names_epoch_vs_one_at_a_time": one / many,
        "names_epoch_share_of_matmul_ceiling": (
            (sum(needed) / many) / (2 * LARGE**3 / product)
        ),
    }


if __name__ == "__main__":
    print(measure())
