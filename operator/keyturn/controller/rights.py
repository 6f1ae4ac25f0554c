"""The rights the operator needs, asked for at the start, and those it can do without; all granted by `deploy/`: a test compares."""

from __future__ import annotations

from typing import Final

from keyturn.base.names import GROUP, POLICIES, TRIED_POLICIES
from keyturn.base.settings import AdmissionPolicies, SecretAccess, Settings
from keyturn.cluster.permissions import Right
from keyturn.keys.verification_keys import CONFIG_MAP_NAME

LEASE_NAME: Final = "keyturn-operator"
CANARY_NAME: Final = "keyturn-canary"
"""The Secret on which the admission policies are tried: to be patched by right, and refused by them."""

_LEASES: Final = "coordination.k8s.io"
_ON_CREDENTIALS: Final = {
    SecretAccess.GUARDED: ("create", "patch"),
    SecretAccess.WATCH: ("get", "list", "watch", "create", "patch"),
}


def needed_rights(settings: Settings) -> tuple[Right, ...]:
    """Every verb on every resource without which keys would wait, in the namespaces where it is used."""
    tenants = (right for namespace in _scopes(settings) for right in _in_tenants(namespace, settings.secret_access))
    homes = (*_among_records(settings.records_namespace), *_at_home(settings))
    return (*tenants, *_of_the_cluster(settings), *homes)


def fence_rights(settings: Settings) -> tuple[Right, ...]:
    """To see by their names that the policies are there that it cannot try. No key needs them: without them that is what is told."""
    if settings.admission_policies is AdmissionPolicies.NONE:
        return ()
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    names = [name for name in POLICIES if name not in TRIED_POLICIES]
    return tuple(Right("get", "admissionregistration.k8s.io", kind, name=name) for kind in kinds for name in names)


def argo_rights(settings: Settings) -> tuple[Right, ...]:
    """What restarting Argo Rollouts needs besides, where there are any."""
    return tuple(Right(verb, "argoproj.io", "rollouts", namespace=scope) for scope in _scopes(settings) for verb in ("list", "patch"))


def revocation_rights() -> tuple[Right, ...]:
    """What following ApiKeyRevocations needs."""
    reading = tuple(Right(verb, GROUP, "apikeyrevocations") for verb in ("list", "watch"))
    return (*reading, Right("patch", GROUP, "apikeyrevocations", "status"))


def watched_namespaces(settings: Settings) -> tuple[str, ...]:
    """The namespaces whose ApiKeys are managed; empty: all."""
    return tuple(name.strip() for name in settings.watch_namespaces.split(",") if name.strip())


def _scopes(settings: Settings) -> tuple[str, ...]:
    return watched_namespaces(settings) or ("",)


def _in_tenants(namespace: str, access: SecretAccess) -> list[Right]:
    rights = [Right(verb, GROUP, "apikeys", namespace=namespace) for verb in ("get", "list", "watch")]
    rights.append(Right("patch", GROUP, "apikeys", "status", namespace=namespace))
    rights += [Right(verb, GROUP, "apiproducts", namespace=namespace) for verb in ("list", "watch")]
    rights.append(Right("patch", GROUP, "apiproducts", "status", namespace=namespace))
    rights += [Right(verb, "", "secrets", namespace=namespace) for verb in _ON_CREDENTIALS[access]]
    rights.append(Right("create", "events.k8s.io", "events", namespace=namespace))
    rights.append(Right("list", "", "pods", namespace=namespace))
    for resource in ("deployments", "statefulsets", "daemonsets"):
        rights += [Right(verb, "apps", resource, namespace=namespace) for verb in ("list", "patch")]
    return rights


def _of_the_cluster(settings: Settings) -> list[Right]:
    """ApiProducts admit namespaces by their labels; ApiKeyRevocations are about all. Who manages only some namespaces may have neither."""
    return [] if watched_namespaces(settings) else [*(Right(verb, "", "namespaces") for verb in ("list", "watch")), *revocation_rights()]


def _among_records(namespace: str) -> list[Right]:
    """Records, and what verifiers say: in Leases what they know, in ConfigMaps which keys are used."""
    rights = [Right(verb, "", "secrets", namespace=namespace) for verb in ("get", "list", "watch", "create", "patch")]
    for group, resource in ((_LEASES, "leases"), ("", "configmaps")):
        rights += [Right(verb, group, resource, namespace=namespace) for verb in ("list", "watch", "delete")]
    return rights


def _at_home(settings: Settings) -> list[Right]:
    """In the operator's own namespace. RBAC knows no name at creation; everything else is about one object each."""
    home = settings.namespace
    return [
        Right("create", "", "secrets", namespace=home),
        *(Right(verb, "", "secrets", namespace=home, name=settings.root_secret) for verb in ("get", "list", "watch")),
        Right("patch", "", "secrets", namespace=home, name=CANARY_NAME),
        Right("create", "", "configmaps", namespace=home),
        *(Right(verb, "", "configmaps", namespace=home, name=CONFIG_MAP_NAME) for verb in ("get", "patch")),
        Right("create", _LEASES, "leases", namespace=home),
        *(Right(verb, _LEASES, "leases", namespace=home, name=LEASE_NAME) for verb in ("get", "update")),
    ]
