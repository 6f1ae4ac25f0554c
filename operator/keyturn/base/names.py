"""Names on the wire that more than one module writes: labels, annotations, Secret types. Renaming one breaks users."""

from __future__ import annotations

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
