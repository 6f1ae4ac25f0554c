"""The testbed by hand: `python -m testbed up --keep`, `down`, `binaries` (with tests/ on the path; `make demo` does it so)."""

from __future__ import annotations

import argparse
import hashlib
import shlex
import signal
from pathlib import Path

from testbed.binaries import kwok_stages, programs
from testbed.cache import cache_folder, say
from testbed.plane import Plane, Shape, end_left_plane
from testbed.recipes import CONTROL_PLANE, RECIPES


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m testbed", description="A real Kubernetes on this machine.")
    parser.add_argument("--name", default="plane", help="several planes of one checkout have different names")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a plane; prints the export lines of a shell")
    up.add_argument("--nodes", type=int, default=3, help="kwok nodes")
    up.add_argument("--audit", action="store_true", help="keep an audit log")
    up.add_argument("--keep", action="store_true", help="leave it running; without, it ends with this command (Ctrl-C)")
    commands.add_parser("down", help="end the plane that was kept")
    build = commands.add_parser("binaries", help="build programs and print their paths")
    build.add_argument("names", nargs="*", choices=[[], *RECIPES], help="default: those of the control plane")
    options = parser.parse_args()
    match options.command:
        case "up":
            _up(own_folder(options.name), Shape(nodes=options.nodes, audit=options.audit), keep=options.keep)
        case "down":
            say("ended" if end_left_plane(own_folder(options.name)) else "nothing was running")
        case _:
            for path in programs(*(options.names or CONTROL_PLANE)).values():
                print(path)
            if not options.names:
                kwok_stages()


def own_folder(name: str) -> Path:
    """Where the plane `name` of this checkout lives; other checkouts have others."""
    checkout = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:8]
    return cache_folder() / "planes" / f"{name}-{checkout}"


def _up(folder: Path, shape: Shape, *, keep: bool) -> None:
    end_left_plane(folder)
    folder.mkdir(parents=True)
    plane = Plane.start(shape, folder=folder)
    print(f"export KUBECONFIG={shlex.quote(str(plane.kubeconfig))}", flush=True)
    if keep:
        plane.leave()
        return
    try:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except KeyboardInterrupt:
        pass
    finally:
        plane.stop()
        end_left_plane(folder)


if __name__ == "__main__":
    main()
