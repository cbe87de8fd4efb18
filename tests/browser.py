"""Chromium for the tests: pages, keys, fingers and pictures, by way of Playwright."""

import os
import shutil
from pathlib import Path

from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

NAMES = "chromium", "chromium-browser", "google-chrome", "chrome"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host
]


def find() -> str | None:
    """Return the browser's command: that of ``CHROMIUM``, or the first on the path."""
    wanted = os.environ.get("CHROMIUM")
    found = (shutil.which(name) for name in ([wanted] if wanted else NAMES))
    return next(filter(None, found), None)


class Page:
    """One page in the browser. Messages of its console are kept in ``console``."""

    def __init__(self, tab: Tab):
        self.tab, self.console = tab, []
        tab.on("console", lambda message: self.console.append(message.text))
        tab.on("pageerror", lambda error: self.console.append(str(error)))

    def evaluate(self, script: str):
        """Run an expression, wait for a promise, return what JSON can hold of it."""
        return self.tab.evaluate(script)

    def wait(self, script: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        self.tab.wait_for_function(script, timeout=1000 * seconds)

    def press(self, *keys: str) -> None:
        """Press keys, one after another: a name such as ArrowRight, or a character."""
        for key in keys:
            self.tab.keyboard.press("Space" if key == " " else key)

    def tap(self, x: float, y: float) -> None:
        """Touch the window at a place, given in its pixels, and let go."""
        self.tab.touchscreen.tap(x, y)

    def picture(self, file: Path, selector: str = "body") -> None:
        """Save what an element looks like."""
        self.tab.locator(selector).first.screenshot(path=file)

    def nodes(self) -> list[dict]:
        """Return what a screen reader is told: the nodes with their roles and names."""
        protocol = self.tab.context.new_cdp_session(self.tab)
        protocol.send("Accessibility.enable")
        return protocol.send("Accessibility.getFullAXTree")["nodes"]


class Browser:
    """A Chromium without a window, which ends with the ``with`` block."""

    def __enter__(self) -> "Browser":
        """Start it."""
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=find(), args=OPTIONS
        )
        return self

    def __exit__(self, *exception) -> None:
        """End it."""
        self._browser.close()
        self._playwright.stop()

    def open(
        self,
        url: str,
        *,
        width: int = 1000,
        height: int = 900,
        dark: bool = False,
        calm: bool = False,
        scripts: bool = True,
    ) -> Page:
        """Open a page in a window of its own and wait until it has loaded.

        Args:
            url: Its address.
            width: Of the window, in the page's pixels.
            height: Of the window.
            dark: Whether the reader prefers a dark theme.
            calm: Whether the reader prefers no motion.
            scripts: Whether the page may run scripts.
        """
        window = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if calm else "no-preference",
            java_script_enabled=scripts,
            has_touch=True,
            is_mobile=width < 500,
        )
        page = Page(window.new_page())
        page.tab.goto(url)
        return page
