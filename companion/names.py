"""Surnames as data: folding, cleaning with counts, encoding, splits, minibatches."""

import itertools
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

from torch import Tensor, float32, tensor
from unidecode import unidecode

from companion.padding import batches, pad  # noqa: F401, names are read with them
from companion.text import one_hot

#: The 59 characters of a folded name, the 52 letters and seven more.
ALPHABET = string.ascii_letters + " .,:;-'"

_IDS = {char: i for i, char in enumerate(ALPHABET)}


def fold(name: str) -> str:
    """Replace accented and non-Latin characters by their nearest ASCII spelling.

    ``Ślusàrski`` becomes ``Slusarski``. Folding loses information: ``ł`` and ``l``
    fall together, ``ø`` and ``ö`` and ``o`` too, and ``ß`` becomes two letters. A
    space at the end is kept where the name had one, and not added.

    Args:
        name: Any string.

    Returns:
        The folded name. A character without an ASCII spelling stays as it is, so
        that :func:`encode` can name it in its error.
    """
    folded = unidecode(name, errors="preserve")
    # A Chinese character becomes a syllable and a space, which no name should end in.
    return folded if name[-1:].isspace() else folded.rstrip(" ")


def ids(name: str) -> Tensor:
    """Fold a name and look up its characters in ``ALPHABET``.

    Folding happens in here, so training and prediction cannot differ in it.

    Args:
        name: A name; after folding all its characters are in ``ALPHABET``.

    Returns:
        int64, shape ``(n,)``, n being the length after folding.

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
    return tensor([_IDS[char] for char in folded])


def encode(name: str) -> Tensor:
    """Fold a name and write it as one-hot rows, one for each character.

    Args:
        name: See :func:`ids`.

    Returns:
        float32, shape ``(n, 1, 59)``: n time steps of a minibatch that holds this one
        name, n being the length after folding.

    Raises:
        ValueError: See :func:`ids`.
    """
    return one_hot(ids(name), len(ALPHABET), dtype=float32).unsqueeze(1)


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


def distinct(names: Mapping[str, Sequence[str]]) -> tuple[list[str], list[int]]:
    """Fold all names, and keep each pair of name and language once.

    A name of several languages stays once in each of them.

    Args:
        names: Names of each language.

    Returns:
        The folded names, sorted within their language, and their labels, the positions
        of the languages among the keys.
    """
    rows = [
        (name, label)
        for label, language in enumerate(names.values())
        for name in sorted(set(map(fold, language)))
    ]
    return [name for name, _ in rows], [label for _, label in rows]


def split(
    names: Sequence[str], labels: Sequence[int], *, share: float = 0.1, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Hold out a share of the rows so that the two sides share no folded name.

    The unit that is dealt out is the name: all its rows, whatever their labels, go to
    one side. scikit-learn deals the names out by strata of equal label, for a name of
    several labels the rarest of them, so that each label has its share on both sides.

    Args:
        names: Names, folded or not.
        labels: Label of each.
        share: Of the names, to be held out.
        seed: Of the shuffling.

    Returns:
        The positions of the rows to train with, and of those held out, both ascending.

    Raises:
        ValueError: If there are not as many labels as names, or scikit-learn refuses
            ``share``: a label must have at least two names, each side at least one
            name for each label.
    """
    try:  # here, since the import alone takes more than a second
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise ImportError(
            "scikit-learn is missing, and this split needs it; accepted: the library "
            "with pip install 'rnn-companion[chapters]'"
        ) from error

    if len(names) != len(labels):
        raise ValueError(
            f"{len(names)} names, {len(labels)} labels; accepted: as many of each"
        )
    frequency = Counter(labels)
    rows: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        rows.setdefault(fold(name), []).append(place)
    strata = [
        min((labels[place] for place in places), key=lambda k: (frequency[k], k))
        for places in rows.values()
    ]
    sides = train_test_split(
        list(rows.values()), test_size=share, stratify=strata, random_state=seed
    )
    train, held_out = (sorted(itertools.chain(*side)) for side in sides)
    return train, held_out
