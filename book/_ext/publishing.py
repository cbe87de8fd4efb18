"""What the pages need to be run elsewhere: one address, a wheel, notebooks for Colab.

``book_repository`` in ``_config.yml``, or the environment variable ``BOOK_REPOSITORY``,
is the address of the public repository, ``https://github.com/OWNER/NAME``. The pages
are then taken to be published at ``https://OWNER.github.io/NAME/``, from the branch
``gh-pages``, and have links to Colab and Binder, to the source of a page, and a
canonical address. Where it is empty they have none of these, and nothing dangles.

Either way the wheel of the companion and the notebooks lie among the pages. The copies
of the notebooks differ from the book's in their first cell, which installs the wheel.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import NamedTuple

import nbformat
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
BRANCHES = {"source": "main", "pages": "gh-pages"}


class Address(NamedTuple):
    """Where the book is public."""

    owner: str
    name: str

    @property
    def repository(self) -> str:
        """The source."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def pages(self) -> str:
        """The built book."""
        own = f"{self.owner.lower()}.github.io"
        return f"https://{own}/" if self.name == own else f"https://{own}/{self.name}/"

    def colab(self, notebook: str) -> str:
        """A notebook among the pages, opened in Colab."""
        branch = f"{self.owner}/{self.name}/blob/{BRANCHES['pages']}"
        return f"https://colab.research.google.com/github/{branch}/{notebook}"

    def binder(self, notebook: str) -> str:
        """A notebook of the repository, opened in Binder."""
        branch = f"{self.owner}/{self.name}/{BRANCHES['source']}"
        return f"https://mybinder.org/v2/gh/{branch}?labpath=book%2F{notebook}"


def address(setting: str) -> Address | None:
    """Return the address that is set; None where it is empty.

    Raises:
        ConfigError: If it is not that of a repository.
    """
    setting = os.environ.get("BOOK_REPOSITORY") or setting
    if not setting:
        return None
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(\.git)?/?", setting)
    if not found:
        raise ConfigError(
            f"the book's repository is {setting!r}; accepted: nothing, or "
            "https://github.com/OWNER/NAME"
        )
    return Address(found[1], found[2])


def wheel_name() -> str:
    """Return the name of the companion's wheel."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    name, version = (
        re.search(rf'^{key} = "(.+)"', project, re.MULTILINE)[1]
        for key in ("name", "version")
    )
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def build_wheel(folder: Path) -> Path:
    """Build the companion's wheel, from a copy: nothing is left in the source."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "source")
        shutil.copytree(ROOT / "companion", copy / "companion")
        for name in ("pyproject.toml", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        command = "-m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir"
        subprocess.run([sys.executable, *command.split(), folder, copy], check=True)
    return folder / wheel_name()


def install_line(where: Address | None) -> str:
    """Return what a reader types to install the companion and what chapters need."""
    if where:
        return f'pip install "rnn-companion[chapters] @ {where.pages}{wheel_name()}"'
    return 'pip install ".[chapters]"'


def with_install(notebook: Path, where: Address | None) -> nbformat.NotebookNode:
    """Return a notebook with a first cell that installs the companion."""
    copy = nbformat.read(notebook, as_version=4)
    said = "# The library of the book, and what it needs"
    source = f"{said}.\n%{install_line(where)} --quiet"
    if not where:
        source = (
            f"{said}: the wheel is beside this notebook, or above.\n"
            f'from pathlib import Path\n\nwheel = "{wheel_name()}"\n'
            'folder = "." if Path(wheel).exists() else ".."\n'
            '%pip install "{folder}/{wheel}[chapters]" --quiet'
        )
    cell = nbformat.v4.new_code_cell(source)
    cell["id"] = "install-companion"
    copy.cells.insert(1, cell)
    return copy


class Install(Directive):
    """``{install}``: the line that installs the companion, as a block."""

    def run(self):
        """Return the block."""
        config = self.state.document.settings.env.config
        line = install_line(address(config.book_repository))
        return [nodes.literal_block(line, line, language="console")]


def configure(app, config):
    """Hand the address on to the theme."""
    where = address(config.book_repository)
    if where:
        config.html_baseurl = where.pages
        config.html_theme_options = config.html_theme_options | {
            "repository_url": where.repository,
            "repository_branch": BRANCHES["source"],
            "path_to_docs": "",
            "use_repository_button": True,
            "use_edit_page_button": True,
            "use_issues_button": True,
        }


def ways_to_run(app, pagename, templatename, context, doctree):
    """Tell, below the title of a notebook's page, how to run it."""
    source = Path(app.srcdir, f"{pagename}.ipynb")
    if not source.is_file():
        return
    where, up = (
        address(app.config.book_repository),
        "../" * pagename.count("/"),
    )
    wheel, notebook = wheel_name(), f"notebooks/{source.name}"
    links = [
        (f"{up}{notebook}", "Notebook"),
        (f"{up}{wheel}", "its library"),
    ]
    if where:
        colab, binder = where.colab(notebook), where.binder(source.name)
        links = [(colab, "Run in Colab"), (binder, "Binder"), *links]
    items = " · ".join(f'<a href="{escape(url)}">{text}</a>' for url, text in links)
    line = f'<p class="ways-to-run">{items}</p>'
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def put_among_pages(app, exception):
    """Add the wheel and the notebooks that install it."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    build_wheel(out)
    (out / "notebooks").mkdir(exist_ok=True)
    where = address(app.config.book_repository)
    pages = (Path(app.srcdir, f"{page}.ipynb") for page in app.env.found_docs)
    for notebook in sorted(filter(Path.is_file, pages)):
        copy = with_install(notebook, where)
        nbformat.write(copy, out / "notebooks" / notebook.name)
    (out / ".nojekyll").touch()  # GitHub would leave out the folders that begin with _


def setup(app):
    """Connect all of this to Sphinx."""
    app.add_config_value("book_repository", "", "env")
    app.add_directive("install", Install)
    app.connect("config-inited", configure)
    app.connect("html-page-context", ways_to_run)
    app.connect("build-finished", put_among_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
