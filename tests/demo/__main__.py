"""`make demo`: the main job in a minute, on a cluster of its own. KEEP=1 leaves it running, --stop ends what was left.

Read on in `story.py`. It needs nothing but what the Makefile sets up; several checkouts can play at the same time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # this folder is a package of tests/, as for pytest

from demo.screen import CommandFailed, Screen  # noqa: E402 - after the path is set
from demo.stage import stop_kept  # noqa: E402
from demo.story import play  # noqa: E402


def main() -> int:
    """Play it, or end what an earlier one left; answers the exit status."""
    if sys.argv[1:] == ["--stop"]:
        print("Ended." if stop_kept() else "Nothing was running.")
        return 0
    try:
        play(Screen(), keep=os.environ.get("KEEP", "") not in {"", "0"})
    except (CommandFailed, RuntimeError, TimeoutError) as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything was stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
