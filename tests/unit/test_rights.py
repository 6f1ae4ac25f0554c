"""Which rights the operator insists on, and what asking again costs. That they are granted: `tests/cluster/deploy/test_rights.py`."""

from __future__ import annotations

import pytest

from keyturn.base.settings import AdmissionPolicies, SecretAccess, Settings
from keyturn.controller.rights import fence_rights, needed_rights
from keyturn.controller.run import RIGHTS_EVERY


@pytest.mark.parametrize("access", SecretAccess)
def test_no_key_waits_for_a_right_to_look_at_policies(access: SecretAccess) -> None:
    settings = Settings(secret_access=access)
    assert fence_rights(settings) != ()
    assert not set(fence_rights(settings)) & set(needed_rights(settings))


def test_where_there_shall_be_no_policies_there_is_nothing_to_look_at() -> None:
    assert fence_rights(Settings(admission_policies=AdmissionPolicies.NONE)) == ()


def test_a_standby_asks_for_its_rights_at_less_than_one_question_in_five_seconds() -> None:
    settings = Settings()
    assert len(needed_rights(settings)) / (RIGHTS_EVERY * settings.lease_duration.total_seconds()) < 0.2
