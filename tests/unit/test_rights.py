"""Which rights the operator insists on. That they are granted: `tests/cluster/deploy/test_rights.py`."""

from __future__ import annotations

import pytest

from keyturn.base.settings import AdmissionPolicies, SecretAccess, Settings
from keyturn.controller.rights import fence_rights, needed_rights


@pytest.mark.parametrize("access", SecretAccess)
def test_no_key_waits_for_a_right_to_look_at_policies(access: SecretAccess) -> None:
    settings = Settings(secret_access=access)
    assert fence_rights(settings) != ()
    assert not set(fence_rights(settings)) & set(needed_rights(settings))


def test_where_there_shall_be_no_policies_there_is_nothing_to_look_at() -> None:
    assert fence_rights(Settings(admission_policies=AdmissionPolicies.NONE)) == ()
