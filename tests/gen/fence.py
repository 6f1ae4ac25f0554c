"""The fence of admission policies from outside: what each of them must refuse, and objects to try it with.

A policy is in force a moment after it was accepted. What is tried here is tried as a dry run and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gen.team import Api
from keyturn.base import names
from testbed.cluster import ApiFailed, Login

Json = dict[str, Any]

SYSTEM: Final = "keyturn-system"
RECORDS: Final = "keyturn-verifiers"
ACCOUNT: Final = "keyturn-operator"
OPERATOR: Final = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
MASTERS: Final = "system:masters"
SOMEBODY: Final = "somebody"
SECRETS: Final = "/api/v1/namespaces/{}/secrets"
REVOCATIONS: Final = "/apis/keyturn.dev/v1alpha1/apikeyrevocations"
WHO_BREAKS_GLASS: Final = ("--as=restorer", f"--as-group={MASTERS}", "--as-group=keyturn:break-glass")
"""What kubectl takes to be let through."""


def secret(name: str, kind: str = "Opaque", *, labels: Json | None = None, **metadata: object) -> Json:
    """A Secret with something in it."""
    about = {"name": name, "labels": labels or {}, **metadata}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": about, "stringData": {"password": "x"}}


def credential(name: str, *, labels: Json | None = None, **metadata: object) -> Json:
    """A credential Secret as the operator makes it, as far as the fence looks."""
    ours = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.APIKEY_LABEL: name}
    return secret(name, names.CREDENTIAL_TYPE, labels=ours | (labels or {}), **metadata)


def record(namespace: str, name: str, **metadata: object) -> Json:
    """Likewise a verifier record."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.APIKEY_LABEL: name, names.NAMESPACE_LABEL: namespace}
    return secret(f"{namespace}.{name}", names.RECORD_TYPE, labels=labels, **metadata)


def revocation(name: str, *, requested_by: str = "") -> Json:
    """An ApiKeyRevocation of a key that nobody has."""
    asked = {"requestedBy": requested_by} if requested_by else {}
    spec = {"keyIDs": ["nobodyknows1"], "reason": "Leaked", **asked}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True, slots=True)
class Canary:
    """A creation that one policy refuses."""

    policy: str
    path: str
    body: Json
    user: str = OPERATOR


_CONFIG_MAP: Final[Json] = {"metadata": {"name": "canary"}}
_DEPLOYMENT: Final[Json] = {
    "metadata": {"name": "canary"},
    "spec": {
        "selector": {"matchLabels": {"app": "canary"}},
        "template": {"metadata": {"labels": {"app": "canary"}}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}},
    },
}
CANARIES: Final = (
    Canary("keyturn-operator-secrets", SECRETS.format("default"), secret("canary")),
    Canary("keyturn-operator-workloads", "/apis/apps/v1/namespaces/default/deployments", _DEPLOYMENT),
    Canary("keyturn-operator-objects", "/api/v1/namespaces/default/configmaps", _CONFIG_MAP),
    Canary("keyturn-reserved-types", SECRETS.format("default"), credential("canary"), user=SOMEBODY),
    Canary("keyturn-records", SECRETS.format(RECORDS), secret("canary"), user=SOMEBODY),
    Canary("keyturn-requested-by", REVOCATIONS, revocation("canary", requested_by="somebody-else"), user=SOMEBODY),
)
"""Of all but keyturn-consume, which only somebody with rights on ApiKeys and none on an ApiProduct meets."""


def missing_in_the_fence(login: Login) -> list[str]:
    """The policies that are not in force yet."""
    return [each.policy for each in CANARIES if not _is_refused(login, each)]


def _is_refused(login: Login, canary: Canary) -> bool:
    api = Api(login, user=canary.user, group=MASTERS)
    try:
        api.ask("POST", f"{canary.path}?dryRun=All", canary.body)
    except ApiFailed as refused:
        return canary.policy in str(refused)
    finally:
        api.close()
    return False
