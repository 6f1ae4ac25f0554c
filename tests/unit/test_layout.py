"""What may stand where in the checkout, and what may stand in no file of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

TOP_LEVEL: Final = frozenset(
    {
        ".ci",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "charts",
        "crds",
        "deploy",
        "docs",
        "operator",
        "pyproject.toml",
        "requirements.lock",
        "tests",
    }
)

_A_PATH: Final = r"(?<![\w.$})/-])/"
FORBIDDEN: Final = {
    "a path on somebody's machine": _A_PATH + r"(?:work|root|home|Users|opt/wheels)/\w",
    "a temporary path (ask tempfile)": _A_PATH + r"tmp/\w",
    "a package registry's host": r"\b(?:pypi|(?:proxy|sum)\.golang|pythonhosted|npmjs|deb\.debian)\.(?:org|com)\b",
    "an unresolved merge": r"^(?:<{7}|>{7}) ",
    "a note to self": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
}

BAD: Final = (
    "cd /wo" + "rk/main && make",
    "see /ho" + "me/jane/keyturn",
    'open("/tm' + 'p/keys")',
    "--index-url https://py" + "pi.org/simple",
    "GOPROXY=https://proxy.go" + "lang.org",
    "# TO" + "DO: later",
    "one\n<<<<<" + "<< HEAD\ntwo",
)

GOOD: Final = (
    "mountPath: /tmp",
    "workload/web",
    "$HOME/work/keyturn",
    "https://kubernetes.io/docs/home/",
    "a size of XXXL",
    "require golang.org/x/net v0.50.0",
)


def _ignored() -> frozenset[str]:
    """The folders .gitignore names; tools make them."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    return frozenset(line.rstrip("/") for line in lines if line.endswith("/") and "*" not in line) | {".git"}


def files(folder: Path, ignored: frozenset[str]) -> Iterator[Path]:
    """Every file of the project below a folder, without what tools make."""
    for path in sorted(folder.iterdir()):
        if path.name in ignored or path.suffix in {".egg-info", ".pyc", ".log"}:
            continue
        if path.is_dir():
            yield from files(path, ignored)
        else:
            yield path


def findings(text: str) -> list[str]:
    """What must not stand in a file, with its line."""
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]}"
        for what, pattern in FORBIDDEN.items()
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]


@pytest.mark.parametrize("sample", BAD)
def test_what_must_not_be_said_is_found(sample: str) -> None:
    assert findings(sample)


@pytest.mark.parametrize("sample", GOOD)
def test_what_may_be_said_is_left_alone(sample: str) -> None:
    assert findings(sample) == []


def test_no_file_names_a_machine_a_registry_or_an_unfinished_thing() -> None:
    found = {str(path.relative_to(ROOT)): findings(path.read_text(errors="replace")) for path in files(ROOT, _ignored())}
    assert {path: what for path, what in found.items() if what} == {}


def test_the_top_level_holds_only_what_it_is_known_to_hold() -> None:
    there = {path.name for path in ROOT.iterdir() if path.name not in _ignored() and path.suffix not in {".egg-info", ".log"}}
    assert there - TOP_LEVEL == set()


def test_the_import_root_holds_the_package_and_nothing_else() -> None:
    """With an __init__.py it would be a package named like the standard library's `operator`; a second thing would be importable."""
    there = {path.name for path in (ROOT / "operator").iterdir() if path.suffix != ".egg-info" and path.name != "__pycache__"}
    assert there == {"keyturn"}


def test_every_folder_of_the_package_is_a_package() -> None:
    """Without an __init__.py a folder works in a checkout and is missing from the wheel."""
    folders = {path.parent for path in (ROOT / "operator" / "keyturn").rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_rule_that_is_switched_off_has_its_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start, end = lines.index("[tool.ruff.lint]"), lines.index("[tool.ruff.lint.flake8-bugbear]")
    codes = [line for line in lines[start:end] if re.search(r'"[A-Z]+[0-9]+"', line)]
    assert codes
    assert [line for line in codes if not re.search(r"# .*\w{3,}", line)] == []


def test_every_dependency_has_its_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    dependencies = [line for line in lines if re.match(r' +"[\w-]+(\[\w+\])?>=', line)]
    assert dependencies
    assert [line for line in dependencies if not re.search(r"# .*\w{3,}", line)] == []


def test_the_lock_file_pins_and_hashes_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(item for extra in project["optional-dependencies"].values() for item in extra)]
    names = {re.split(r"[\[>=]", item)[0].lower() for item in wanted} - {"keyturn"}
    lock = (ROOT / "requirements.lock").read_text()
    pinned = {
        match[1] for match in re.finditer(r"^([\w.-]+)(?:\[\w+\])?==[\w.]+(?: ; [^\\\n]+)? \\\n    --hash=sha256:", lock, re.MULTILINE)
    }
    assert names - pinned == set()
    assert "://" not in lock


def test_every_target_of_the_makefile_explains_itself() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = {name for line in re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE) for name in line.split()}
    explained = set(re.findall(r"^([\w-]+):.* ## ", text, re.MULTILINE))
    assert {name for name in phony - explained if not name.startswith("check-")} == set()


def test_every_module_an_application_may_use_is_held_to_need_nothing_of_the_operator() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = next(contract["source_modules"] for contract in contracts if contract["id"] == "verifier-alone")
    modules = {path.stem for path in (ROOT / "operator" / "keyturn" / "verifier").glob("*.py")} - {"__init__"}
    assert sorted(held) == sorted(f"keyturn.verifier.{name}" for name in modules)
