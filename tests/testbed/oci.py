"""Container images made from folders: what makes the product's image (deploy/image) makes the testbed's too."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

RECIPE: Final = Path(__file__).parents[2] / "deploy" / "image"
"""The folder of scripts that make the product's image; they stand on no path, since they are no part of the package."""
if str(RECIPE) not in sys.path:
    sys.path.append(str(RECIPE))

import oci_archive  # noqa: E402  only now it can be found

Image = oci_archive.Image
Layer = oci_archive.Layer
write_image = oci_archive.write_image
