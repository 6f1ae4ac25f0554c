"""Argo CD's own program runs our Lua over an ApiKey in every situation, as its controller would; no cluster."""

from __future__ import annotations

import copy
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gen.gitops_situations import (
    PRODUCT_SITUATIONS,
    REVOCATION_SITUATIONS,
    SITUATIONS,
    TESTDATA,
    ProductSituation,
    RevocationSituation,
    Situation,
)
from keyturn.base.clock import parse_time
from testbed.binaries import program

Json = dict[str, Any]

SETTINGS = TESTDATA.parent / "argocd-cm.yaml"
ROTATE = "keyturn.dev/rotate-requested-at"
STEADY, DISABLED, PAUSED = (TESTDATA / f"{name}.yaml" for name in ("steady", "disabled", "paused"))


def ask(*words: str | Path, **environment: str) -> str:
    """`argocd admin settings resource-overrides` with the settings that deploy/argocd adds."""
    command = [program("argocd"), "admin", "settings", "resource-overrides", *words, "--argocd-cm-path", SETTINGS]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment}).stdout


def offered(file: Path) -> dict[str, str]:
    """Each action, and whether it is shown as disabled."""
    return dict(line.split() for line in ask("list-actions", file).splitlines()[1:])


def before_and_after(file: Path, action: str) -> tuple[Json, Json]:
    """The ApiKey of a file, and as an action leaves it: Argo CD hands both to the program that shows differences."""
    told = ask("run-action", file, action, KUBECTL_EXTERNAL_DIFF="""sh -c 'cat "$2"' show""")
    return yaml.safe_load(file.read_text()), yaml.safe_load(told.partition("changed:\n")[2])


@pytest.mark.parametrize("situation", [*SITUATIONS, *PRODUCT_SITUATIONS, *REVOCATION_SITUATIONS], ids=lambda each: each.name)
def test_argo_cd_sees_every_situation_as_it_is(situation: Situation | ProductSituation | RevocationSituation) -> None:
    told = ask("health", TESTDATA / f"{situation.name}.yaml").splitlines()
    assert told[0] == f"STATUS: {situation.argocd}"
    assert len(told[1].removeprefix("MESSAGE: ")) > 10


@pytest.mark.parametrize(
    ("file", "actions"),
    [
        (STEADY, {"rotate", "disable"}),
        (DISABLED, {"rotate", "enable"}),
        (PAUSED, {"disable"}),
        (TESTDATA / "not-seen-yet.yaml", {"rotate", "disable"}),
    ],
    ids=["steady", "disabled", "paused", "not seen yet"],
)
def test_only_what_makes_sense_is_offered_and_nothing_is_greyed(file: Path, actions: set[str]) -> None:
    assert offered(file) == dict.fromkeys(actions, "false")


def test_rotate_asks_for_one_rotation_and_changes_nothing_else() -> None:
    before, after = before_and_after(STEADY, "rotate")
    asked = after["metadata"].pop("annotations")
    assert (set(asked), after) == ({ROTATE}, before)
    assert parse_time(asked[ROTATE]) is not None


def test_rotate_keeps_the_other_annotations() -> None:
    _, after = before_and_after(PAUSED, "rotate")
    assert set(after["metadata"]["annotations"]) == {ROTATE, "keyturn.dev/paused"}


def test_disable_and_enable_change_that_field_alone() -> None:
    steady, disabled = before_and_after(STEADY, "disable")
    expected = copy.deepcopy(steady)
    expected["spec"] = {"disabled": True}
    assert disabled == expected
    before, enabled = before_and_after(DISABLED, "enable")
    del before["spec"]["disabled"]
    assert enabled == before
