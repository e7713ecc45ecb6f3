"""The site of docs: the Markdown files as GitHub shows them, and pages made of the program; `scripts/docs` builds it.

The sources' folder is the checkout itself, so that a link between two files is right on the site where it is right on
GitHub. What GitHub has no use for (the navigation, each command's `--help`, the library's docstrings, the notebook as a
page) is added while Sphinx reads (`building/`), and what came of it is looked through for broken links at the end.
"""

import os
import shutil
import sys
from pathlib import Path

from sphinx.util import logging

import nst_jax

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
os.environ |= {"COLUMNS": "96", "NO_COLOR": "1"}  # what argparse's help depends on

from building import commands, docstrings, links, navigation, notebook, reference  # noqa: E402

project = "nst_jax"
release = nst_jax.__version__
root_doc = "README"
include_patterns = [*navigation.SOURCES]
exclude_patterns = ["**/.*", ".*", "site", "build", "dist", "tests"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # the same as GitHub's
highlight_language = "text"  # of what does not say its language
pygments_style = "tango"

html_theme = "furo"
html_title = "nst_jax"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["building/static"]
html_css_files = ["site.css"]
html_theme_options = {f"{mode}_css_variables": {"code-font-size": "76%"} for mode in ("light", "dark")}

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_custom_sections = [("Attributes", "params_style")]  # beside those that have docstrings of their own
napoleon_use_rtype = False

MADE = {
    "README": navigation.toctrees,
    "docs/commands": commands.every_help,
    "docs/reference": reference.of_package,
    "docs/rooms": reference.of_rooms,
}
"""What is put at the end of a page."""


def add(app, name, source):
    """Makes a notebook a page, and adds to a page what is made of the program."""
    if app.env.doc2path(name).suffix == ".ipynb":
        source[0] = notebook.as_markdown(source[0])
    if name in MADE:
        source[0] += "\n" + MADE[name]()


def finish(app, error):
    """Makes the first page the one that a web server shows, and warns of each link that leads nowhere."""
    if error is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / "README.html", app.outdir / "index.html")
        for line in links.broken(Path(app.outdir)):
            logging.getLogger(__name__).warning(line)


def setup(app):
    """What Sphinx calls."""
    app.connect("source-read", add)
    app.connect("autodoc-process-docstring", docstrings.as_rest, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", docstrings.readable)
    app.connect("build-finished", finish)
