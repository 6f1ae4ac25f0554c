"""What an older release left in a cluster, put back as it was stored: the uids too, which are signed and which no API server would take.

The objects are frozen in tests/vectors/release-<version>/, see the README there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gen.team import SecretView
from testbed.plane import Plane

Json = dict[str, Any]

VECTORS: Final = Path(__file__).parents[1] / "vectors"
_FOLDERS: Final = {"ApiKey": "keyturn.dev/apikeys", "Secret": "secrets", "ConfigMap": "configmaps"}


@dataclass(frozen=True, slots=True)
class Release:
    """One release's frozen CRDs and objects."""

    folder: Path

    @classmethod
    def of(cls, version: str) -> Release:
        return cls(VECTORS / f"release-{version}")

    @property
    def crds(self) -> Path:
        return self.folder / "crds"

    @property
    def objects(self) -> list[Json]:
        return json.loads((self.folder / "objects.json").read_text(encoding="utf-8"))["objects"]

    def secret(self, namespace: str, name: str) -> SecretView:
        """A Secret as it was."""
        return next(
            SecretView(each)
            for each in self.objects
            if each["kind"] == "Secret" and (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, name)
        )

    def restore(self, plane: Plane) -> None:
        """Write the objects into the etcd of a plane that has their namespaces and CRDs."""
        for each in self.objects:
            metadata = each["metadata"]
            plane.store(f"/registry/{_FOLDERS[each['kind']]}/{metadata['namespace']}/{metadata['name']}", each)
