"""The folder that this verifier shares with an application in its pod, which checks keys itself: `verifier/shared_folder.py` is its side.

Into it go the snapshot (`snapshot_writer.py`) and the public keys; out of it come the key IDs that the application accepted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.keys.verification_keys import VerificationKeys
from keyturn.verifier.shared_folder import KEYS, SNAPSHOT, USES

LAG: Final = 3.0
"""Seconds after which every use has been told here: the application's second, and twice ours."""

log = get_logger(__name__)


class AppFolderUnusable(KeyturnError):
    """Without it the application would know no key, and nobody would see why."""


class AppFolder:
    """What this process does in it. Whatever it does beside requests takes microseconds: a few lines at most."""

    def __init__(self, folder: Path) -> None:
        """Raises AppFolderUnusable where nothing could be kept."""
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise AppFolderUnusable(f"--app-folder: {folder} is no folder that this process may write into: mount one for both containers")
        self.snapshot, self.keys_file = folder / SNAPSHOT, folder / KEYS
        self._uses, self._taken = folder / USES, folder / f"{USES}.taken"

    def write_keys(self, keys: VerificationKeys) -> None:
        """Before any record that they vouch for stands in the snapshot."""
        fresh = self.keys_file.with_name(f"{KEYS}.new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "w") as writer:
                writer.write(keys.to_data()[KEYS])
            fresh.replace(self.keys_file)
        except OSError as error:
            log.error("The public keys cannot be written for the application", file=str(self.keys_file), problem=error.strerror)

    def take_uses(self, note: Callable[[str], object]) -> None:
        """What was used, by key ID. The file is put aside now and read the next time: somebody may be writing into it."""
        try:
            if self._taken.exists():
                for key_id in self._taken.read_text(encoding="ascii", errors="replace").splitlines():
                    note(key_id)
                self._taken.unlink()
            if self._uses.exists():
                self._uses.replace(self._taken)
        except OSError as error:
            log.warning("What the application used cannot be read", file=str(self._uses), problem=error.strerror)
