"""Where the API server keeps the objects of our kinds."""

from __future__ import annotations

from typing import Final

API_VERSION: Final = "keyturn.dev/v1alpha1"


def resource_path(plural: str, *, namespace: str = "", name: str = "") -> str:
    """Path of a kind's objects in a namespace; without one, of all of them, or of a kind that has none. With `name`: of that object."""
    parts = ["/apis", API_VERSION, *(["namespaces", namespace] if namespace else []), plural, *([name] if name else [])]
    return "/".join(parts)
