"""One version everywhere, a changelog that names it, and archives that do not tell when they were packed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import yaml

from release.archives import pack_anew
from release.versions import CHANGELOG, CHART, KUSTOMIZATION, ROOT, disagreements, entries, project_version

EPOCH = 1_790_000_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in which everything says 1.2.3."""
    for folder in ("deploy/base", "charts/keyturn"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / KUSTOMIZATION).write_text(yaml.safe_dump({"images": [{"name": "keyturn", "newTag": "1.2.3"}]}))
    (tmp_path / CHART).write_text(yaml.safe_dump({"version": "1.2.3", "appVersion": "1.2.3"}))
    changelog(tmp_path, "## [1.2.3] - Unreleased", "New.", "## [1.2.2] - 2026-10-01", "Old.")
    return tmp_path


def changelog(project: Path, *lines: str) -> None:
    (project / CHANGELOG).write_text("\n\n".join(("# Changelog", *lines)) + "\n")


def test_this_project_says_one_version_everywhere() -> None:
    assert disagreements(ROOT) == []


def test_nothing_is_said_where_all_agree(project: Path) -> None:
    assert disagreements(project) == []


def test_another_image_tag_is_named(project: Path) -> None:
    (project / KUSTOMIZATION).write_text(yaml.safe_dump({"images": [{"name": "keyturn", "newTag": "1.2.2"}]}))
    assert disagreements(project) == [f"{KUSTOMIZATION}: newTag of image keyturn is 1.2.2, pyproject.toml says 1.2.3: write 1.2.3 there"]


def test_another_version_of_the_chart_is_named(project: Path) -> None:
    (project / CHART).write_text(yaml.safe_dump({"version": "1.2.3", "appVersion": "1.2.2"}))
    assert disagreements(project) == [f"{CHART}: appVersion is 1.2.2, pyproject.toml says 1.2.3: write 1.2.3 there"]


def test_a_version_without_an_entry_is_named(project: Path) -> None:
    changelog(project, "## [1.2.2] - 2026-10-01", "Old.")
    (said,) = disagreements(project)
    assert said == f"{CHANGELOG}: the topmost heading is [1.2.2]: begin an entry '## [1.2.3] - Unreleased', or change pyproject.toml"


def test_an_empty_entry_is_named(project: Path) -> None:
    changelog(project, "## [1.2.3] - Unreleased", "## [1.2.2] - 2026-10-01", "Old.")
    assert disagreements(project) == [f"{CHANGELOG}: the entry of 1.2.3 is empty: say what users see, and the step an upgrade needs"]


def test_a_heading_without_a_day_is_named(project: Path) -> None:
    changelog(project, "## [1.2.3]", "New.")
    (said,) = disagreements(project)
    assert said.startswith(f"{CHANGELOG}: the heading of 1.2.3 ends with ''")


def test_an_entry_ends_where_the_next_begins(project: Path) -> None:
    newest, older = entries(project)
    assert (newest.version, newest.is_dated, newest.text) == ("1.2.3", False, "New.")
    assert (older.version, older.is_dated, older.text) == ("1.2.2", True, "Old.")


def test_the_version_is_that_of_the_project(project: Path) -> None:
    assert project_version(project) == "1.2.3"


def packed(folder: Path, *, name: str, order: tuple[str, ...], mode: int) -> bytes:
    archive = folder / name
    with tarfile.open(archive, "w:gz") as files:
        for each in order:
            source = folder / each
            source.write_text(each)
            source.chmod(mode)
            files.add(source, arcname=f"x/{each}")
    pack_anew(archive, epoch=EPOCH)
    return archive.read_bytes()


def test_an_archive_does_not_tell_who_packed_it_and_when(tmp_path: Path) -> None:
    first = packed(tmp_path, name="first.tar.gz", order=("a", "b"), mode=0o640)
    assert packed(tmp_path, name="second.tar.gz", order=("b", "a"), mode=0o666) == first
    with tarfile.open(tmp_path / "first.tar.gz") as files:
        assert [(each.name, each.mode, each.uid, each.mtime) for each in files] == [("x/a", 0o644, 0, EPOCH), ("x/b", 0o644, 0, EPOCH)]
        content = files.extractfile("x/b")
        assert content is not None
        assert content.read() == b"b"
