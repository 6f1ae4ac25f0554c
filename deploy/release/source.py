"""What is released: one commit, exported into a folder of its own, so that nothing of the work tree gets in."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from release.versions import CHANGELOG, Entry, disagreements, entries, project_version


class Refused(Exception):
    """The commit may not be released; the sentences say what to do."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))


@dataclass(frozen=True, slots=True)
class Source:
    """A commit to release, and where its files lie."""

    checkout: Path
    """The work tree, for the programs of the testbed."""
    folder: Path
    """The exported commit."""
    version: str
    commit: str
    epoch: int
    """When it was committed, in seconds since 1970: the time of every file that is built."""
    entry: Entry


def export_source(checkout: Path, folder: Path) -> Source:
    """Refuse what may not be released; else write the commit's files into `folder`."""
    if changed := _git(checkout, "status", "--porcelain").splitlines():
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise Refused(f"changed since the commit: {changed[0][3:]}{more}. Commit that or put it away first")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=checkout, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    if found := disagreements(folder):
        raise Refused(*found)
    return Source(
        checkout=checkout,
        folder=folder,
        version=project_version(folder),
        commit=_git(checkout, "rev-parse", "HEAD").strip(),
        epoch=int(_git(checkout, "log", "-1", "--format=%ct")),
        entry=entries(folder)[0],
    )


def warn_of_rehearsal(source: Source) -> None:
    """A release without a day is made all the same: it is how one tries a release."""
    if not source.entry.is_dated:
        sentence = f"{CHANGELOG} gives {source.version} no day yet: this is a rehearsal, nothing to publish"
        print(f"== {sentence}", file=sys.stderr)


def _git(checkout: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=checkout, check=True, capture_output=True, text=True).stdout
