"""Names on the wire that more than one module writes: labels, annotations, Secret types. Renaming one breaks users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

GROUP: Final = "keyturn.dev"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "keyturn"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
VERIFIER: Final = "verifier"
APIKEY_LABEL: Final = "keyturn.dev/apikey"
NAMESPACE_LABEL: Final = "keyturn.dev/namespace"
KEY_ID_ANNOTATION: Final = "keyturn.dev/key-id"
VERSION_ANNOTATION: Final = "keyturn.dev/version"
ADOPTION_TAG_ANNOTATION: Final = "keyturn.dev/adoption-tag"
ROTATE_ANNOTATION: Final = "keyturn.dev/rotate-requested-at"
RECEIVED_ANNOTATION: Final = "keyturn.dev/received"
APPLIED_ANNOTATION: Final = "keyturn.dev/applied-resource-version"
REFUSED_ANNOTATION: Final = "keyturn.dev/refused-records"
HIGHEST_ANNOTATION: Final = "keyturn.dev/highest-version"
PAUSED_ANNOTATION: Final = "keyturn.dev/paused"
ROLLOUT_ALLOW_ANNOTATION: Final = "keyturn.dev/rollout"
ROLLOUT_ANNOTATION_PREFIX: Final = "rollout.keyturn.dev/"
USE_REPORT: Final = "verifier-use"
NEWER_RECORDS: Final = "verifier-newer-records"
REPLICA_ANNOTATION: Final = "keyturn.dev/verifier"
CREDENTIAL_TYPE: Final = "keyturn.dev/api-key"
RECORD_TYPE: Final = "keyturn.dev/verifier-record"
ROOT_TYPE: Final = "keyturn.dev/root"
TOKEN_DATA_KEY: Final = "api-key"
PREVIOUS_TOKEN_DATA_KEY: Final = "previous-api-key"
FIELD_MANAGER: Final = "keyturn"
DEFAULT_AUDIENCE: Final = "default"
"""Of keys without a product, which whoever may create an ApiKey has; so no product may have it."""
SECRETS_POLICY: Final = "keyturn-operator-secrets"
WORKLOADS_POLICY: Final = "keyturn-operator-workloads"
OBJECTS_POLICY: Final = "keyturn-operator-objects"
TYPES_POLICY: Final = "keyturn-reserved-types"
RECORDS_POLICY: Final = "keyturn-records"
CONSUME_POLICY: Final = "keyturn-consume"
REQUESTED_BY_POLICY: Final = "keyturn-requested-by"
POLICIES: Final = (
    *(SECRETS_POLICY, WORKLOADS_POLICY, OBJECTS_POLICY),
    *(TYPES_POLICY, RECORDS_POLICY, CONSUME_POLICY, REQUESTED_BY_POLICY),
)
"""The admission policies of the fence; each is bound by a binding of its name."""
TRIED_POLICIES: Final = (SECRETS_POLICY, OBJECTS_POLICY)
"""Those that the operator makes refuse it something. The others it reads."""
_RECORD_NAME: Final = re.compile(
    "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.]"
    r"(?=.{1,63}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
"""A namespace and the name of an ApiKey, which may have dots. Both become label values, of 63 characters at most."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which ApiKey: the queue's item and every cache's index."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def record_name(self) -> str:
        """The name of its verifier record. Unambiguous: a namespace has no dot."""
        return f"{self.namespace}.{self.name}"

    @classmethod
    def of_record(cls, record_name: str) -> Key:
        """Whose record has that name. Never raises: without a dot the name is empty, and no ApiKey is called so."""
        namespace, _, name = record_name.partition(".")
        return cls(namespace, name)


def is_record_name(text: str) -> bool:
    """Whether a record may have that name. What somebody else wrote is asked before it is taken for one: it may be a path, or a query."""
    return _RECORD_NAME.fullmatch(text) is not None
