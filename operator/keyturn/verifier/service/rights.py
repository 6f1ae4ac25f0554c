"""The rights a verifier needs: asked for at the start, granted by `deploy/` and the chart; a test compares the three.

It reads hashes and public keys, and writes what it has to say of itself. No right on anything of a team, nor on a private key.
"""

from __future__ import annotations

from typing import Final

from keyturn.base.names import GROUP
from keyturn.cluster.permissions import Right
from keyturn.keys.verification_keys import CONFIG_MAP_NAME
from keyturn.verifier.service.settings import VerifierSettings

_LEASES: Final = "coordination.k8s.io"


def needed_rights(settings: VerifierSettings) -> tuple[Right, ...]:
    """Every verb on every resource, in the namespace where it is used. RBAC cannot say "only those that are its own"."""
    home, records = settings.namespace, settings.records_namespace
    return (
        *(Right(verb, "", "configmaps", namespace=home, name=CONFIG_MAP_NAME) for verb in ("list", "watch")),
        *(Right(verb, "", "secrets", namespace=records) for verb in ("list", "watch")),
        *(Right(verb, _LEASES, "leases", namespace=records) for verb in ("get", "create", "update", "delete")),
        *(Right(verb, "", "configmaps", namespace=records) for verb in ("list", "create", "patch")),
        Right("report", GROUP, "verifiers", namespace=records),
    )
