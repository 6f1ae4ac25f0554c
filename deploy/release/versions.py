"""One version, said in pyproject.toml; whatever else names it is held to it here.

As a program (`make check`) it prints a sentence for every place that differs, and fails.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
CHANGELOG: Final = "CHANGELOG.md"
KUSTOMIZATION: Final = "deploy/base/kustomization.yaml"
CHART: Final = "charts/keyturn/Chart.yaml"
UNRELEASED: Final = "Unreleased"

_HEADING: Final = re.compile(r"^## \[([^\]]+)\](?: - (\S+))?$", re.MULTILINE)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One version's part of the changelog."""

    version: str
    day: str
    """ISO 8601, or Unreleased."""
    text: str

    @property
    def is_dated(self) -> bool:
        """Whether its day is set: until then a release of it is a rehearsal."""
        return self.day != UNRELEASED


def project_version(root: Path) -> str:
    """What pyproject.toml says."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def entries(root: Path) -> list[Entry]:
    """The changelog, newest first."""
    text = (root / CHANGELOG).read_text(encoding="utf-8")
    found = list(_HEADING.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    return [
        Entry(version=match[1], day=match[2] or "", text=text[match.end() : end].strip()) for match, end in zip(found, ends, strict=True)
    ]


def disagreements(root: Path) -> list[str]:
    """A sentence for every place that does not say the project's version, with what to do."""
    version = project_version(root)
    said = [*_image_tags(root), *_chart_versions(root)]
    return [
        *(f"{place} is {value}, pyproject.toml says {version}: write {version} there" for place, value in said if value != version),
        *_changelog_problems(root, version),
    ]


def _image_tags(root: Path) -> Iterator[tuple[str, str]]:
    kustomization = yaml.safe_load((root / KUSTOMIZATION).read_text(encoding="utf-8"))
    for image in kustomization["images"]:
        yield f"{KUSTOMIZATION}: newTag of image {image['name']}", str(image["newTag"])


def _chart_versions(root: Path) -> Iterator[tuple[str, str]]:
    if not (root / CHART).is_file():
        return
    chart = yaml.safe_load((root / CHART).read_text(encoding="utf-8"))
    for field in ("version", "appVersion"):
        yield f"{CHART}: {field}", str(chart[field])


def _changelog_problems(root: Path, version: str) -> Iterator[str]:
    known = entries(root)
    if not known or known[0].version != version:
        top = f"[{known[0].version}]" if known else "missing"
        yield f"{CHANGELOG}: the topmost heading is {top}: begin an entry '## [{version}] - {UNRELEASED}', or change pyproject.toml"
        return
    top_day = known[0].day
    if known[0].is_dated and not _DAY.fullmatch(top_day):
        yield f"{CHANGELOG}: the heading of {version} ends with '{top_day}': write '- {UNRELEASED}', or the day as 2026-11-24"
    if not known[0].text:
        yield f"{CHANGELOG}: the entry of {version} is empty: say what users see, and the step an upgrade needs"


def main() -> int:
    """Print what differs; answers the exit status."""
    found = disagreements(ROOT)
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
