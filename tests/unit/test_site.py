"""The docs site: what is wrong with one is found, and its navigation is the index of the docs."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from build_site import ROOT, navigation
from site_links import problems
from terminal_picture import chosen_lines, picture


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="none.html">x</a>', "none.html leads nowhere"),
        ('<a href="folder/">x</a>', "folder/ leads nowhere"),
        ('<a href="#none">x</a>', "#none: there is no such heading"),
        ('<a href="other.html#none">x</a>', "other.html#none: there is no such heading"),
        ('<img src="none.svg">', "none.svg leads nowhere"),
        ('<script src="https://cdn.example.com/x.js"></script>', "fetches https://cdn.example.com/x.js: bring it with the site"),
        ('<link rel="stylesheet" href="//fonts.example.com/x.css">', "fetches //fonts.example.com/x.css: bring it with the site"),
    ],
)
def test_what_is_wrong_with_a_site_is_named(tmp_path: Path, body: str, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.html").write_text('<h1 id="there">x</h1>')
    (tmp_path / "page.html").write_text(body)
    assert problems(tmp_path) == [f"page.html: {problem}"]


def test_a_sound_site_has_no_problems(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text('<h1 id="there">x</h1><a href="https://kubernetes.io/">x</a>')
    (tmp_path / "page.html").write_text(
        '<a href="other.html#there">x</a><img src="data:image/png;base64,AA=="><link rel="next" href="other.html">'
    )
    assert problems(tmp_path) == []


def test_a_site_without_pages_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path} has no pages"]


def test_the_navigation_is_the_index_in_its_order() -> None:
    sections = navigation((ROOT / "docs" / "README.md").read_text(encoding="utf-8"))
    assert list(sections)[:5] == ["Tutorial", "How-to", "Runbook", "Reference", "Explanation"]
    assert sections["Tutorial"] == {"First key in ten minutes": "docs/tutorials/first-key.md"}
    assert sections["Reference"]["The command keyturn"] == "docs/reference/cli.md"


def test_every_page_can_be_reached_from_the_navigation() -> None:
    sections = navigation((ROOT / "docs" / "README.md").read_text(encoding="utf-8"))
    named = {path for pages in sections.values() for path in pages.values()}
    pages = {str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*.md")}
    assert pages - named == {"docs/README.md"}


PRINTED = """
== Install: one resource, one process  (13 s)
$ kubectl apply --server-side -f crds/

== Ask for a key, and deploy what uses it  (18 s)
$ kubectl apply -f deploy/examples/first-key/
   apikey.keyturn.dev/billing   created & <fine>
   ^C

== Done
"""


def test_a_picture_of_the_terminal_shows_the_chosen_chapters_as_they_were_printed() -> None:
    assert chosen_lines(PRINTED) == [
        "== Ask for a key, and deploy what uses it",
        "$ kubectl apply -f deploy/examples/first-key/",
        "   apikey.keyturn.dev/billing   created & <fine>",
    ]


def test_a_picture_of_the_terminal_keeps_columns_and_is_well_formed() -> None:
    (row,) = [each.text for each in fromstring(picture(chosen_lines(PRINTED))).iter() if "fine" in (each.text or "")]  # noqa: S314 - our own
    assert row.replace("\N{NO-BREAK SPACE}", " ") == "   apikey.keyturn.dev/billing   created & <fine>"
