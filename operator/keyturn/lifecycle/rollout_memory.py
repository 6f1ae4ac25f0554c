"""What is remembered of a rollout between two looks. Losing it costs one more look, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keyturn.api.workloads import Pending, RolloutView
from keyturn.lifecycle.plan import Waiting


@dataclass(frozen=True, slots=True)
class RolloutMemory:
    """The last look at the consumers of one key version."""

    key_id: str
    look_time: datetime
    pending: tuple[Pending, ...]
    total: int
    """Workloads that take part."""

    @property
    def complete(self) -> bool:
        """Whether nothing that started before the switch was left."""
        return not self.pending


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """The memory, and the view it was made from where this reconcile looked."""

    memory: RolloutMemory
    view: RolloutView | None = None
    refused: Waiting | None = None
    """Why a workload could not be annotated after that look."""
