"""The part of Kubernetes' metadata that Keyturn reads."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from keyturn.api.field_types import StatusTime
from keyturn.api.rules import ApiModel


class ObjectMeta(ApiModel):
    """The part of Kubernetes' metadata that Keyturn reads."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the object, at most 63 characters: it becomes a label value and a part of annotation keys."""
    namespace: str = ""
    """Its namespace."""
    uid: str = ""
    """Identity of this very object; another one of the same name has another."""
    generation: int = 0
    """Grows with each change of the spec."""
    resource_version: str = ""
    """Changes with each write."""
    creation_timestamp: StatusTime | None = None
    """When it was created."""
    deletion_timestamp: StatusTime | None = None
    """When its deletion was asked for."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Its labels."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Its annotations."""
