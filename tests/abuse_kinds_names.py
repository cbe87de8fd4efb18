"""What may be handed to a function of names by mistake, by kind of argument."""

import numpy as np
import torch

from companion.classify import stored
from tests.abuse_kinds import abuse_ids
from tests.abuse_values import EITHER, NAN, REFUSED, SAME, put


def abuse_alphabet(ids):
    """As of a vocabulary of 59."""
    for name, given, expected in abuse_ids(ids):
        yield name, put(ids, 59) if name == "other vocabulary" else given, expected


def abuse_names(given):
    yield "tuple", tuple(given), SAME
    yield "generator", (name for name in given), SAME
    yield "NumPy", np.array(given), SAME
    for wrong in (None, 5, True, given[0].encode(), 1.5, dict.fromkeys(given)):
        yield repr(wrong), wrong, REFUSED
    for part in (b"abe", None, NAN, 5, ["abe"], True):
        yield f"holds {part!r}", [*given[:-1], part], REFUSED
    yield "tensor", torch.tensor([1, 2]), REFUSED
    yield "scalar of NumPy", np.array("abe"), REFUSED
    yield "empty", [], REFUSED
    yield "one string", given[0], REFUSED
    yield "no letter", [*given[:-1], ""], REFUSED


def abuse_rows(rows):
    yield "tuples", {key: tuple(group) for key, group in rows.items()}, SAME
    yield "NumPy", {key: np.array(group) for key, group in rows.items()}, SAME
    for group in ("Smith", b"Smith", 5, None, [5], [None], [b"Abl"], {"Abl": 1}):
        yield f"group {group!r}", {**rows, "Irish": group}, REFUSED
    for wrong in (None, "Smith", ["Smith"], 5, rows.items()):
        yield repr(wrong), wrong, REFUSED


def abuse_sequences(given):
    yield "lists", [ids.tolist() for ids in given], SAME
    yield "NumPy", [ids.numpy() for ids in given], SAME
    yield "uint8", [ids.to(torch.uint8) for ids in given], SAME
    yield "tuple", tuple(given), SAME
    for name, wrong in {
        "float": given[0].double(),
        "bool": given[0].bool(),
        "NaN": [NAN],
        "negative": put(given[0], -1),
        "other vocabulary": put(given[0], 59),
        "huge": put(given[0], 2**62),
        "empty": given[0][:0],
        "shape": given[0][None],
        "scalar": given[0][0],
        "device": given[0].to("meta"),
        "string": "abe",
        "None": None,
    }.items():
        yield name, [wrong, *given[1:]], REFUSED
    for wrong in ([], None, "abe", 5, torch.tensor(1), {"abe": given[0]}):
        yield repr(wrong)[:9], wrong, REFUSED


def abuse_minibatches(minibatches):
    ((ids, lengths, labels),) = minibatches
    yield "lists", [[ids.tolist(), lengths.tolist(), labels.tolist()]], SAME
    yield "iterator", iter(minibatches), SAME
    for place, kind in enumerate((abuse_alphabet, abuse_ids, abuse_ids)):
        for name, wrong, expected in kind(minibatches[0][place]):
            if expected is REFUSED:
                parts = (*minibatches[0][:place], wrong, *minibatches[0][place + 1 :])
                yield f"{place}: {name}", [parts], REFUSED
    yield "two", [(ids, lengths)], REFUSED
    for wrong in ([], [5], ["abe"], None, 5, "abe"):
        yield repr(wrong), wrong, REFUSED


def abuse_path(_):
    for wrong in (None, 5, "", "/", "nowhere.pt", __file__, b"a.pt", [], NAN):
        yield repr(wrong), wrong, REFUSED
    yield "str", str(stored.SHIPPED), SAME


def abuse_known(known):
    for name, given, expected in abuse_ids(torch.tensor(known)):
        beyond = name in ("other vocabulary", "huge")  # ascending, they may be
        yield name, given, EITHER if beyond else expected
    yield "descending", known[::-1], REFUSED


def abuse_arguments(given):
    yield "tuple", tuple(given), SAME
    for wrong in ("Ito", b"Ito", 5, [5], [None], {"Ito": 1}):
        yield repr(wrong), wrong, REFUSED
    for wrong in (["R2D2"], ["Ito", ""], [], ["--odd"], ["Ito", "-k", "0"], ["王"]):
        yield repr(wrong), wrong, lambda _: (2, False, 1)
