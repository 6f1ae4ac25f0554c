"""`make release` in a clone of this commit: refused when it must be, and the same bytes every time."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from release.versions import CHANGELOG, project_version

ROOT = Path(__file__).parents[2]
QUICK = ("python", "crds", "manifests", "chart", "notes")
"""All but the image, which has tests of its own (test_image.py)."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The checkout as it stands, committed in a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    folder = tmp_path / "clone"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    git(folder, "init", "--quiet")
    commit(folder, "A commit to release")
    return folder


def git(folder: Path, *arguments: str) -> str:
    person = {f"GIT_{role}_{what}": "someone@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **person}, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, subject: str) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", subject)


def release(clone: Path, target: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "release", f"--into={target}", *parts]
    environment = {**os.environ, "PYTHONPATH": str(clone / "deploy")}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_same_commit_twice_gives_the_same_bytes(clone: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for target in (first, second):
        done = release(clone, target, *QUICK)
        assert done.returncode == 0, done.stderr
    assert contents(first) == contents(second)
    version = project_version(ROOT)
    assert {
        f"keyturn-{version}-py3-none-any.whl",
        f"keyturn-{version}.tar.gz",
        "keyturn-crds.yaml",
        "keyturn.yaml",
        "RELEASE_NOTES.md",
    } < set(contents(first))
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=first, check=True, capture_output=True)


def test_the_wheel_holds_the_whole_package_and_nothing_else(clone: Path, tmp_path: Path) -> None:
    assert release(clone, tmp_path / "dist", "python").returncode == 0
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {
        str(file.relative_to(ROOT / "operator")) for file in (ROOT / "operator" / "keyturn").rglob("*") if file.suffix in {".py", ".typed"}
    }
    assert inside == there


def test_the_manifests_run_the_image_of_this_version(clone: Path, tmp_path: Path) -> None:
    assert release(clone, tmp_path / "dist", "manifests", "crds").returncode == 0
    objects = list(yaml.safe_load_all((tmp_path / "dist" / "keyturn.yaml").read_text()))
    images = [each["image"] for item in objects if item["kind"] == "Deployment" for each in item["spec"]["template"]["spec"]["containers"]]
    assert images == [f"keyturn:{project_version(ROOT)}"] * 2, "operator and verifier"
    crds = list(yaml.safe_load_all((tmp_path / "dist" / "keyturn-crds.yaml").read_text()))
    assert [each["metadata"]["name"] for each in crds] == [
        each["metadata"]["name"] for each in objects if each["kind"] == "CustomResourceDefinition"
    ]


def test_the_chart_is_the_one_of_the_commit(clone: Path, tmp_path: Path) -> None:
    assert release(clone, tmp_path / "dist", "chart").returncode == 0
    with tarfile.open(tmp_path / "dist" / f"keyturn-{project_version(ROOT)}.tgz") as chart:
        inside = {member.name: chart.extractfile(member) for member in chart.getmembers()}
        packed = {name: file.read() for name, file in inside.items() if file is not None}
    there = ROOT / "charts" / "keyturn"
    assert packed["keyturn/values.yaml"] == (there / "values.yaml").read_bytes()
    templates = {
        f"keyturn/templates/{file.relative_to(there / 'templates')}" for file in (there / "templates").rglob("*") if file.is_file()
    }
    assert templates <= set(packed)


def test_the_image_comes_with_its_bill_of_materials(clone: Path, tmp_path: Path) -> None:
    done = release(clone, tmp_path / "dist", "image")
    assert done.returncode == 0, done.stderr
    assert {file.suffixes[-1] for file in (tmp_path / "dist").glob(f"keyturn-{project_version(ROOT)}.*")} == {".tar", ".json"}
    sums = (tmp_path / "dist" / "SHA256SUMS").read_text()
    assert f"keyturn-{project_version(ROOT)}.oci.tar" in sums
    assert f"keyturn-{project_version(ROOT)}.cdx.json" in sums


def test_the_notes_are_the_changelogs_entry(clone: Path, tmp_path: Path) -> None:
    assert release(clone, tmp_path / "dist", "notes").returncode == 0
    notes = (tmp_path / "dist" / "RELEASE_NOTES.md").read_text()
    assert notes.startswith(f"# Keyturn {project_version(ROOT)} (")
    assert "- The resource `ApiKey`: declare a key, get a Secret." in notes


def test_a_tree_with_changes_is_refused(clone: Path, tmp_path: Path) -> None:
    (clone / "README.md").write_text("Changed.\n")
    done = release(clone, tmp_path / "dist", "notes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Not released: changed since the commit: README.md. Commit that" in done.stderr


def test_versions_that_differ_are_refused(clone: Path, tmp_path: Path) -> None:
    text = (clone / "pyproject.toml").read_text()
    (clone / "pyproject.toml").write_text(text.replace(f'version = "{project_version(ROOT)}"', 'version = "9.9.9"', 1))
    commit(clone, "Change the version in one place")
    done = release(clone, tmp_path / "dist", "notes")
    assert done.returncode == 1
    assert "newTag of image keyturn is" in done.stderr
    assert f"{CHANGELOG}: the topmost heading is" in done.stderr
    assert not (tmp_path / "dist").exists()
