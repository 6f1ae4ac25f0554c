"""deploy/argocd/examples as a platform team would use it: one Application brings the operator, then an API, then a team and its key."""

from __future__ import annotations

import json
from typing import Any

import yaml

from gen.fleet import APPLICATIONS, EXAMPLES, ROOT, bring_fleet, example_files
from gen.operator_process import OperatorProcess
from testbed.argocd import ArgoCD
from testbed.plane import Plane


def test_the_operator_comes_before_the_teams_and_their_keys_work(argo: ArgoCD, plane: Plane, operator: OperatorProcess) -> None:
    """The pods that the chart brings run nothing here; the operator beside them does their work."""
    assert operator.leads
    bring_fleet(argo, example_files(argo))
    assert created(plane, "keyturn-system", "deployment", "keyturn-operator") <= created(plane, "argocd", "application", "billing-api")
    assert created(plane, "billing-api", "apiproduct", "invoices") <= created(plane, "argocd", "application", "shop")
    secret: dict[str, Any] = json.loads(plane.kubectl("-n", "shop", "get", "secret", "billing", "-o", "json"))
    assert secret["type"] == "keyturn.dev/api-key"
    apikey: dict[str, Any] = json.loads(plane.kubectl("-n", "shop", "get", "apikey", "billing", "-o", "json"))
    approved = next(each for each in apikey["status"]["conditions"] if each["type"] == "Approved")
    assert (approved["status"], approved["reason"]) == ("True", "Granted"), "granted in Git, without a command"
    for application in reversed(APPLICATIONS):
        argo.delete_application(application)  # what they brought stays: the other tests' operator works with the same objects


def created(plane: Plane, namespace: str, kind: str, name: str) -> str:
    return plane.kubectl("-n", namespace, "get", kind, name, "-o", "jsonpath={.metadata.creationTimestamp}")


def test_the_examples_are_what_the_page_tells() -> None:
    """The page on Argo CD shows the ApiKey and the Deployment; it and the example say the same."""
    page = (ROOT / "docs" / "how-to" / "gitops-with-argo-cd.md").read_text()
    shown = next(block.partition("```")[0] for block in page.split("```yaml\n")[1:] if "kind: ApiKey" in block)
    apikey, web = yaml.safe_load_all(shown)
    wanted = yaml.safe_load((EXAMPLES / "teams" / "shop" / "web.yaml").read_text())
    assert apikey["metadata"]["annotations"] == {"argocd.argoproj.io/sync-wave": "0"}
    assert web["spec"]["template"] == wanted["spec"]["template"]
