"""Reads the frozen vectors in tests/vectors; their README says where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[1] / "vectors"


def cases(name: str) -> list[dict[str, Any]]:
    """All cases of one file. Each has an `origin`; a file without cases is an error, so that nothing passes by being empty."""
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    if not found or any("origin" not in case for case in found):
        raise ValueError(f"{name}.json has no cases, or one without an origin")
    return found
