"""Which policies of the fence are watched, and that each is known for what it holds back."""

from __future__ import annotations

from pathlib import Path

from keyturn.base.names import POLICIES, SECRETS_POLICY
from keyturn.base.settings import AdmissionPolicies, SecretAccess, Settings
from keyturn.controller.fence import OPENS, policies_to_watch

FOLDER = Path(__file__).parents[2] / "deploy" / "policies"
RUNBOOK = Path(__file__).parents[2] / "docs" / "how-to" / "fence-open.md"


def test_every_policy_that_is_shipped_is_known_with_what_it_holds_back() -> None:
    shipped = {f"keyturn-{file.stem}" for file in FOLDER.glob("*.yaml") if file.stem != "kustomization"}
    assert set(POLICIES) == set(OPENS) == shipped


def test_the_runbook_has_a_row_for_each() -> None:
    rows = [line.split("|")[1].strip() for line in RUNBOOK.read_text().splitlines() if line.startswith("| `keyturn-")]
    assert rows == [f"`{policy}`" for policy in POLICIES]


def test_all_are_watched_where_they_are_installed_whatever_the_operator_may_read() -> None:
    assert policies_to_watch(Settings()) == POLICIES
    assert policies_to_watch(Settings(secret_access=SecretAccess.WATCH)) == POLICIES


def test_where_there_are_none_the_one_that_guarded_rests_on_is_tried_all_the_same() -> None:
    none = Settings(admission_policies=AdmissionPolicies.NONE)
    assert policies_to_watch(none) == (SECRETS_POLICY,)
    assert policies_to_watch(none.model_copy(update={"secret_access": SecretAccess.WATCH})) == ()
