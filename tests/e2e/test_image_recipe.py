"""How the image is made: from nothing to the same bytes, and by a container engine to the same files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.oci import RECIPE

pytestmark = pytest.mark.slow


def built(folder: Path, *, umask: int) -> bytes:
    """An archive made again, though nothing has changed."""
    command = [sys.executable, str(RECIPE / "build.py"), "--again", "--output", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, umask=umask, env={**os.environ, "PYTHONHASHSEED": str(umask)}
    )
    return Path(done.stdout.splitlines()[0]).read_bytes()


def test_it_is_the_same_bytes_every_time(product_image: Path, tmp_path: Path) -> None:
    """Slow: a build takes a quarter of a minute."""
    assert built(tmp_path, umask=0o077) == product_image.read_bytes()
