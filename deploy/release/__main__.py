"""`make release`: everything that is published of one commit, into dist/. The same commit gives the same bytes."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from release.artefacts import PARTS, checksums, released, sha256
from release.source import Refused, Source, export_source, warn_of_rehearsal
from release.versions import ROOT


def main() -> int:
    """Build what is asked for; answers the exit status."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="the folder; what is in it goes (default: dist)")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these of {', '.join(PARTS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    os.umask(0o022)
    try:
        with TemporaryDirectory(prefix="keyturn-release-") as scratch:
            source = export_source(ROOT, Path(scratch))
            warn_of_rehearsal(source)
            _build(source, options.into, options.parts or list(PARTS))
    except (Refused, RuntimeError) as failure:
        print(f"Not released: {failure}", file=sys.stderr)
        return 1
    return 0


def _build(source: Source, target: Path, parts: list[str]) -> None:
    print(f"== Keyturn {source.version}, commit {source.commit[:12]}", flush=True)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in parts:
        start = time.monotonic()
        print(f"   {name} ...", end="", flush=True)
        PARTS[name](source, target)
        print(f" {time.monotonic() - start:.1f} s", flush=True)
    checksums(target)
    print(f"\n{'file':<36}{'bytes':>12}  sha256")
    for file in released(target):
        print(f"{file.name:<36}{file.stat().st_size:>12,}  {sha256(file)[:16]}")
    print(f"\nAll in {target}; sha256sum --check SHA256SUMS checks them")


if __name__ == "__main__":
    sys.exit(main())
