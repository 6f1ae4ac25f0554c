"""Archives packed anew, so that the same files always give the same bytes: sorted, owned by root, at one time."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def pack_anew(archive: Path, *, epoch: int) -> None:
    """Rewrite a .tar.gz in place; its entries keep names and contents, and nothing tells who packed it and when."""
    packed = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            plain = tarfile.TarInfo(member.name)
            plain.size, plain.type, plain.linkname, plain.mtime = member.size, member.type, member.linkname, epoch
            plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(plain, old.extractfile(member) if member.isfile() else None)
    archive.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))
