"""Which resource a request is about, read from its path: for metrics, for error messages, for knowing that a Secret is near."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names. `resource` is the plural, with its subresource: `secrets`, `apikeys/status`."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.resource, "/".join(part for part in (self.namespace, self.name) if part)) if part)

    @property
    def holds_secrets(self) -> bool:
        """Whether answers about it may quote plaintext."""
        return self.resource.partition("/")[0] == "secrets"

    def verb(self, method: str, *, watch: bool = False) -> str:
        """The Kubernetes verb of an HTTP method: get, list, watch, create, update, patch, delete."""
        if method == "GET":
            return "watch" if watch else "get" if self.name else "list"
        return _VERBS.get(method, method.lower())


def parse_path(path: str) -> Target:
    """Read `/api/v1/…` or `/apis/<group>/<version>/…`; any other path (`/version`, `/readyz`) is a resource without a name.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
    """
    parts = path.strip("/").split("/")
    depth = {"api": 2, "apis": 3}.get(parts[0])
    if depth is None or len(parts) <= depth:
        return Target("/".join(parts[:1]), "", "")
    rest = parts[depth:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:  # noqa: PLR2004 - namespaces/<name>/<resource>
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = [*rest, "", ""][:3]
    return Target(f"{resource}/{subresource}" if subresource else resource, namespace, name)
