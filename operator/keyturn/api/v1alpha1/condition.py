"""A condition in a status. Types and reasons are in `conditions.py`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from keyturn.api.field_types import Generation, StatusTime
from keyturn.api.rules import ApiModel


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """Whether something holds, since when and why: metav1.Condition.

    `type` and `reason` are plain strings here, since an older Keyturn must be able to read what a newer one wrote.
    """

    type: Annotated[str, StringConstraints(max_length=316, pattern="^[A-Za-z][A-Za-z0-9]*$")]
    """What is spoken of, for example Ready."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, in a word; all words are documented."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, in a sentence, with what to do."""
    observed_generation: Generation | None = None
    """Generation of the spec that this speaks of."""
    last_transition_time: StatusTime
    """When status last changed."""
