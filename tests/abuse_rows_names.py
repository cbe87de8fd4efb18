"""The table of abuses: rows of names and their classifiers."""

import torch

from companion import classifier, classify, names
from companion.classify import door, joint, stored
from companion.laboratory import name_training, surnames
from tests.abuse_kinds import abuse_generator, abuse_ids, abuse_number, abuse_size
from tests.abuse_kinds import abuse_string as abuse_name
from tests.abuse_kinds_models import (
    abuse_function,
    abuse_layer,
    abuse_model,
    abuse_optimiser,
)
from tests.abuse_kinds_names import (
    abuse_alphabet,
    abuse_arguments,
    abuse_known,
    abuse_minibatches,
    abuse_names,
    abuse_path,
    abuse_rows,
    abuse_sequences,
)
from tests.abuse_values import Call, drawing, pieces, seeded
from tests.abuse_values_names import (
    ROWS,
    SOME,
    K,
    both,
    command,
    padded,
    plain,
    seen,
    sequences,
    trained,
    unclipped,
)

#: Modules that are still to come, and why.
NOT_YET = {}
#: Public names that take nothing, or nothing that could be wrong.
NO_ARGUMENT = {"classify.load", "classify.stored.provenance"}
#: What is no entrance for a user.
INSIDE = {
    "classifier.NameNetwork": "what classifiers share",
}


BUILT = {"layer": abuse_layer, "num_classes": abuse_size, "dropout": abuse_number}
READ = {"ids": abuse_alphabet, "lengths": abuse_ids}
ROW_OF = {"rows": abuse_rows}
NAME = {"name": abuse_name}

CALLS = {
    "names.fold": Call(
        names.fold, lambda: {"name": "Ábe"}, NAME, {("name", "empty"): lambda a: ""}
    ),
    "names.ids": Call(names.ids, lambda: {"name": "Ábe"}, NAME),
    "names.pad": Call(
        lambda **a: names.pad(**a),
        lambda: {"sequences": sequences()["sequences"]},
        {"sequences": abuse_sequences},
    ),
    "names.split": Call(
        names.split,
        lambda: {
            "names": SOME,
            "labels": torch.tensor([0, 1, 0, 1, 0, 1]),
            "test_size": 0.4,
            "seed": 3,
        },
        {
            "names": abuse_names,
            "labels": abuse_ids,
            "test_size": abuse_number,
            "seed": abuse_size,
        },
        {
            ("seed", "zero"): lambda a: names.split(SOME, [0, 1] * 3, test_size=0.4),
            ("names", "no letter"): lambda a: names.split(
                [*SOME[:-1], "x"], [0, 1] * 3, test_size=0.4, seed=3
            ),
        },
    ),
    "classify.door.normalise": Call(door.normalise, lambda: {"name": "Ábe"}, NAME),
    "laboratory.surnames.examples": Call(
        surnames.examples, lambda: {"rows": ROWS}, ROW_OF
    ),
    "laboratory.surnames.encode": Call(surnames.encode, lambda: {"name": "Abe"}, NAME),
    "laboratory.surnames.mend_rows": Call(
        surnames.mend_rows, lambda: {"rows": ROWS}, ROW_OF
    ),
    "laboratory.surnames.distinct": Call(
        surnames.distinct, lambda: {"rows": ROWS}, ROW_OF
    ),
    "laboratory.name_training.batches": Call(
        drawing(name_training.batches),
        lambda: {**sequences(), "batch_size": 2, "bucket": 2},
        {
            "sequences": abuse_sequences,
            "labels": abuse_ids,
            "batch_size": abuse_size,
            "bucket": abuse_size,
            "generator": abuse_generator,
        },
        {
            ("labels", "other vocabulary"): lambda a: list(
                name_training.batches(**a, generator=seeded())
            )
        },
        finish=list,
    ),
    "laboratory.name_training.train_on_names": Call(
        trained,
        lambda: {
            "model": plain(),
            "minibatches": [(*padded().values(), torch.tensor([0, 2]))],
            "max_norm": 0.5,
        },
        {
            "model": abuse_model,
            "minibatches": abuse_minibatches,
            "optimiser": abuse_optimiser,
            "max_norm": abuse_number,
            "objective": abuse_function,
        },
        {("max_norm", name): unclipped for name in ("infinite", "huge")},
        writes=frozenset({"model"}),
        half=True,
    ),
    "classify.joint.ngrams": Call(
        joint.ngrams,
        lambda: {**padded(), "longest": 2},
        {**READ, "longest": abuse_size},
    ),
    "classify.joint.JointClassifier": Call(
        seen(joint.JointClassifier),
        lambda: {
            "num_classes": K,
            "dropout": 0.5,
            "ngram_dropout": 0.5,
            "longest": 2,
            "known": [2, 9],
        },
        {
            **BUILT,
            "ngram_dropout": abuse_number,
            "longest": abuse_size,
            "known": abuse_known,
        },
    ),
    "classify.joint.JointClassifier.forward": Call(
        lambda **a: both()(**a), padded, READ, half=True
    ),
    "classifier.NameClassifier": Call(
        seen(classifier.NameClassifier),
        lambda: {"num_classes": K, "dropout": 0.5},
        BUILT,
    ),
    "classifier.NameClassifier.forward": Call(
        lambda **a: plain()(**a), padded, READ, half=True
    ),
    "classifier.log_probabilities": Call(
        classifier.log_probabilities,
        lambda: {"model": plain(), "names": SOME, "batch_size": 4},
        {"model": abuse_model, "names": abuse_names, "batch_size": abuse_size},
        half=True,
    ),
    "classify.classify": Call(
        classify.classify,
        lambda: {"names": SOME, "model": both(), "k": 2},
        {"names": abuse_names, "model": abuse_model, "k": abuse_size},
        {
            ("names", "empty"): lambda a: [],
            ("model", "NoneType"): lambda a: classify.classify(
                SOME, classify.load(), k=2
            ),
            ("names", "one string"): lambda a: [
                *classify.classify([a["names"]], a["model"], k=2)[0]
            ],
        },
    ),
    "classify.stored.read": Call(
        stored.read,
        lambda: {"path": stored.SHIPPED},
        {"path": abuse_path},
        finish=pieces,
    ),
    "classify.command.main": Call(
        command,
        lambda: {"arguments": ["Ito", "-k", "1"]},
        {"arguments": abuse_arguments},
    ),
}
