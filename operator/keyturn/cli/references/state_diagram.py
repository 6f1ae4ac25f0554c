"""The picture of a key version's life, made from the state table: docs/explanation/key-versions.mmd. Run by `make docs`.

python -m keyturn.cli.references.state_diagram FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from keyturn.base.version_state import VersionState
from keyturn.lifecycle.versions import MOVES

FILE_NAME: Final = "key-versions.mmd"
_HEAD: Final = """\
%% Made by `make docs` from MOVES in operator/keyturn/lifecycle/versions.py. Edit the table there, not this picture.
stateDiagram-v2
    direction LR
"""


def write_state_diagram(folder: Path) -> Path:
    """Write the picture into the folder; the same table always gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE_NAME
    file.write_text(state_diagram(), encoding="utf-8")
    return file


def state_diagram() -> str:
    """The table as a Mermaid state diagram: versions begin Staged, and what has no way out is dead."""
    lines = [f"    [*] --> {VersionState.STAGED}: minted"]
    for state, moves in MOVES.items():
        lines += [f"    {state} --> {target}: {_label(why)}" for target, why in moves.items()]
        if not moves:
            lines.append(f"    {state} --> [*]")
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _label(why: str) -> str:
    """Mermaid ends a label at a semicolon or a second colon."""
    return why.replace(": ", ", ").replace(";", ",")


if __name__ == "__main__":
    write_state_diagram(Path(sys.argv[1]))
