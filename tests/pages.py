"""Check the pages that a build has made: `python -m tests.pages _build/html`.

Every page must be whole and read offline: what it loads and links to is there, nothing
comes from another host, each image has a description, and formulas are typeset by the
MathJax beside the page. With `--browser` Chromium opens each page as well, and its log
of the network shows whether the scripts of a page ask another host for anything.
"""

import argparse
import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

# Links of a head that a browser follows on demand only; it fetches all other kinds.
NAVIGATION = {"index", "search", "next", "prev", "canonical", "author", "copyright"}
CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""")
ADDRESS = re.compile(r"""["'`]((?:https?:)?//[^"'`]+)""")
# Every page says, and twice, where a button of the theme would load Thebe from. None is
# loaded without that button, which calls initThebe; the second time is an error.
THEBE = re.compile(r'const THEBE_JS_URL = "[^"]*"')
CHATTER = (r"\[PST\]", r"\[togglebutton\]", "Uncaught SyntaxError: .*THEBE_JS_URL")
CONSOLE = re.compile(rf"""CONSOLE[^\]]*\] "(?!{"|".join(CHATTER)})(.*)""")
# The types of script that a browser runs; others hold data.
SCRIPTS = {"module", "text/javascript", "application/javascript"}
CHROMIUM = """
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --enable-logging=stderr --virtual-time-budget=20000 --dump-dom
"""


class Page(HTMLParser):
    """What a page loads (of itself) and links to (for the reader to follow)."""

    def __init__(self, file: Path):
        super().__init__()
        self.loads: set[str] = set()
        self.links: set[str] = set()
        self.bare_images: list[str] = []
        self.formulas = 0
        self._raw = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Sort the references of one element."""
        found = {name: value or "" for name, value in attrs}
        for name in {"src", "poster", "data"} & found.keys():
            self.loads.add(found[name])
        for candidate in found.get("srcset", "").split(","):
            self.loads.update(candidate.split()[:1])
        self.loads.update(CSS_URL.findall(found.get("style", "")))
        fetched = tag == "link" and not NAVIGATION & set(found.get("rel", "").split())
        for name in {"href", "action"} & found.keys():
            (self.loads if fetched else self.links).add(found[name])
        if found.get("http-equiv", "").lower() == "refresh":
            self.links.add(found["content"].partition("url=")[2])
        if "initThebe" in found.get("onclick", ""):
            self.loads.add("//initThebe")
        if tag == "img" and not found.get("alt", "").strip():
            self.bare_images.append(found.get("src", ""))
        self.formulas += "math" in found.get("class", "").split()
        runs = tag == "style" or found.get("type", "module") in SCRIPTS
        self._raw = tag if runs else ""

    def handle_endtag(self, tag):
        """Leave a script or a style sheet."""
        self._raw = ""

    def handle_data(self, data):
        """Look for addresses in inline scripts and style sheets."""
        if self._raw == "script":
            self.loads.update(ADDRESS.findall(THEBE.sub("", data)))
        elif self._raw == "style":
            self.loads.update(CSS_URL.findall(data))


def foreign(url: str) -> bool:
    """Tell whether a reference leaves the book."""
    parts = urlsplit(url)
    return bool(parts.netloc or (parts.scheme and parts.scheme != "data"))


def target(file: Path, url: str) -> Path:
    """Return the file that a local reference in `file` leads to."""
    path = unquote(urlsplit(url).path)
    there = file.parent / path if path else file
    return there / "index.html" if there.is_dir() else there


def broken(file: Path, urls: set[str]) -> list[str]:
    """List the local references that lead nowhere."""
    local = [u for u in urls if not foreign(u) and not u.startswith("data:")]
    return sorted(url for url in local if not target(file, url).is_file())


def inspect(file: Path, page: Page) -> dict[str, list[str]]:
    """Check one page as it lies there: the name of each check, and what it found."""
    mathjax = [url for url in page.loads if "mathjax" in url and not foreign(url)]
    return {
        "loads nothing from elsewhere": sorted(filter(foreign, page.loads)),
        "all it loads is there": broken(file, page.loads),
        "all it links to is there": broken(file, page.links),
        "images have a description": page.bare_images,
        "MathJax is local": ["no script"] if page.formulas and not mathjax else [],
    }


def weigh(file: Path, page: Page) -> int:
    """Return the bytes of a page with what it names: no fonts, nothing scripts load."""
    files = {target(file, url).resolve() for url in page.loads if not foreign(url)}
    return sum(f.stat().st_size for f in files | {file.resolve()} if f.is_file())


class Handler(SimpleHTTPRequestHandler):
    """Serve the book, and keep a record of it in place of a log."""

    record: ClassVar[list[tuple[str, int, Path]]] = []

    def log_request(self, code="-", size="-"):
        """Record the address, the status and the file of a request."""
        self.record.append((self.path, int(code), Path(self.translate_path(self.path))))

    def log_message(self, *args):
        """Stay silent."""


def browse(url: str, page: Page) -> tuple[dict[str, list[str]], int]:
    """Open a page in Chromium: the name of each check, what it found; bytes served."""
    Handler.record.clear()
    origin = url[: url.index("/", len("http://"))]
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "network.json")
        options = [
            f"--user-data-dir={scratch}/profile",
            f"--log-net-log={log}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]
        command = [*CHROMIUM.split(), *options, url]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120)
        network = json.loads(log.read_text(encoding="utf-8"))
    start = network["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    events = [e.get("params", {}) for e in network["events"] if e["type"] == start]
    # What the browser asks for itself (an update of it, say) has no page as initiator.
    by_page = [e for e in events if e.get("initiator", "not an origin")[:3] != "not"]
    asked = [e["url"] for e in by_page if not e["url"].startswith((origin, "data:"))]
    served = {path: (status, file) for path, status, file in Handler.record}
    served.pop("/favicon.ico", None)  # the browser's own idea
    typeset = run.stdout.count("<mjx-container")
    # An unknown macro is set in red, under its own name.
    errors = re.findall(r'data-mjx-error="[^"]*"|"red">\\[^<]*', run.stdout)
    if typeset < page.formulas:
        errors.append(f"{typeset} of {page.formulas}")
    return {
        "asks no other host": asked,
        "is served whole": [f"{s}: {u}" for u, (s, _) in served.items() if s >= 400],
        "console is silent": CONSOLE.findall(run.stderr),
        "formulas are typeset": errors,
    }, sum(file.stat().st_size for status, file in served.values() if status == 200)


def main() -> int:
    """Check all pages, print their weights and the result."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("html", type=Path, help="the folder with the pages")
    parser.add_argument("--browser", action="store_true", help="open them in Chromium")
    args = parser.parse_args()
    root, browser = args.html, args.browser and shutil.which("chromium")
    if args.browser and not browser:
        print("There is no chromium here: pages are not opened in a browser.")

    toc = Path("_toc.yml").read_text(encoding="utf-8")
    chapters = re.findall(r"^[\s-]*(?:root|file): *([^\s.]+)", toc, re.M)
    found = {}
    for name in [f"{chapter}.html" for chapter in ("index", *chapters)]:
        found[name] = {"is there": [] if (root / name).is_file() else ["missing"]}
    for file in sorted(root.rglob("*.css")):
        urls = set(CSS_URL.findall(file.read_text(encoding="utf-8")))
        found[file.relative_to(root).as_posix()] = {
            "loads nothing from elsewhere": sorted(filter(foreign, urls)),
            "all it loads is there": broken(file, urls),
        }

    handler = functools.partial(Handler, directory=root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{'kB':>6}  page, with what it {'loads' if browser else 'names'}")
    for file in sorted(root.rglob("*.html")):
        name = file.relative_to(root).as_posix()
        if name.startswith("_static/"):
            continue  # templates of the theme, not pages
        page = Page(file)
        weight, checks = weigh(file, page), found.setdefault(name, {})
        checks.update(inspect(file, page))
        if browser:
            url = f"http://127.0.0.1:{server.server_port}/{name}"
            opened, weight = browse(url, page)
            checks.update(opened)
        print(f"{weight / 1000:6.0f}  {name}")

    results = [(n, c, bad) for n, checks in found.items() for c, bad in checks.items()]
    failed = [(n, c, bad) for n, c, bad in results if bad]
    for name, check, faults in failed:
        print(f"FAILED {name}: {check}, but: {'; '.join(faults[:5])}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
