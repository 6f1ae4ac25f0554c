"""Who the API server takes us for."""

from __future__ import annotations

from typing import Final

from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.client import Client
from keyturn.cluster.raw import mapping_of, text_of

_REVIEWS: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def own_name(client: Client) -> str:
    """Our user name there, the one that admission sees; empty where we may not ask. Raises RetryLater if the server could not say."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await client.request("POST", _REVIEWS, body=review)
    except (Forbidden, NotFound):
        return ""
    return text_of(mapping_of(mapping_of(answer, "status"), "userInfo"), "username")
