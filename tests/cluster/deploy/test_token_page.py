"""docs/explanation/what-the-operators-token-can-do.md: its commands typed from top to bottom, and its table held against deploy/."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from gen.installed import DEPLOY, EVERYWHERE, NAMESPACED, WATCHING, Installed, granted_rights, rendered
from testbed.binaries import search_path
from testbed.plane import Plane

PAGE: Final = DEPLOY.parent / "docs" / "explanation" / "what-the-operators-token-can-do.md"
MARK: Final = "@@ "
HOMES: Final = {"keyturn-system", "keyturn-verifiers"}


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("page"))


def commands() -> list[tuple[str, str]]:
    """Every line of every block of commands, with what is promised behind `#`."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) for line in block.splitlines()]
    return [(command.strip(), promise) for command, _, promise in (line.partition(" # ") for line in lines)]


def typed_in_one_shell(plane: Plane, folder: Path, lines: list[str]) -> list[tuple[str, int]]:
    """What each line says on both channels, and its exit status."""
    script = "".join(f'{line} 2>&1\necho "{MARK}$?"\n' for line in lines)
    environment = {
        "PATH": f"{search_path(['kubectl'])}{os.pathsep}/usr/bin:/bin",
        "KUBECONFIG": str(plane.kubeconfig),
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=120)
    said = re.findall(rf"(.*?){MARK}(\d+)\n", done.stdout, re.DOTALL)
    return [(text, int(status)) for text, status in said]


def test_every_command_of_the_page_answers_what_it_promises(installed: Installed, tmp_path: Path) -> None:
    lines = commands()
    said = typed_in_one_shell(installed.plane, tmp_path, [command for command, _ in lines])
    assert len(said) == len(lines)
    for (command, promise), (text, status) in zip(lines, said, strict=True):
        if promise in {"yes", "no"}:
            assert text.splitlines()[-1] == promise, f"{command}\n{text}"
        elif promise:
            assert (promise in text, status) == (True, 1), f"{command}\n{text}"
        else:
            assert status == 0, f"{command}\n{text}"
        assert "aHVudGVyMg" not in text, f"{command} shows the password"
    assert sum(bool(promise) for _, promise in lines) > 15


@pytest.mark.parametrize(
    ("folder", "row"),
    [(EVERYWHERE, "guarded, the default"), (NAMESPACED, "guarded in some namespaces"), (WATCHING, "watch")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_table_says_which_verbs_deploy_gives(plane: Plane, folder: Path, row: str) -> None:
    rights = granted_rights(rendered(plane, folder))
    verbs = {right.verb for right in rights if right.resource == "secrets" and right.namespace not in HOMES}
    (cells,) = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith(f"| {row} |")]
    assert set(re.findall(r"`(\w+)`", cells[3])) == verbs
