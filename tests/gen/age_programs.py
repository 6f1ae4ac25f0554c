"""`age` and `age-keygen` as far as our pages type them, over the library that reads and writes the format: not every machine has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_KEYGEN: Final = """
import pyrage
option, file = sys.argv[1:]
if option == "-y":
    with open(file) as made:
        (secret,) = [line for line in made.read().splitlines() if line.startswith("AGE-SECRET-KEY-1")]
    print(pyrage.x25519.Identity.from_str(secret).to_public())
else:
    assert option == "-o"
    identity = pyrage.x25519.Identity.generate()
    public = identity.to_public()
    with open(file, "x") as made:
        made.write(f"# public key: {public}\\n{identity}\\n")
    print(f"Public key: {public}", file=sys.stderr)
"""
_AGE: Final = """
import pyrage
decrypt, option, file = sys.argv[1:]
assert (decrypt, option) == ("--decrypt", "-i")
with open(file) as made:
    lines = [line for line in made.read().splitlines() if line.startswith("AGE-SECRET-KEY-1")]
identities = [pyrage.x25519.Identity.from_str(line) for line in lines]
sys.stdout.buffer.write(pyrage.decrypt(sys.stdin.buffer.read(), identities))
"""


def put_age_programs(folder: Path) -> Path:
    """Both as executables in a folder for the PATH."""
    for name, text in (("age-keygen", _KEYGEN), ("age", _AGE)):
        program = folder / name
        program.write_text(f"#!{sys.executable}\nimport sys\n{text}")
        program.chmod(0o755)
    return folder
