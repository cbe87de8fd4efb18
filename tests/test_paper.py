"""What the check of the PDF finds; the PDF itself is made by README's command."""

import nbformat
import pytest

from tests import paper


@pytest.mark.parametrize(
    ("check", "line"),
    [
        ("no error", "! Undefined control sequence."),
        ("no missing character", "Missing character: There is no 门 (U+95E8) in font"),
        (
            "references lead somewhere",
            "LaTeX Warning: Hyper reference `a' on page 1 undefined on input line 2.",
        ),
        (
            "references lead somewhere",
            "pdfTeX warning (dest): name{a} has been referenced but does not exist",
        ),
        ("no label twice", "LaTeX Warning: Label `a' multiply defined."),
        ("nothing sticks out", r"Overfull \hbox (574.4pt too wide) in alignment at"),
        ("nothing sticks out", r"Overfull \vbox (49.7pt too high) detected at line 2"),
    ],
)
def test_a_fault_in_the_log_is_found(check, line):
    found = paper.log_faults(f"This is LuaHBTeX\n{line}\nOutput written\n")
    assert {name for name, faults in found.items() if faults} == {check}


def test_a_log_without_a_fault_passes():
    log = "Overfull \\vbox (2.0pt too high) detected at line 2\nLaTeX Font Info: none\n"
    assert not any(paper.log_faults(log).values())


def test_a_line_is_found_however_it_is_wrapped():
    text = paper.squeezed("for name in names:\n    print(a_long_name,\n↪ another)")
    lines = ["for name in names:", "    print(a_long_name, another)"]
    assert paper.absent(lines, text) == []
    assert paper.absent([*lines, "print(none)"], text) == ["print(none)"]


def test_lines_of_code_and_output_are_those_that_a_page_shows():
    new = nbformat.v4
    told = new.new_output("stream", text="1\n2\n")
    hidden = new.new_code_cell("secret()", metadata={"tags": ["hide-input"]})
    cells = [new.new_markdown_cell("text"), new.new_code_cell("f()", outputs=[told])]
    notebook = new.new_notebook(cells=[*cells, hidden])
    assert paper.notebook_lines(notebook) == ["f()", "1", "2"]


@pytest.mark.parametrize(
    "left",
    [
        r"the norm \lVert g",
        "{eq}`recurrence`",
        "in $N$ rows",
        "<div>",
        "Fig. ??",
        "**a**",
    ],
)
def test_markup_is_found_in_prose_alone(left):
    fonts = (
        '<fontspec id="0" size="10" family="AAAAAA+TeXGyrePagella-Regular" color="#0"/>'
        '<fontspec id="1" size="9" family="BBBBBB+DejaVuSansMono" color="#0"/>'
    )
    sound = '<text top="1" font="0">as <b>before</b> &amp; after</text>'
    line = left.replace("<", "&lt;").replace(">", "&gt;")
    code = fonts + sound + f'<text top="2" font="1">{line}</text>'
    assert not any(map(paper.MARKUP.search, paper.prose(code)))
    prose = code + f'<text top="3" font="0">{line}</text>'
    assert [t for t in paper.prose(prose) if paper.MARKUP.search(t)] == [left]


def test_the_pages_and_their_images_are_those_of_the_table_of_contents():
    files = paper.pages((paper.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert [file.stem for file in files][:2] == ["01_one_hot", "02_rnn_from_scratch"]
    assert files[-1].stem == "changes"
    assert paper.title(files[0]) == "One-hot encoding: from text to tensors"
    assert paper.images(paper.BOOK / "index.md") == 1
    assert paper.images(paper.BOOK / "shapes.md") == 1
    assert paper.images(files[0]) > 3
