"""Look at the built pages on every screen: `python -m tests.screens _build/html`.

Chromium opens each page at the widths of a phone, a tablet and a desk, in the light and
in the dark theme. No page may scroll sideways, and axe-core, whose rules are those of
the Web Content Accessibility Guidelines, may find nothing serious or critical. With
`--shots FOLDER` the top of each page is saved as a picture, to be looked at. Nor may a
page weigh more than 1.5 MB: all files that it loads, but those of MathJax.
"""

import argparse
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from tests.figures import PHONE

WIDTHS = (360, 768, 1440)  # pixels
THEMES = ("light", "dark")
LEADS_ON = re.compile('http-equiv="?refresh', re.IGNORECASE)  # a page with no content
SERIOUS = {"serious", "critical"}
HEAVIEST = 1_500_000  # bytes

# What reaches beyond the window and is not inside something that scrolls by itself.
BEYOND = """() => {
  const width = document.documentElement.clientWidth;
  const hidden = (e) => {
    for (; e && e !== document.body; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.overflowX !== "visible" || style.position === "fixed") return true;
    }
    return false;
  };
  const parts = [...document.querySelectorAll("body *")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.right > width + 1 && !hidden(e.parentElement);
  });
  const by = document.documentElement.scrollWidth - width;
  return [by, parts.slice(0, 3).map((e) => e.outerHTML.slice(0, 100))];
}"""


# The figures that are narrower than they could be: their type is too small then.
NARROW = """(least) =>
  [...document.querySelectorAll(".cell_output img, .plot-directive")]
  .map((e) => [e.clientWidth - 2 * parseFloat(getComputedStyle(e).paddingLeft), e])
  .filter(([width]) => width < least)
  .map(([width, e]) => `${width} pixels: ${e.alt.slice(0, 60)}`)"""

# The live parts open when the reader comes near; here all of them do.
EXPLORE = """() => window.Explorers &&
  Promise.all([...document.querySelectorAll(".explorer")].map(Explorers.open))"""


def scrolls_sideways(page: Page) -> list[str]:
    """Say by how many pixels a page is wider than its window, and what widens it."""
    by, parts = page.evaluate(BEYOND)
    return [f"by {by} pixels, for {part}" for part in parts or ["?"]] if by > 0 else []


def violations(page: Page) -> list[str]:
    """List what axe-core finds serious or critical: rule, elements, an example."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{v['id']}, {len(v['nodes'])} elements, such as {v['nodes'][0]['html'][:150]}"
        f" ({v['nodes'][0].get('failureSummary', '')[:200]})"
        for v in found["violations"]
        if v["impact"] in SERIOUS
    ]


def weight(loaded: set[str]) -> list[str]:
    """Say what a page weighs that is too heavy, and its heaviest files."""
    files = {Path(unquote(urlsplit(url).path)) for url in loaded}
    sizes = {
        file: file.stat().st_size
        for file in files
        if file.is_file() and "mathjax" not in file.parts
    }
    if (whole := sum(sizes.values())) <= HEAVIEST:
        return []
    heavy = sorted(sizes, key=sizes.get)[:-6:-1]
    some = ", ".join(f"{file.name} {sizes[file]:,}" for file in heavy)
    return [f"{whole:,} bytes, such as {some}"]


def look(page: Page, url: str, shots: Path | None) -> dict[str, list[str]]:
    """Open one page on every screen: the name of each check, and what it found."""
    found, loaded = {}, set()
    page.on("request", lambda request: loaded.add(request.url))
    page.goto(url)
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.evaluate(EXPLORE)
    found[f"weighs at most {HEAVIEST:,} bytes"] = weight(loaded)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(600)  # the theme's scripts answer a resizing late
            screen = f"{width} pixels, {theme}"
            found[f"{screen}: does not scroll sideways"] = scrolls_sideways(page)
            if width == WIDTHS[0]:
                narrow = page.evaluate(NARROW, PHONE)
                found[f"{screen}: figures are {PHONE} pixels wide"] = narrow
            if width != 768:  # the tablet has the desk's layout
                found[f"{screen}: axe-core finds nothing"] = violations(page)
            if shots:
                name = url.rpartition("/")[2].removesuffix(".html")
                page.screenshot(path=shots / f"{name}-{width}-{theme}.png")
    return found


def open_and_look(
    chromium: str, shots: Path | None, url: str
) -> tuple[dict[str, list[str]], float]:
    """Look at one page with a browser of its own, and say how long it took."""
    start = time.monotonic()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        found = look(browser.new_page(), url, shots)
        browser.close()
    return found, time.monotonic() - start


def main() -> int:
    """Look at all pages, or at those named; print what is found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("html", type=Path, help="the folder with the pages")
    parser.add_argument("pages", nargs="*", help="such as book/shapes.html; else all")
    parser.add_argument("--shots", type=Path, help="a folder for pictures")
    args = parser.parse_args()
    root = args.html.resolve()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        print("There is no chromium here; on Debian: apt-get install chromium")
        return 1
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    names = args.pages or sorted(
        file.relative_to(root).as_posix()
        for file in root.rglob("*.html")
        if file.relative_to(root).parts[0] not in {"_static", "_modules"}
        and not LEADS_ON.search(file.read_text(encoding="utf-8"))
    )
    passed = failed = 0
    with ThreadPoolExecutor(2) as pool:
        urls = [(root / name).as_uri() for name in names]
        looked = pool.map(partial(open_and_look, chromium, args.shots), urls)
        for name, (found, seconds) in zip(names, looked, strict=True):
            faults = {check: bad for check, bad in found.items() if bad}
            passed, failed = passed + len(found) - len(faults), failed + len(faults)
            print(f"{seconds:5.1f} s  {name}", flush=True)
            for check, bad in faults.items():
                print(f"FAILED {name}, {check}, but: {'; '.join(bad)}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return bool(failed or not passed)


if __name__ == "__main__":
    sys.exit(main())
