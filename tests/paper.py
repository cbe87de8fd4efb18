"""Check the book as a PDF: `python -m tests.paper _build/latex/book.pdf`.

The PDF must be whole: every page of ``_toc.yml`` is among its bookmarks, every line of
code and of printed output of the notebooks in its text, every image on a page. LaTeX's
log, which lies beside it, must tell of no missing character, no reference that leads
nowhere and nothing that sticks out of a page, and the prose must hold no markup. Needs
poppler's commands.
"""

import argparse
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
WIDEST = 12.0  # points beyond the margin that nobody sees
FAULTS = {
    "no error": re.compile(r"^! .*", re.M),
    "no missing character": re.compile(r"^Missing character: .*", re.M),
    "references lead somewhere": re.compile(
        r".*(?:undefined on input line|does not exist|There were undefined).*"
    ),
    "no label twice": re.compile(r".*multiply.defined.*|.*duplicate ignored.*"),
}
OVERFULL = re.compile(r"^Overfull \\[hv]box \(([\d.]+)pt too (?:wide|high).*", re.M)
# What is left of markup when it is not understood, and LaTeX's unresolved references.
MARKUP = re.compile(
    r"\\[a-zA-Z]+|\{[a-z:-]+\}`|\$|</?[a-z]+[ >]|`|\?\?|\[\?\]|\*\*.+\*\*"
)


def pages(toc: str) -> list[Path]:
    """Return the files of the pages, in order, but for the cover."""
    stems = re.findall(r"^[\s-]*file: *([^\s.]+)", toc, re.M)
    found = [ROOT / f"{s}{end}" for s in stems for end in (".md", ".ipynb")]
    return [file for file in found if file.is_file()]


def title(file: Path) -> str:
    """Return the heading of a page."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        text = nbformat.reads(text, as_version=4).cells[0].source
    return re.search(r"^# (.+)", text, re.M)[1]


def notebook_lines(notebook) -> list[str]:
    """Return the lines of code and of output that a reader of the page sees."""
    lines = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if "hide-input" not in cell.metadata.get("tags", []):
            lines += cell.source.splitlines()
        for output in cell.outputs:
            if output.output_type == "stream":
                lines += output.text.splitlines()
    return lines


def images(file: Path) -> int:
    """Return how many images a page has."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".ipynb":
        return len(re.findall(r"^```\{image\}|^\.\. plot::|^```\{plot\}", text, re.M))
    cells = nbformat.reads(text, as_version=4).cells
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    return sum("image/png" in output.get("data", {}) for output in outputs)


def squeezed(text: str) -> str:
    """Leave out all space, and the signs where a line was wrapped."""
    return re.sub(r"␣\s*↪|[\s↪\xad]", "", text)


def absent(lines: list[str], text: str) -> list[str]:
    """List the lines that a text lacks, however it is wrapped."""
    return [line for line in lines if squeezed(line) not in text]


def log_faults(log: str) -> dict[str, list[str]]:
    """Check LaTeX's log: the name of each check, and the lines that it found."""
    found = {name: pattern.findall(log) for name, pattern in FAULTS.items()}
    over = [m[0] for m in OVERFULL.finditer(log) if float(m[1]) > WIDEST]
    return found | {"nothing sticks out": over}


def prose(xml: str) -> list[str]:
    """Return the pieces of text that are not set as code or as a formula."""
    fonts = dict(re.findall(r'<fontspec id="(\d+)"[^>]* family="([^"]*)"', xml))
    pieces = re.findall(r'<text[^>]* font="(\d+)">(.*?)</text>', xml)
    return [
        unescape(re.sub(r"</?(?:a|b|i)\b[^>]*>", "", piece))
        for font, piece in pieces
        if not re.search("Mono|Math", fonts[font])
    ]


def bookmarks(xml: str) -> list[str]:
    """Return the entries of the outline."""
    return [unescape(name) for name in re.findall(r"<item[^>]*>(.*?)</item>", xml)]


def poppler(*command: str | Path) -> str:
    """Return what one of poppler's commands prints."""
    run = subprocess.run(command, capture_output=True, check=True)
    return run.stdout.decode("utf-8", errors="replace")


def check(pdf: Path) -> dict[str, list[str]]:
    """Check a PDF and its log: the name of each check, and what it found."""
    files = pages((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    xml = poppler("pdftohtml", "-xml", "-i", "-fontfullname", "-stdout", pdf)
    text = squeezed(poppler("pdftotext", "-raw", pdf, "-"))
    marks = bookmarks(xml)
    found = {
        "has every page": [t for t in map(title, files) if t not in marks],
        "no markup in the prose": [t for t in prose(xml) if MARKUP.search(t)],
    }
    for file in files:
        if file.suffix == ".ipynb":
            lines = notebook_lines(nbformat.read(file, as_version=4))
            found[f"all lines of {file.stem}"] = absent(lines, text)
    table = poppler("pdfimages", "-list", pdf).splitlines()[2:]
    expected = sum(map(images, [BOOK / "index.md", *files]))
    count = sum(row.split()[2] == "image" for row in table)
    found["every image"] = [] if count == expected else [f"{count} of {expected}"]
    log = pdf.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
    return found | log_faults(log)


def main() -> int:
    """Check one PDF, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pdf", type=Path, help="the PDF, with LaTeX's log beside it")
    found = check(parser.parse_args().pdf)
    failed = {name: faults for name, faults in found.items() if faults}
    for name, faults in failed.items():
        print(f"FAILED {name}, but {len(faults)}: {'; '.join(faults[:5])}")
    print(f"{len(found) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
