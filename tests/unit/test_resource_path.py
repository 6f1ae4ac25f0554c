"""Paths of our objects: a name in one is a name, whatever it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from keyturn.cluster.resource_path import path_part, resource_path


def test_a_path_names_group_namespace_kind_and_object_as_far_as_they_are_said() -> None:
    assert resource_path("apikeys") == "/apis/keyturn.dev/v1alpha1/apikeys"
    assert resource_path("apikeys", namespace="shop") == "/apis/keyturn.dev/v1alpha1/namespaces/shop/apikeys"
    assert resource_path("apikeys", namespace="shop", name="billing") == "/apis/keyturn.dev/v1alpha1/namespaces/shop/apikeys/billing"
    assert resource_path("apikeyrevocations", name="leaked") == "/apis/keyturn.dev/v1alpha1/apikeyrevocations/leaked"


@pytest.mark.parametrize("name", ["billing?x", "billing#", "x/../billing", "../billing", "..", ".", "%2E%2E", "billing%3Fx", "\ud800"])
def test_no_name_is_a_path_or_a_query(name: str) -> None:
    url = URL(f"https://api{resource_path('apikeys', namespace='shop', name=name)}")
    folder, _, last = url.raw_path_qs.rpartition("/")
    assert folder == "/apis/keyturn.dev/v1alpha1/namespaces/shop/apikeys"
    assert last
    assert url.fragment == ""


@given(name=st.text(min_size=1) | st.text(alphabet="./%2Eae?#\\;", min_size=1))
def test_whatever_a_name_holds_it_is_one_part_of_the_path(name: str) -> None:
    url = URL(f"https://api/a/{path_part(name)}/b")
    assert len(url.raw_parts) == 4
    assert (url.raw_parts[1], url.raw_parts[3], url.raw_query_string, url.raw_fragment) == ("a", "b", "", "")
