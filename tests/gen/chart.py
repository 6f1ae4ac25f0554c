"""The Helm chart as its users see it: rendered, and what a value changes in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from gen.installed import ACCOUNT, SYSTEM
from testbed.binaries import program
from testbed.cluster import Cluster, KubectlFailed

Json = dict[str, Any]

CHART: Final = Path(__file__).parents[2] / "charts" / "keyturn"
CURRENT: Final = str(yaml.safe_load((CHART / "Chart.yaml").read_text())["version"])
RELEASE: Final = "keyturn"
NOWHERE: Final = Path("/nonexistent/kubeconfig")
NUDGES: Final = 6


MADE_BY_HELM: Final = {
    "app.kubernetes.io/name": "keyturn",
    "app.kubernetes.io/part-of": "keyturn",
    "app.kubernetes.io/instance": RELEASE,
    "app.kubernetes.io/version": CURRENT,
    "app.kubernetes.io/managed-by": "Helm",
    "helm.sh/chart": f"keyturn-{CURRENT}",
}
"""The labels of every object."""


class HelmFailed(Exception):
    """Helm did not end with 0; the message is what it complained about."""


CRDS: Final = tuple(sorted((CHART / "files" / "crds").glob("*.yaml")))


def helm(*arguments: str, kubeconfig: Path = NOWHERE, values: Json | None = None) -> str:
    """Run helm, by default without any cluster, and give back what it printed; raise HelmFailed with its complaint."""
    done = subprocess.run(
        helm_command(*arguments, *(() if values is None else ("--values", "-"))),
        env={**os.environ, "KUBECONFIG": str(kubeconfig)}, input=json.dumps(values or {}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise HelmFailed(done.stderr.strip())
    return done.stdout


def helm_command(*arguments: str) -> list[str]:
    """Helm's command line."""
    return [str(program("helm")), *arguments]


def rendered_text(values: Json | None = None, *, namespace: str = SYSTEM) -> str:
    """What `helm template` prints."""
    return helm("template", RELEASE, str(CHART), "--namespace", namespace, values=values or {})


def rendered_chart(values: Json | None = None, *, namespace: str = SYSTEM) -> dict[str, Json]:
    """The objects that helm would make, by kind and name."""
    return by_name(yaml.safe_load_all(rendered_text(values, namespace=namespace)))


@dataclass(frozen=True, slots=True)
class Release:
    """The chart on a cluster."""

    cluster: Cluster
    name: str = RELEASE
    namespace: str = SYSTEM

    def run(self, *arguments: str, values: Json | None = None) -> str:
        """Any command of helm about this release: the command, the release, then the rest."""
        command, *others = arguments
        return helm(command, self.name, *others, "--namespace", self.namespace, kubeconfig=self.cluster.kubeconfig, values=values)

    def install(self, values: Json | None = None, *options: str, chart: Path = CHART) -> str:
        """As the how-to page says."""
        return self.run("install", str(chart), "--create-namespace", "--wait", *options, values=values or {})

    def upgrade(self, values: Json | None = None, *options: str, chart: Path = CHART) -> str:
        """With these values and no others."""
        return self.run("upgrade", str(chart), "--reset-values", "--wait", *options, values=values or {})


def older_chart(folder: Path, *, version: str = "0.0.9") -> Path:
    """The chart as an earlier release: another version, CRDs with one column less, no verifier."""
    chart = shutil.copytree(CHART, folder / f"keyturn-{version}")
    for file in (chart / "templates").glob("verifier*.yaml"):
        file.unlink()
    for file in [chart / "Chart.yaml", *(chart / "files" / "crds").iterdir()]:
        file.write_text(file.read_text().replace(CURRENT, version))
    for file in (chart / "files" / "crds").iterdir():
        crd = yaml.safe_load(file.read_text())
        del crd["spec"]["versions"][0]["additionalPrinterColumns"][-1]
        file.write_text(yaml.safe_dump(crd))
    return chart


def remove_crds(cluster: Cluster) -> None:
    """What an uninstall leaves, so that any version may be installed after it.

    Now and then the API server does not come back to a CRD that goes, for minutes. A change of it makes it look again.
    """
    crds = [f"customresourcedefinition/{file.name.removeprefix('keyturn.dev_').removesuffix('.yaml')}.keyturn.dev" for file in CRDS]
    for nudge in range(NUDGES):
        try:
            cluster.kubectl("delete", *crds, "--ignore-not-found", "--wait=true", "--timeout=30s")
        except KubectlFailed as failed:
            if "timed out" not in str(failed) or nudge == NUDGES - 1:
                raise
            going = [name for name in cluster.kubectl("get", "crds", "-o", "name").split() if name.endswith(".keyturn.dev")]
            cluster.kubectl("annotate", "--overwrite", *going, f"example.com/nudge={nudge}")
        else:
            return


def made(kind: str, api: str, spec: Json, *, name: str = ACCOUNT, labels: Json | None = None) -> Json:
    """An object as the chart writes it into the release's namespace."""
    metadata = {"name": name, "namespace": SYSTEM, "labels": {**MADE_BY_HELM, **(labels or {})}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def ports(*those: tuple[str, int | str]) -> Json:
    """A rule of a NetworkPolicy that is about these ports."""
    return {"ports": [{"protocol": protocol, "port": port} for protocol, port in those]}


def by_name(objects: Iterable[Json]) -> dict[str, Json]:
    """Objects by "Kind namespace/name"; two of one name are an error."""
    named: dict[str, Json] = {}
    for each in objects:
        metadata = each["metadata"]
        name = f"{each['kind']} {'/'.join(filter(None, (metadata.get('namespace'), metadata['name'])))}"
        if name in named:
            raise ValueError(f"{name} is there twice")
        named[name] = each
    return named


def difference(before: dict[str, Json], after: dict[str, Json]) -> dict[str, Any]:
    """What differs between two sets of objects: whole objects by their name (None: gone), changed places by "name: path"."""
    changes: dict[str, Any] = {name: after.get(name) for name in before.keys() ^ after.keys()}
    for name in before.keys() & after.keys():
        old, new = dict(_leaves(before[name])), dict(_leaves(after[name]))
        changes |= {f"{name}: {path}": new.get(path) for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    return changes


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every place of an object with what stands there; lists of plain values are one place."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for index, each in enumerate(value):
            yield from _leaves(each, f"{path}[{index}]")
    else:
        yield path, value
