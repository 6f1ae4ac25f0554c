"""Where the API server keeps the objects of our kinds, and a name as one part of any path."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

API_VERSION: Final = "keyturn.dev/v1alpha1"
_FOLDED: Final = {".", ".."}


def resource_path(plural: str, *, namespace: str = "", name: str = "") -> str:
    """Path of a kind's objects in a namespace; without one, of all of them, or of a kind that has none. With `name`: of that object."""
    where = ["namespaces", path_part(namespace)] if namespace else []
    return "/".join(["/apis", API_VERSION, *where, plural, *([path_part(name)] if name else [])])


def path_part(name: str) -> str:
    """A name as it stands in a path, where it is never a path or a query of its own, whatever it holds.

    `..` is folded by clients and proxies, also percent-encoded once. Encoded twice it is a name that no object has.
    """
    return "".join(f"%25{ord(dot):X}" for dot in name) if name in _FOLDED else quote(name, safe="", errors="surrogatepass")
