"""The patch that a status write sends, applied as RFC 7386 says, makes of the one status the other."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from keyturn.api.v1alpha1.apiproduct import ApiProductStatus
from keyturn.cluster.merge_patch import merge_patch, model_patch

LEAVES = st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
OBJECTS = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8)
STATUSES = st.dictionaries(st.sampled_from("abc"), OBJECTS, max_size=3)


def applied(patch: object, target: object) -> object:
    """RFC 7386, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    left = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            left.pop(name, None)
        else:
            left[name] = applied(value, left.get(name))
    return left


@given(STATUSES, STATUSES)
def test_a_patch_makes_of_what_is_there_what_should_be_there(before: dict[str, object], after: dict[str, object]) -> None:
    patch = merge_patch(before, after)
    assert applied(patch, before) == after
    assert bool(patch) == (before != after)


def test_a_first_status_is_sent_whole_and_one_that_is_there_not_again() -> None:
    status = ApiProductStatus.model_validate({"observedGeneration": 3, "keys": {"total": 2, "ready": 1}})
    sent = model_patch(None, status)
    assert sent["observedGeneration"] == 3
    assert ApiProductStatus.model_validate(sent) == status
    assert model_patch(status, status) == {}
    assert model_patch(status, status.model_copy(update={"observed_generation": 4})) == {"observedGeneration": 4}
