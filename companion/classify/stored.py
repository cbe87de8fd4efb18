"""The classifier that ships, as a file: weights with few bits, names of classes."""

import importlib.resources
import json
from pathlib import Path

import torch
from torch import nn

from companion.classify.joint import JointClassifier
from companion.names import ALPHABET

#: The classifier that ships with the package.
SHIPPED = Path(str(importlib.resources.files("companion") / "data" / "classifier.pt"))


def read(path: str | Path = SHIPPED) -> JointClassifier:
    """Read what :mod:`companion.experiments.train_classifier` wrote.

    Only tensors, numbers and strings are unpickled. Weights have 16 bits each, the
    scores of n-grams 8: a number from -127 to 127 and a scale for each class.

    Args:
        path: Of the file.

    Returns:
        The classifier, float32, in evaluation mode, with the attribute ``languages``, a
        tuple of strings in the order of the labels. Weights that served training alone
        are left out.

    Raises:
        ValueError: If there is no such file, or it holds something else.

    Example:
        >>> read().layer
        GRU(59, 96, bidirectional=True)
    """
    try:
        stored = torch.load(path, weights_only=True)
        state = stored["state"]
        state["direct.weight"] = stored["scores"] * stored["scale"]
        known = state["known"] = state["known"].long()
        # On the device meta nothing is drawn: each weight is to come from the file.
        layer = nn.GRU(
            len(ALPHABET), stored["hidden"], bidirectional=True, device="meta"
        )
        longest, languages = stored["direct"], tuple(stored["languages"])
        model = JointClassifier(layer, len(languages), longest=longest, known=known)
        own = {
            name: state[name] if name == "known" else state[name].float()
            for name in model.state_dict()
        }
        model.load_state_dict(own, assign=True)
    except Exception as error:  # PyTorch alone raises half a dozen kinds
        raise ValueError(
            f"path is {str(path)!r}; accepted: a file that train_classifier wrote"
        ) from error
    model.languages = languages
    return model.eval()


def provenance() -> dict:
    """Tell how the classifier that ships was made, and how good it is.

    Returns:
        The command, the settings, versions, the checksums of the data and of the file,
        and the scores on the test part.

    Example:
        >>> provenance()["names to train with"]
        14390
    """
    return json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
