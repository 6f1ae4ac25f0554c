"""What a CRD says about a kind beside its schema: names, scope, columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyturn.api.rules import ApiModel


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; `wide`: only with `-o wide`."""

    name: str
    json_path: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A custom resource: its model and how kubectl speaks of it."""

    model: type[ApiModel]
    kind: str
    plural: str
    short_name: str
    scope: Literal["Namespaced", "Cluster"]
    columns: tuple[Column, ...] = ()
    selectable_fields: tuple[str, ...] = ()

    @property
    def singular(self) -> str:
        """The kind in lower case: what the CLI prints before a slash."""
        return self.kind.lower()
