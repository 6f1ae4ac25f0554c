"""deploy/argocd/examples as a platform team would use it: one Application brings the operator, then teams and keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import yaml

from gen.operator_process import OperatorProcess
from testbed.argocd import ArgoCD
from testbed.plane import Plane

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "deploy" / "argocd" / "examples"
CHART: Final = ROOT / "charts" / "keyturn"
HERE: Final = "https://kubernetes.default.svc"


def _fleet(argo: ArgoCD) -> dict[str, str | None]:
    """The files of the example and of the chart, for one repository."""
    files: dict[str, str | None] = {str(file.relative_to(EXAMPLES)): _at_home(argo, file) for file in sorted(EXAMPLES.rglob("*/*.yaml"))}
    return files | {str(file.relative_to(ROOT)): file.read_text() for file in sorted(CHART.rglob("*")) if file.is_file()}


def _at_home(argo: ArgoCD, file: Path) -> str:
    """An example with our repository and cluster in place of its own."""
    text = file.read_text().replace(HERE, argo.plane.url)
    for repository in ("platform/fleet", "mirrors/keyturn"):
        text = text.replace(f"https://git.example.com/{repository}.git", argo.git.url)
    return text


def test_the_operator_comes_before_the_teams_and_their_keys_work(argo: ArgoCD, plane: Plane, operator: OperatorProcess) -> None:
    """The pods that the chart brings run nothing here; the operator beside them does their work."""
    assert operator.leads
    patch = (
        "-n",
        "argocd",
        "patch",
        "configmap",
        "argocd-cm",
        "--type",
        "merge",
        "--patch-file",
        str(EXAMPLES / "application-health.yaml"),
    )
    plane.kubectl(*patch)
    argo.git.push(_fleet(argo))
    plane.kubectl("apply", "-f", "-", input=_at_home(argo, EXAMPLES / "root.yaml"))
    for application in ("keyturn", "shop", "fleet"):
        argo.wait_created(application)
        argo.wait(application, patience=120.0)
    finished = argo.application("keyturn")["status"]["operationState"]["finishedAt"]
    assert argo.application("shop")["metadata"]["creationTimestamp"] >= finished
    secret: dict[str, Any] = json.loads(plane.kubectl("-n", "shop", "get", "secret", "billing", "-o", "json"))
    assert secret["type"] == "keyturn.dev/api-key"
    for application in ("fleet", "shop", "keyturn"):
        argo.delete_application(application)  # what they brought stays: the other tests' operator works with the same objects


def test_the_examples_are_what_the_page_tells() -> None:
    """The page on Argo CD shows the ApiKey and the Deployment; it and the example say the same."""
    page = (ROOT / "docs" / "how-to" / "gitops-with-argo-cd.md").read_text()
    shown = next(block.partition("```")[0] for block in page.split("```yaml\n")[1:] if "kind: ApiKey" in block)
    apikey, web = yaml.safe_load_all(shown)
    wanted = yaml.safe_load((EXAMPLES / "teams" / "shop" / "web.yaml").read_text())
    assert apikey["metadata"]["annotations"] == {"argocd.argoproj.io/sync-wave": "0"}
    assert web["spec"]["template"] == wanted["spec"]["template"]
