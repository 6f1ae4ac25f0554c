"""deploy/argocd/examples with the addresses of a test: one Application, made by hand, brings the chart, then an API and a team."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gen.chart import CHART
from testbed.argocd import ArgoCD

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "deploy" / "argocd" / "examples"
APPLICATIONS: Final = ("keyturn", "billing-api", "shop", "fleet")
"""In the order in which they come; the one that brings them last."""
_HERE: Final = "https://kubernetes.default.svc"


def example_files(argo: ArgoCD) -> dict[str, str | None]:
    """The files of the example and of the chart, for one repository."""
    files: dict[str, str | None] = {str(file.relative_to(EXAMPLES)): at_home(argo, file) for file in sorted(EXAMPLES.rglob("*/*.yaml"))}
    return files | {str(file.relative_to(ROOT)): file.read_text() for file in sorted(CHART.rglob("*")) if file.is_file()}


def at_home(argo: ArgoCD, file: Path) -> str:
    """An example with our repository and cluster in place of its own."""
    text = file.read_text().replace(_HERE, argo.plane.url)
    for repository in ("platform/fleet", "mirrors/keyturn"):
        text = text.replace(f"https://git.example.com/{repository}.git", argo.git.url)
    return text


def bring_fleet(argo: ArgoCD, files: Mapping[str, str | None], *, patience: float = 120.0) -> str:
    """Do what the page on Argo CD says and wait until all is Synced and Healthy; answers the commit."""
    patch = str(EXAMPLES / "application-health.yaml")
    argo.plane.kubectl("-n", "argocd", "patch", "configmap", "argocd-cm", "--type", "merge", "--patch-file", patch)
    commit = argo.git.push(files)
    argo.plane.kubectl("apply", "-f", "-", input=at_home(argo, EXAMPLES / "root.yaml"))
    for application in APPLICATIONS:
        argo.wait_created(application, patience=patience)
        argo.wait(application, patience=patience)
    return commit
