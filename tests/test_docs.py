"""The docs: links between their files, what the site adds to them, and what looks for broken links in it."""

import json
import re
from pathlib import Path

import pytest
from building import commands, docstrings, links, navigation, notebook

ROOT = Path(__file__).resolve().parents[1]

PAGES = sorted(path for pattern in navigation.SOURCES for path in ROOT.glob(pattern.replace("**", "**/*")))


def without_code(text: str) -> str:
    """Markdown without what is code in it."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))


def headings(text: str) -> set[str]:
    """The names that GitHub gives to headings."""
    found = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


def markdown(path: Path) -> str:
    text = path.read_text("utf-8")
    return notebook.as_markdown(text) if path.suffix == ".ipynb" else text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings_on_github(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(markdown(path))):
        if target.startswith(("https://", "data:")):
            continue
        name, _, heading = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.is_file(), f"{target} is not there"
        assert not heading or heading in headings(markdown(file)), f"{target} has no such heading"


def test_every_page_is_in_the_navigation_once():
    listed = [page for pages in navigation.PARTS.values() for page in pages]
    there = {path.relative_to(ROOT).with_suffix("").as_posix() for path in PAGES} - {"README"}
    assert len(listed) == len(set(listed))
    assert there == {page for page in listed if navigation.is_there(page)}
    trees = navigation.toctrees()
    assert trees.count("/docs/control\n") == 1
    assert trees.count("```{toctree}") == trees.count("```\n")


def test_every_command_s_help_is_on_its_page():
    text = commands.every_help()
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[:2] == ["nst-jax", "nst-jax stylize"]
    assert "nst-jax weights verify" in sections
    assert len(sections) == len(set(sections)) == text.count("```text\nusage: nst-jax")
    assert "--style-layers" in text


def test_a_notebook_is_a_page_of_text_code_and_outputs(tmp_path):
    outputs = [
        {"output_type": "stream", "text": ["one\n", "two\n"]},
        {"output_type": "execute_result", "data": {"text/plain": ["<Figure>"], "image/png": ["QUJD\n", "REVG\n"]}},
        {"output_type": "execute_result", "data": {"text/plain": "3"}},
        {"output_type": "display_data", "data": {"text/html": "<b>3</b>"}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Tour\n", "Some `words`."]},
        {"cell_type": "code", "source": "1 + 2", "outputs": outputs},
    ]
    assert notebook.as_markdown(json.dumps({"nbformat": 4, "cells": cells})) == (
        "# Tour\nSome `words`.\n\n````python\n1 + 2\n````\n\n````text\none\ntwo\n````\n\n"
        "![](data:image/png;base64,QUJDREVG)\n\n````text\n3\n````\n"
    )


def test_docstrings_become_restructured_text():
    lines = ["Of `x_y` and |a|, *w, w_ and c_i:", "", "  >>> a_ | `b`", "  'a_ | b'", "", "see `f` (docs/x.md)."]
    docstrings.as_rest(None, "function", "f", None, None, lines)
    assert lines == [
        r"Of ``x_y`` and \|a\|, \*w, w\_ and c_i:",
        "",
        "  >>> a_ | `b`",
        "  'a_ | b'",
        "",
        "see ``f`` (:doc:`/docs/x`).",
    ]


def test_what_is_wrong_with_links_is_told(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.html").write_text('<h1 id="there">x</h1><img src="../picture.jpg">')
    (tmp_path / "picture.jpg").touch()
    good = '<a href="folder/other.html#there"><a href="https://arxiv.org"><a href="#me" id="me">'
    good += '<img src="data:image/png;base64,AA==">'
    (tmp_path / "index.html").write_text(good)
    assert links.broken(tmp_path) == []
    bad = '<a href="nothing.html"><a href="folder/other.html#here"><a href="/picture.jpg">'
    bad += '<script src="https://x.org/x.js"></script>'
    (tmp_path / "index.html").write_text(good + bad)
    assert links.broken(tmp_path) == [
        "index.html: /picture.jpg is not there",
        "index.html: folder/other.html#here has no such heading",
        "index.html: https://x.org/x.js is loaded from elsewhere",
        "index.html: nothing.html is not there",
    ]


def test_every_public_name_is_in_the_reference_once():
    pytest.importorskip("sphinx")
    from building import reference  # noqa: PLC0415 (needs Sphinx)

    text = reference.of_package() + reference.of_rooms()
    for name in ("nst_jax.stylize", "nst_jax.loss.gram_matrix", "nst_jax.weights.save_weights", "nst_jax.network.ROWS"):
        assert len(re.findall(rf"^\.\. [\w:]+ {re.escape(name)}$", text, re.MULTILINE)) == 1
    assert "nst_jax.transfer.stylize\n" not in text
    assert "The paper's" in text[text.index("nst_jax.network.ROWS") :][:300]
    assert reference.origin(reference.nst_jax, "stylize") == ("nst_jax.transfer", "stylize")


def test_signatures_have_names_for_what_has_no_other_form():
    written = "(a=<function f>, b=<function f.g at 0x7f>, c: 'int' = <class 'jax.numpy.int32'>, d=<a.B object at 0x2>)"
    assert docstrings.readable(None, "function", "f", None, None, written, "int") == (
        "(a=f, b=g, c: 'int' = int32, d=B)",
        "int",
    )
    assert docstrings.readable(None, "class", "C", None, None, None, None) == (None, None)
