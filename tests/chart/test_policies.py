"""The chart's admission policies: deploy/policies/ with the names of its values, and without a trace of the usual ones."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from gen.chart import HelmFailed, Json, rendered_chart
from gen.fence import OPERATOR
from gen.installed import DEPLOY
from keyturn.base import names

POLICIES = sorted((DEPLOY / "policies").glob("*.yaml"))
OTHERS: Json = {
    "serviceAccount": {"name": "robot"},
    "recordsNamespace": {"name": "ledger"},
    "rootSecret": {"existingSecret": "our-root"},
    "policies": {"breakGlass": ["system:serviceaccounts:velero", "oidc:alice@example.com"], "gitOps": []},
}
USUAL = (OPERATOR, "'keyturn-system'", "'keyturn-verifiers'", "'keyturn-root'", "keyturn:break-glass", "keyturn:gitops")


def policies(values: Json | None = None, *, namespace: str = "keyturn-system") -> dict[str, Json]:
    objects = rendered_chart(values, namespace=namespace)
    return {name: each for name, each in objects.items() if name.startswith("ValidatingAdmission")}


def test_every_file_is_in_the_chart_with_its_binding() -> None:
    written = [each for file in POLICIES if file.name != "kustomization.yaml" for each in yaml.safe_load_all(file.read_text())]
    assert {f"{each['kind']} {each['metadata']['name']}": each["spec"] for each in written} == {
        name: each["spec"] for name, each in policies().items()
    }
    assert len(written) == 2 * (len(POLICIES) - 1)


def test_other_names_are_put_in_everywhere_and_nothing_else_changes() -> None:
    text = json.dumps(list(policies(OTHERS, namespace="keys").values()))
    assert not [name for name in USUAL if name in text]
    back = (
        text.replace("'system:serviceaccount:keys:robot'", f"'{OPERATOR}'")
        .replace("'keys'", "'keyturn-system'")
        .replace("'ledger'", "'keyturn-verifiers'")
        .replace("'our-root'", "'keyturn-root'")
        .replace("['system:serviceaccounts:velero', 'oidc:alice@example.com']", "['keyturn:break-glass']")
        .replace("![].exists", "!['keyturn:gitops'].exists")
    )
    assert json.loads(back) == list(policies().values())


@pytest.mark.parametrize("name", ["it's", "a b", 'say "hi"', "back\\slash"])
def test_a_name_cannot_leave_its_quotes(name: str) -> None:
    with pytest.raises(HelmFailed, match="/policies/breakGlass/0"):
        policies({"policies": {"breakGlass": [name]}})


@pytest.mark.parametrize(
    "values",
    [
        {"rbac": {"mode": "watch"}, "policies": {"enabled": False}},
        {"rbac": {"mode": "namespaced", "clusterRoles": False}, "watchNamespaces": ["team-a"]},
    ],
    ids=["not wanted", "no rights on cluster-scoped objects"],
)
def test_there_can_be_none(values: Json) -> None:
    assert policies(values) == {}


def test_they_speak_of_the_types_labels_and_annotations_that_the_code_writes() -> None:
    text = "".join(file.read_text() for file in POLICIES)
    said = set(re.findall(r"'((?:rollout[.])?keyturn[.]dev/[^']*|app[.]kubernetes[.]io/[^']*)'", text))
    assert said == {
        *(names.CREDENTIAL_TYPE, names.RECORD_TYPE, names.ROOT_TYPE),
        *(names.MANAGED_BY_LABEL, names.APIKEY_LABEL, names.NAMESPACE_LABEL, names.COMPONENT_LABEL),
        *(names.ROLLOUT_ANNOTATION_PREFIX, f"{names.GROUP}/", f"{names.GROUP}/operator"),
    }
