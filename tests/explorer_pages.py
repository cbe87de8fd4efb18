"""What the tests of the explorers share: a page with one of them, and hands on it.

Pages are opened as files, where a script may fetch nothing; no other host is in reach.
Without a Chromium the tests are skipped; `CHROMIUM` names one off the path.
"""

import json
import re
from pathlib import Path

import browser as chromium  # pytest puts the folder of a test on the path
import pytest
import torch

from companion import datasets
from companion.experiments import explorers
from companion.text import Vocab, clean

ROOT = Path(__file__).parents[1]
F64 = torch.float64
PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>html {{ --pst-color-text-base: {ink}; --pst-color-background: {ground};
--pst-color-surface: {ground}; --pst-color-border: #888; --pst-color-text-muted: #777;
--pst-color-primary: #0a7d91; }} body {{ margin: 12px; font-size: 16px }}</style>
<script defer src="{folder}/loader.js"></script></head><body>
<div class="explorer" data-explorer="{name}"><p>What to try.</p></div></body></html>"""
OPEN = "document.querySelector('.explorer').dataset.state === 'open'"


@pytest.fixture(scope="module")
def browser():
    if not chromium.find():
        pytest.skip("no Chromium on the path, and CHROMIUM names none")
    with chromium.Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def show(browser, tmp_path_factory):
    """Open an explorer on a page of its own."""

    def opened(name, folder=explorers.FOLDER, ready=OPEN, **options):
        dark = options.get("dark", False)
        ink, ground = ("#eee", "#111") if dark else ("#111", "#fff")
        text = PAGE.format(
            name=name,
            theme="dark" if dark else "light",
            ink=ink,
            ground=ground,
            folder=folder.as_uri(),
        )
        file = tmp_path_factory.mktemp(name) / "page.html"
        file.write_text(text, encoding="utf-8")
        page = browser.open(file.as_uri(), **options)
        if ready:
            page.wait(ready)
        return page

    return opened


@pytest.fixture
def once(show):
    """Open an explorer as `show` does, and close its page after the test."""
    pages = []

    def opened(*which, **options):
        pages.append(show(*which, **options))
        return pages[-1]

    yield opened
    for page in pages:
        page.tab.context.close()


@pytest.fixture(scope="module")
def book():
    """The real corpus, without which a comparison with the page means nothing."""
    if datasets.origin()[0] != "real":
        pytest.skip("needs the real data")
    text = clean(datasets.time_machine())
    vocab = Vocab(text)
    return vocab.encode(text), vocab


def call(page, function, *arguments):
    """Call one of Explorers' functions; typed arrays come back as lists."""
    given = ", ".join(json.dumps(argument) for argument in arguments)
    plain = "(k, v) => ArrayBuffer.isView(v) ? Array.from(v) : v"
    script = f"JSON.stringify(({function})({given}), {plain})"
    return json.loads(page.evaluate(script))


def close(ours, theirs, atol=1e-9):
    theirs = torch.as_tensor(theirs, dtype=F64)
    torch.testing.assert_close(
        torch.as_tensor(ours, dtype=F64), theirs, rtol=0, atol=atol
    )


def reading(page, place=0):
    script = f"document.querySelectorAll('[role=status]')[{place}].textContent"
    return page.evaluate(script)


def focus(page, name):
    """Go to a control with the Tab key, as somebody without a mouse does."""
    page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        page.press("Tab")
        if page.evaluate("document.activeElement.dataset.name || ''") == name:
            return
    raise AssertionError(f"Tab does not lead to {name}")


def shown(page, name):
    """Return the value that is written beside a slider."""
    slider = f"[data-name={name}]"
    return page.evaluate(
        f"document.querySelector('{slider}').parentNode.querySelector('output')"
        ".textContent"
    )


def move(page, name, value):
    """Move a slider by the arrow keys until the value beside it is the wanted one."""
    focus(page, name)
    page.press("Home")
    for _ in range(200):
        if shown(page, name) == str(value):
            return
        page.press("ArrowRight")
    raise AssertionError(f"{name} never becomes {value}")


def placed():
    """Return the cells with an explorer: its name, the notebook and the text."""
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            text = "".join(cell["source"])
            for name in re.findall(
                r'<div class="explorer" data-explorer="(\w+)">', text
            ):
                yield name, path.stem, text


@pytest.fixture(scope="module")
def said():
    """What the pages say of each explorer."""
    return {name: " ".join(text.split()) for name, _, text in placed()}


def printed(stem):
    """Return what the cells of a notebook print."""
    page = json.loads((ROOT / f"book/{stem}.ipynb").read_text("utf-8"))
    outputs = [o for cell in page["cells"] for o in cell.get("outputs", [])]
    return "\n".join("".join(output.get("text", "")) for output in outputs)


def two(x):
    """Write a number with two digits, as the explorers do."""
    return f"{0 if abs(x) < 0.005 else x:.2f}".replace("-", "−")


def write(page, name, text):
    """Type into a line, instead of what stands there."""
    focus(page, name)
    page.evaluate("document.activeElement.select()")
    page.press(*text)


def tap(page, selector, x, y):
    """Touch an element at a place, given in its pixels."""
    left, top = page.evaluate(
        f"(() => {{ const node = document.querySelector('{selector}');"
        " node.scrollIntoView({block: 'center'});"
        " const box = node.getBoundingClientRect(); return [box.x, box.y] })()"
    )
    page.tap(left + x, top + y)


def same_weights(ours, theirs):
    """Compare packed weights: of one training, but for the processor's rounding."""
    assert ours.keys() == theirs.keys()
    for name, packed in ours.items():
        both = explorers.unpack(packed), explorers.unpack(theirs[name])
        torch.testing.assert_close(*both, rtol=2e-3, atol=1e-5, msg=name)
