from __future__ import annotations

from keyturn.cluster.resource_path import resource_path


def test_a_path_names_group_namespace_kind_and_object_as_far_as_they_are_said() -> None:
    assert resource_path("apikeys") == "/apis/keyturn.dev/v1alpha1/apikeys"
    assert resource_path("apikeys", namespace="shop") == "/apis/keyturn.dev/v1alpha1/namespaces/shop/apikeys"
    assert resource_path("apikeys", namespace="shop", name="billing") == "/apis/keyturn.dev/v1alpha1/namespaces/shop/apikeys/billing"
    assert resource_path("apikeyrevocations", name="leaked") == "/apis/keyturn.dev/v1alpha1/apikeyrevocations/leaked"
