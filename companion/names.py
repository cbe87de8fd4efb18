"""Surnames as data: folding to ASCII, cleaning with counts, one-hot encoding."""

import re
import string
from collections.abc import Mapping, Sequence

from torch import Tensor, float32, tensor
from unidecode import unidecode

from companion.text import one_hot

#: The 59 characters of a folded name, the 52 letters and seven more.
ALPHABET = string.ascii_letters + " .,:;-'"

_IDS = {char: i for i, char in enumerate(ALPHABET)}


def fold(name: str) -> str:
    """Replace accented and non-Latin characters by their nearest ASCII spelling.

    ``Ślusàrski`` becomes ``Slusarski``. Folding loses information: ``ł`` and ``l``
    fall together, ``ø`` and ``ö`` and ``o`` too, and ``ß`` becomes two letters.

    Args:
        name: Any string.

    Returns:
        The folded name. A character without an ASCII spelling stays as it is, so
        that :func:`encode` can name it in its error.
    """
    return unidecode(name, errors="preserve")


def encode(name: str) -> Tensor:
    """Fold a name and write it as one-hot rows, one for each character.

    Folding happens in here, so training and prediction cannot differ in it.

    Args:
        name: A name; after folding all its characters are in ``ALPHABET``.

    Returns:
        float32, shape ``(n, 1, 59)``: n time steps of a minibatch that holds this one
        name, n being the length after folding.

    Raises:
        ValueError: If the name is empty or holds a character outside ``ALPHABET``
            after folding.
    """
    folded = fold(name)
    if not folded:
        raise ValueError(f"name is {name!r}; accepted: at least one character")
    unknown = sorted(set(folded) - set(ALPHABET))
    if unknown:
        raise ValueError(
            f"name {name!r} holds {unknown} after folding; accepted: {ALPHABET!r}"
        )
    ids = tensor([_IDS[char] for char in folded])
    return one_hot(ids, len(ALPHABET), dtype=float32).unsqueeze(1)


def clean(
    rows: Mapping[str, Sequence[str]],
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Mend or drop the rows that are scraping accidents, and count each kind.

    Blanks are trimmed and runs of them (non-breaking ones too) become one space;
    trailing commas and colons go; the page link "To The First Page" goes; so does
    a row with a character that folding leaves outside ``ALPHABET`` (a digit, a
    slash), since no rule could say what the name was. Duplicates stay: whether they
    are harmful depends on the split. Nothing is folded here.

    Args:
        rows: Rows of each language, as :func:`companion.datasets.names` returns them.

    Returns:
        The cleaned names of each language in their order, and the counts ``rows``,
        ``blanks mended``, ``trailing mark cut``, ``page link dropped``,
        ``foreign character dropped``, ``empty dropped``, ``kept``. Only kept rows count
        as mended or cut.
    """
    counts = {
        "rows": sum(map(len, rows.values())),
        "blanks mended": 0,
        "trailing mark cut": 0,
        "page link dropped": 0,
        "foreign character dropped": 0,
        "empty dropped": 0,
    }
    names: dict[str, list[str]] = {language: [] for language in rows}
    for language, raws in rows.items():
        for raw in raws:
            spaced = " ".join(raw.split())
            name = re.sub(r"[ ,:]+$", "", spaced)
            if name == "To The First Page":
                counts["page link dropped"] += 1
            elif not fold(name):
                counts["empty dropped"] += 1
            elif set(fold(name)) - set(ALPHABET):
                counts["foreign character dropped"] += 1
            else:
                counts["blanks mended"] += spaced != raw
                counts["trailing mark cut"] += name != spaced
                names[language].append(name)
    counts["kept"] = sum(map(len, names.values()))
    return names, counts
