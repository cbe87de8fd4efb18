"""Name the languages of surnames from a terminal.

    python -m companion.classify Nguyen "O'Brien"

prints the three most probable languages of each, by the classifier that ships with the
package. A name that cannot be read is an error of one line, with exit status 2.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from companion.classify import classify
from companion.support import checks


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of names, languages and probabilities.

    Args:
        arguments: Those of the command line; None: of this process.

    Returns:
        0; 1 where nobody reads what is printed (``| head -1``); or 2 where a name
        cannot be read: then nothing is printed but one line on stderr. (A wrong option
        ends the process with 2.)

    Raises:
        ValueError: If ``arguments`` are not several strings.

    Example:
        >>> main(["Papadopoulos", "-k", "0"])
        2
    """
    parser = _Parser(
        prog="python -m companion.classify",
        description="Name the most probable languages of surnames.",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="a surname")
    parser.add_argument("-k", type=int, default=3, help="languages to name (3)")
    if arguments is not None:
        arguments = checks.as_strings("arguments", arguments)
    given = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not every terminal shows ś
            stream.reconfigure(errors="backslashreplace")
    try:
        found = classify(given.names, k=given.k)
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    width = max(map(len, given.names))
    lines = [
        f"{'' if place else name:{width}s}  {language:10s}  {p:.2f}"
        for name, best in zip(given.names, found, strict=True)
        for place, (language, p) in enumerate(best)
    ]
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        # What is left in the buffer would be written, in vain, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
