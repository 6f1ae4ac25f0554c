"""The rights the operator needs in watch mode: asked for at the start, granted by `deploy/rbac.yaml`; a test compares the two."""

from __future__ import annotations

from keyturn.base.settings import Settings
from keyturn.cluster.permissions import Right

KEYTURN = "keyturn.dev"


def needed_rights(settings: Settings) -> tuple[Right, ...]:
    """Every verb on every resource, in the namespaces where it is used."""
    watched = watched_namespaces(settings) or ("",)
    rights = [right for namespace in watched for right in _in_tenants(namespace)]
    rights += [Right(verb, "", "secrets", namespace=settings.records_namespace) for verb in ("get", "list", "watch", "create", "patch")]
    rights += [Right(verb, "", "secrets", namespace=settings.namespace) for verb in ("get", "create")]
    rights += [Right(verb, "", "configmaps", namespace=settings.namespace) for verb in ("get", "create", "patch")]
    rights += [Right(verb, "coordination.k8s.io", "leases", namespace=settings.namespace) for verb in ("get", "create", "update")]
    return tuple(rights)


def watched_namespaces(settings: Settings) -> tuple[str, ...]:
    """The namespaces whose ApiKeys are managed; empty: all."""
    return tuple(name.strip() for name in settings.watch_namespaces.split(",") if name.strip())


def _in_tenants(namespace: str) -> list[Right]:
    rights = [Right(verb, KEYTURN, "apikeys", namespace=namespace) for verb in ("get", "list", "watch")]
    rights.append(Right("patch", KEYTURN, "apikeys", "status", namespace=namespace))
    rights += [Right(verb, "", "secrets", namespace=namespace) for verb in ("get", "list", "watch", "create", "patch")]
    rights.append(Right("create", "events.k8s.io", "events", namespace=namespace))
    rights.append(Right("list", "", "pods", namespace=namespace))
    for resource in ("deployments", "statefulsets", "daemonsets"):
        rights += [Right(verb, "apps", resource, namespace=namespace) for verb in ("list", "patch")]
    return rights
