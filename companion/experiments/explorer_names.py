"""The classifier that ships, rounded for a page.

``python -m companion.experiments.explorers names`` writes it. A page that may weigh 400
kB has no room for the file of 889 kB. So each row of a matrix is written as whole
numbers times a scale: those of the recurrent layer and of the output between -127 and
127, the scores that a language gives to pieces between -7 and 7. What is not needed is
left out: the columns of capitals and other characters that no normal name holds.
"""

import json
import sys
from itertools import pairwise

import torch
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional as F

from companion import datasets
from companion.classifier import log_probabilities
from companion.classify import door, load
from companion.classify.door import LONGEST, WRITTEN
from companion.classify.joint import JointClassifier
from companion.experiments.packing import pack, round_rows, squeeze, unpack, unsqueeze
from companion.laboratory.surnames import examples
from companion.names import ALPHABET, split

LETTERS = "".join(char for char in ALPHABET if char in WRITTEN)  # so pieces keep order
IDS = [ALPHABET.index(char) for char in LETTERS]
MARK = len(ALPHABET)  # the beginning and the end of a name
PIECES = "direct.weight"


def matrices(model: JointClassifier) -> dict[str, Tensor]:
    """Return what is rounded: matrices with one row a gate's unit, or a language."""
    state = model.state_dict()
    found = {
        name: value[:, IDS] if "weight_ih" in name else value
        for name, value in state.items()
        if name.startswith(("layer.weight", "output.weight"))
    }
    return found | {PIECES: state[PIECES][1:].T}  # row 0 scores what is not known: zero


def spelling() -> list[list]:
    """Tell how the door spells each character: runs of first, last and spelling.

    A character in no run is refused.
    """
    runs: list[list] = []
    for code in range(sys.maxunicode + 1):
        char = chr(code).translate(door._APOSTROPHES)
        spelt = door._spell(char)
        if spelt is None:
            continue
        if runs and runs[-1][1:] == [code - 1, spelt]:
            runs[-1][1] = code
        else:
            runs.append([code, code, spelt])
    return runs


def symbols(number: int) -> list[int]:
    """Return the characters of a piece, as places in ``LETTERS``; the mark is 29."""
    size, first = 1, 1
    while number >= first + (MARK + 1) ** size:
        first += (MARK + 1) ** size
        size += 1
    left, found = number - first, []
    for _ in range(size):
        left, symbol = divmod(left, MARK + 1)
        found.append(len(IDS) if symbol == MARK else IDS.index(symbol))
    return found[::-1]


def renumber(known: Tensor) -> list[int]:
    """Number pieces over the 30 symbols that normal names have."""
    base, numbers = len(IDS) + 1, []
    for piece in map(symbols, known.tolist()):
        number = sum(base**n for n in range(len(piece)))  # of the first of this size
        for place, symbol in enumerate(reversed(piece)):
            number += symbol * base**place
        numbers.append(number)
    return numbers


def gaps(numbers: list[int]) -> bytes:
    """Write ascending numbers by their gaps, seven bits a byte, low ones first."""
    raw = bytearray()
    for before, number in pairwise([0, *numbers]):
        gap = number - before
        while gap > 127:
            raw.append(gap & 127 | 128)
            gap >>= 7
        raw.append(gap)
    return bytes(raw)


def held_out() -> tuple[list[str], Tensor]:
    """Return the names that the classifier was not trained with, and their labels."""
    names, labels, _ = examples(datasets.names())
    _, test = split(names, labels, test_size=0.2, seed=0)
    return [names[i] for i in test], torch.tensor([labels[i] for i in test])


def score(model: JointClassifier) -> tuple[dict, Tensor]:
    """Return accuracy, macro F1 and nats on the held-out names, and the answers."""
    names, labels = held_out()
    logs = log_probabilities(model, names)
    answers = logs.argmax(1)
    return {
        "accuracy": (answers == labels).double().mean().item(),
        "macro F1": f1_score(labels, answers, average="macro", zero_division=0),
        "nats": F.nll_loss(logs, labels).item(),
    }, answers


def dequantised(given: dict) -> JointClassifier:
    """Return, in float64, the classifier that a page computes with."""
    model = load().double()
    state, at = model.state_dict(), 0
    raw = torch.frombuffer(bytearray(unsqueeze(given["whole"])), dtype=torch.int8)
    for name, (n, m) in given["shapes"].items():
        whole = raw[at : at + n * m].reshape(n, m).double()
        value, at = whole * unpack(given["scales"][name])[:, None], at + n * m
        if "weight_ih" in name:
            state[name][:, IDS] = value
        elif name == PIECES:
            state[name][1:] = value.T
        else:
            state[name] = value
    model.load_state_dict(state)
    return model


def names() -> dict:
    """Chapter 8 and the cover: the classifier that ships, rounded."""
    model = load()
    rounded, shapes, scales = [], {}, {}
    for name, matrix in matrices(model).items():
        whole, scale = round_rows(matrix, 7 if name == PIECES else 127)
        rounded.append(whole)
        shapes[name], scales[name] = list(whole.shape), pack(scale)
    biases = {k: pack(v) for k, v in model.state_dict().items() if "bias" in k}
    given = {
        "languages": list(model.languages),
        "letters": LETTERS,
        "longest": LONGEST,
        "piece": model.longest,
        "spelling": squeeze(json.dumps(spelling(), separators=(",", ":")).encode()),
        "shapes": shapes,
        "scales": scales,
        "biases": biases,
        "known": squeeze(gaps(renumber(model.known))),
        "whole": squeeze(b"".join(w.contiguous().numpy().tobytes() for w in rounded)),
    }
    (full, theirs), (small, ours) = score(model), score(dequantised(given))
    same = (ours == theirs).double().mean().item()
    return given | {"scores": {"ships": full, "page": small, "same answer": same}}
