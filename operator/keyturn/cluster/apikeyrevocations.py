"""Where the API server keeps ApiKeyRevocations, and reading them as a watch delivers them. After it: `controller/revocations.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from keyturn.api.rules import explain_invalid
from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.cluster.raw import mapping_of, text_of
from keyturn.cluster.resource_path import resource_path

PLURAL: Final = "apikeyrevocations"
COLLECTION_PATH: Final = resource_path(PLURAL)

log = get_logger(__name__)


def object_path(name: str) -> str:
    """Path of one ApiKeyRevocation."""
    return resource_path(PLURAL, name=name)


def decode_revocation(item: Mapping[str, object]) -> tuple[Key, ApiKeyRevocation] | None:
    """One object of a list or watch. One that breaks a rule, which no API server of today stores, is no revocation."""
    name = text_of(mapping_of(item, "metadata"), "name")
    try:
        return Key("", name), ApiKeyRevocation.model_validate(item)
    except ValidationError as error:
        log.error("An ApiKeyRevocation cannot be read and revokes nothing", name=name, problem="; ".join(explain_invalid(error)))
        return None
