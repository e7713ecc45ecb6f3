"""Whether the links of built pages lead somewhere, and whether pages need anything from elsewhere."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}
"""What a browser loads by itself, by the tag."""


class Page(HTMLParser):
    """A page's links, what it loads, and the names that links may point at."""

    def __init__(self, path: Path) -> None:
        """Reads a page."""
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.names: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag links to or is called."""
        found = dict(attrs)
        self.names.update(filter(None, (found.get("id"), found.get("name"))))
        target = found.get("href" if tag == "a" else LOADED.get(tag, ""))
        if target:
            (self.links if tag == "a" else self.loaded).add(target)


def broken(folder: Path) -> list[str]:
    """What is wrong with the links of a site.

    Args:
      folder: the site's, with its .html files.

    Returns:
      A line for each: a link within the site to a file or a heading that is not there, an absolute one, or something
      from elsewhere that a page would load. Links to other sites are not looked at.
    """
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        here = path.relative_to(folder.resolve()).as_posix()
        for link in sorted(page.links | page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded and parts.scheme != "data":
                    found.append(f"{here}: {link} is loaded from elsewhere")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.path.startswith("/") or not target.is_file():
                found.append(f"{here}: {link} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                found.append(f"{here}: {link} has no such heading")
    return found
