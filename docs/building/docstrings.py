"""The package's docstrings, which have Markdown's `code`, for Sphinx, which reads reStructuredText."""

import re


def as_rest(app, what, name, object, options, lines: list[str]) -> None:
    """Turns `code` into ``code`` and docs/x.md into links, and keeps |x|, x* and x_ from meaning something, in place.

    Examples stay as they are.
    """
    example = False
    for number, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            parts = re.split(r"(`[^`]+`)", line)
            lines[number] = "".join(f"`{part}`" if part.startswith("`") else _escaped(part) for part in parts)


def readable(app, what, name, object, options, signature: str | None, result: str | None):
    """A signature with names for functions, classes and objects among its defaults, so that Sphinx can read it."""
    named = r"<(?:function |class ')?(?:\w+\.)*(\w+)'?(?: object)?(?: at \w+)?>"
    return signature and re.sub(named, r"\1", signature), result


def _escaped(text: str) -> str:
    text = re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", text)
    return re.sub(r"\bdocs/(\w+)\.md", r":doc:`/docs/\1`", text)
