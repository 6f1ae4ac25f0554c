"""Whether a built site is sound: links lead to its files, anchors to headings, and nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_FETCHED: Final = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}
_NOT_FETCHED: Final = frozenset({"canonical", "next", "prev", "alternate"})


@dataclass(slots=True)
class Page:
    """What a page offers and asks for."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.page.anchors.update(name for name in (found.get("id"), found.get("name") if tag == "a" else None) if name)
        if tag == "a" and found.get("href"):
            self.page.links.append(found["href"] or "")
        wanted = found.get(_FETCHED.get(tag, ""))
        if wanted and not (tag == "link" and found.get("rel") in _NOT_FETCHED):
            self.page.fetched.append(wanted)


@cache
def _read(file: Path) -> Page:
    reader = _Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    return reader.page


def problems(site: Path) -> list[str]:
    """A sentence for everything that is wrong."""
    pages = sorted(file for file in site.rglob("*.html") if file.name != "404.html")  # that one is served from any depth
    if not pages:
        return [f"{site} has no pages"]
    return [f"{file.relative_to(site)}: {sentence}" for file in pages for sentence in _problems_of(file)]


def _problems_of(file: Path) -> Iterator[str]:
    page = _read(file)
    for reference in (*page.links, *page.fetched):
        parts = urlsplit(reference)
        if parts.scheme or parts.netloc:
            if reference in page.fetched and parts.scheme != "data":
                yield f"fetches {reference}: bring it with the site"
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            yield f"{reference} leads nowhere"
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in {"__skip", *_read(target).anchors}:
            yield f"{reference}: there is no such heading"
