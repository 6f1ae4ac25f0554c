"""The documentation: its links lead somewhere, what is made from the code is up to date, and no word of the interface is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import pytest

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.api.workloads import PendingReason
from keyturn.base import metrics, names
from keyturn.base.settings import Settings
from keyturn.base.version_state import Cause
from keyturn.cli.references.state_diagram import FILE_NAME, state_diagram
from keyturn.lifecycle import rollout
from keyturn.lifecycle.plan import Change

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
REFERENCE: Final = DOCS / "reference"
PAGES: Final = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
LINK: Final = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LONGEST_DECISION: Final = 60


def links_of(page: Path) -> Iterator[str]:
    """The relative links of a page, code blocks aside."""
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if not target.startswith(("http://", "https://", "mailto:")):
            yield target


def anchors_of(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors_of(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("folder", ["tutorials", "how-to", "explanation", "decisions"])
def test_the_index_names_every_page(folder: str) -> None:
    index = (DOCS / "README.md").read_text()
    assert [page.name for page in sorted((DOCS / folder).glob("*.md")) if f"({folder}/{page.name})" not in index] == []


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=lambda page: page.name)
def test_a_decision_is_short_and_says_what_was_given_up(page: Path) -> None:
    text = page.read_text()
    assert len(text.splitlines()) <= LONGEST_DECISION
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Choice", "What we gave up"]


def test_the_diagram_is_up_to_date() -> None:
    assert (DOCS / "explanation" / FILE_NAME).read_text() == state_diagram(), "run make docs"


def test_the_page_on_rotation_shows_the_diagram() -> None:
    """A forge renders what stands in the page, not what it links to."""
    drawn = "".join(line for line in state_diagram().splitlines(keepends=True) if not line.startswith("%%"))
    assert f"```mermaid\n{drawn}```" in (DOCS / "explanation" / "rotation.md").read_text()


def test_the_page_on_rotation_has_the_table_of_workloads() -> None:
    page, told = (DOCS / "explanation" / "rotation.md").read_text(), rollout.__doc__ or ""
    assert [row for row in told.splitlines() if row.startswith("| ") and row not in page] == []


def missing(page: Path, words: list[str]) -> list[str]:
    text = page.read_text()
    return [word for word in words if f"`{word}`" not in text]


def test_every_setting_is_in_the_reference() -> None:
    options = ["--" + name.replace("_", "-") for name in Settings.model_fields]
    variables = ["KEYTURN_" + name.upper() for name in Settings.model_fields]
    assert missing(REFERENCE / "settings.md", [*options, *variables]) == []


def test_every_metric_is_in_the_reference() -> None:
    """With the names that a scrape shows: a counter's ends in _total."""
    families = [family for family in metrics.REGISTRY.collect() if family.name.startswith("keyturn_")]
    assert missing(REFERENCE / "metrics.md", [f"{each.name}_total" if each.type == "counter" else each.name for each in families]) == []


@pytest.mark.parametrize(
    ("words", "page"),
    [
        (Reason, REFERENCE / "conditions.md"),
        (Change, REFERENCE / "audit-log.md"),
        (Cause, REFERENCE / "audit-log.md"),
        (PendingReason, DOCS / "how-to" / "rollout-stalled.md"),
    ],
    ids=["reasons", "changes", "causes", "pending workloads"],
)
def test_every_word_is_explained(words: type[StrEnum], page: Path) -> None:
    assert missing(page, [str(word) for word in words]) == []


def test_every_end_of_a_version_is_explained() -> None:
    assert missing(REFERENCE / "audit-log.md", list(metrics.DEAD_REASONS)) == []


def test_every_annotation_label_and_type_is_in_the_reference() -> None:
    written = {value for name, value in vars(names).items() if name.endswith(("_ANNOTATION", "_LABEL", "_TYPE", "_DATA_KEY"))}
    assert missing(REFERENCE / "annotations-and-labels.md", sorted(written)) == []


def test_every_documented_reason_is_one_that_something_gives() -> None:
    """A page of reasons that never come is worse than none: people build alerts on them."""
    source = "\n".join(file.read_text() for file in (ROOT / "operator").rglob("*.py") if file.name != "conditions.py")
    given = set(re.findall(r"(?<![A-Za-z])Reason\.([A-Z_]+)\b", source))
    assert [reason.name for reason in Reason if reason.name not in given] == []
