"""A notebook as a page: its text, code and outputs, as they were kept in it; nothing is run."""

import json
import re


def as_markdown(text: str) -> str:
    """Reads a notebook of format 4 and writes it as Markdown, with pictures inside."""
    return "\n\n".join(part for cell in json.loads(text)["cells"] for part in _of_cell(cell)) + "\n"


def _of_cell(cell: dict) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return [source]
    language = "text" if re.search(r"^\s*[%!]", source, re.MULTILINE) else "python"  # a notebook's own commands
    return [_fenced(language, source), *filter(None, map(_of_output, cell["outputs"]))]


def _of_output(output: dict) -> str:
    if "text" in output:  # what was printed
        return _fenced("text", "".join(output["text"]))
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f"![](data:{kind};base64,{''.join(data[kind]).replace(chr(10), '')})"
    return _fenced("text", "".join(data["text/plain"])) if "text/plain" in data else ""


def _fenced(language: str, text: str) -> str:
    return f"````{language}\n{text.rstrip()}\n````"
