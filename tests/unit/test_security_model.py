"""docs/explanation/security-model.md: whatever it says is tested, is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = (TESTS.parent / "docs" / "explanation" / "security-model.md").read_text()
NAMED: Final = re.compile(r"`((?:tests/[\w./*-]+|test_[\w*]+\.py)(?:::(?:test_\w+))?)`")


def what_is_missing(named: str) -> str | None:
    """Of `tests/folder/test_file.py::test_name`, or `test_file.py` alone; None: it is there."""
    where, _, function = named.partition("::")
    pattern = where.removeprefix("tests/").rstrip("/") if where.startswith("tests/") else f"**/{where}"
    found = list(TESTS.glob(pattern))
    if not found:
        return f"{where} is not there"
    is_defined = re.compile(rf"^(?:async )?def {function}\(", re.MULTILINE)
    if function and not any(is_defined.search(file.read_text()) for file in found):
        return f"{where} has no {function}"
    return None


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        ("tests/unit/test_security_model.py::test_every_test_it_names_is_there", None),
        ("test_security_model.py", None),
        ("tests/unit", None),
        ("tests/unit/test_http2_*.py", None),
        ("tests/unit/test_security_model.py::test_of_nothing", "tests/unit/test_security_model.py has no test_of_nothing"),
        ("tests/unit/test_nothing.py", "tests/unit/test_nothing.py is not there"),
    ],
)
def test_what_is_missing_is_told(named: str, missing: str | None) -> None:
    assert what_is_missing(named) == missing


def test_every_test_it_names_is_there() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > 40
    assert [what for each in named if (what := what_is_missing(each)) is not None] == []


def test_every_row_about_tenants_names_a_test() -> None:
    table = PAGE.partition("## Tenants against owners")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "|---" not in line][1:]
    assert len(rows) > 15
    assert [row for row in rows if "`test" not in row.split("|")[-2] and "the same" not in row.split("|")[-2]] == []
