"""ValidatingAdmissionPolicies as far as they can be judged by reading them: that there is one, about whom, and that it is bound to deny."""

from __future__ import annotations

from typing import Final

from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.client import Client
from keyturn.cluster.raw import mapping_of, text_of

_V1: Final = "/apis/admissionregistration.k8s.io/v1"


async def why_not_in_force(client: Client, name: str, *, account: str = "") -> str | None:
    """What keeps the policy, and the binding of its name, from denying anything; None: nothing that is to be seen. Raises RetryLater.

    `account`: the user whom the policy must be about; empty: it is about others.
    """
    try:
        conditions = mapping_of(await client.get(f"{_V1}/validatingadmissionpolicies/{name}"), "spec").get("matchConditions")
    except NotFound:
        return f"ValidatingAdmissionPolicy {name} is missing"
    if account and not any(f"'{account}'" in text_of(each, "expression") for each in (conditions if isinstance(conditions, list) else ())):
        return f"ValidatingAdmissionPolicy {name} is not about {account}"
    try:
        binding = mapping_of(await client.get(f"{_V1}/validatingadmissionpolicybindings/{name}"), "spec")
    except NotFound:
        return f"ValidatingAdmissionPolicyBinding {name} is missing"
    actions = binding.get("validationActions")
    if text_of(binding, "policyName") != name or not isinstance(actions, list) or "Deny" not in actions:
        return f"ValidatingAdmissionPolicyBinding {name} does not deny what the policy refuses"
    if "matchResources" in binding:
        return f"ValidatingAdmissionPolicyBinding {name} is narrowed by matchResources"
    return None
