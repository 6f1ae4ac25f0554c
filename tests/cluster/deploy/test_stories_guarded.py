"""Stories that are told elsewhere of an operator that watches Secrets, told of one that may not read them.

The two admission policies that are about others are left out here: the stories' administrators edit what they like.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.test_corner_stories import (  # noqa: F401 - pytest collects them here
    test_a_record_that_lost_its_labels_gets_them_back,
    test_of_two_apikeys_with_one_secret_name_the_first_keeps_it_and_is_still_looked_after,
)
from cluster.test_record_stories import (  # noqa: F401 - pytest collects them here
    test_a_deleted_record_is_restored_without_a_rotation,
    test_a_deleted_status_comes_back_the_same_and_nothing_else_is_written,
    test_an_older_record_put_back_revives_no_dead_key,
    test_without_record_and_status_a_key_is_minted_above_every_number_known,
)
from cluster.test_rotation import (  # noqa: F401 - pytest collects them here
    test_keep_previous_holds_both_keys_during_the_overlap,
    test_keep_previous_holds_the_old_key_no_longer_than_it_is_accepted,
)
from cluster.test_secret_stories import (  # noqa: F401 - pytest collects them here
    test_a_changed_template_is_rendered_anew_with_the_same_key_and_no_rollout,
    test_a_conflict_ends_when_the_foreign_secret_is_removed,
    test_a_deleted_secret_is_replaced_by_a_new_version,
    test_a_foreign_secret_of_that_name_is_never_touched,
    test_a_repair_ends_the_retiring_version_first,
    test_a_secret_that_lost_our_label_is_repaired,
    test_a_secret_that_only_looks_like_ours_is_foreign,
    test_a_tampered_key_is_replaced_by_a_new_version,
    test_an_edit_beside_the_key_is_undone_without_a_rotation,
    test_an_immutable_secret_is_a_conflict_and_its_key_goes_on_working,
    test_owners_that_others_gave_the_secret_stay_beside_ours,
)
from gen.installed import EVERYWHERE, Installed
from gen.operator_process import OperatorProcess
from gen.team import Api, Team
from testbed.plane import Plane

BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
SHORT = {"secret_look_interval": "200ms"}


@pytest.fixture(scope="module")
def operator(plane: Plane, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    installed = Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("stories"))
    for policy in ("keyturn-reserved-types", "keyturn-records"):
        api.delete(f"{BINDINGS}/{policy}")
    with installed.start_operator(SHORT) as operator:
        yield operator.wait_ready()
        operator.stop()


@pytest.fixture
def team(plane: Plane, api: Api, operator: OperatorProcess, namespace: str) -> Team:
    return Team(
        plane,
        api,
        namespace,
        operator,
        records_namespace=operator.setting("records_namespace"),
        system_namespace=operator.setting("namespace"),
    )
