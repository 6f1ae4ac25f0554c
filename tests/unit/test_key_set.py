"""KeySet: a set, counted by namespace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.names import Key
from keyturn.controller.key_set import KeySet

KEYS = st.builds(Key, st.sampled_from("ab"), st.sampled_from("xyz"))


@given(st.lists(st.tuples(st.booleans(), KEYS)))
def test_it_is_a_set_and_counts_each_namespace(steps: list[tuple[bool, Key]]) -> None:
    keys, model = KeySet(), set[Key]()
    for is_added, key in steps:
        (keys.add if is_added else keys.discard)(key)
        (model.add if is_added else model.discard)(key)
        assert (key in keys) == (key in model)
        assert [keys.count(namespace) for namespace in "ab"] == [sum(each.namespace == namespace for each in model) for namespace in "ab"]
    again = KeySet()
    again.update(model)
    assert all(key in again for key in model)
