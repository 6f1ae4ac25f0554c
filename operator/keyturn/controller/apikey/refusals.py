"""What a refusal of the API server means for one ApiKey, in words for its status."""

from __future__ import annotations

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.errors import KeyturnError
from keyturn.cluster.api_errors import Forbidden, Invalid
from keyturn.cluster.record_secrets import RecordsNamespaceGone
from keyturn.lifecycle.plan import Annotate, Step, Waiting


class StepRefused(KeyturnError):
    """The API server refused a step of a plan."""

    def __init__(self, step: Step, refusal: Forbidden | Invalid) -> None:
        super().__init__(str(refusal))
        self.step = step
        self.refusal = refusal


def explain_refused_step(refused: StepRefused) -> Waiting:
    """What the status says of it."""
    step, refusal = refused.step, refused.refusal
    if isinstance(refusal, Forbidden) or refusal.denied_by is not None:
        return explain_refusal(refusal)
    if isinstance(step, Annotate):
        what = f"{step.kind} {step.name} does not roll out: the API server refuses the pod-template annotation that restarts it"
        return Waiting(Reason.WORKLOAD_REFUSED, f"{what} ({refusal}). Correct the workload; the old key is kept until its end")
    return Waiting(Reason.TEMPLATE_INVALID, f"The API server refuses what the spec asks for: {refusal}. Correct the spec")


def explain_refusal(refusal: Forbidden | Invalid) -> Waiting:
    """What the status says of one that may have met any request."""
    if isinstance(refusal, RecordsNamespaceGone):
        return Waiting(Reason.PERMISSION_MISSING, f"{refusal}. Apply Keyturn's manifests again; the records are then written anew")
    if isinstance(refusal, Forbidden) and refusal.namespace_terminating:
        return Waiting(Reason.NAMESPACE_TERMINATING, "The namespace is being deleted; no key is issued into it")
    if isinstance(refusal, Forbidden) and refusal.quota_exceeded:
        message = f"{refusal}: a ResourceQuota of the namespace is used up. Raise it, or delete what is not needed any more"
        return Waiting(Reason.ADMISSION_DENIED, message)
    if refusal.denied_by is not None:
        return Waiting(Reason.ADMISSION_DENIED, f"{refusal}. Except Keyturn from {refusal.denied_by}, or change the spec")
    return Waiting(Reason.PERMISSION_MISSING, f"{refusal}. Apply the operator's RBAC rules again")
