"""Make Keyturn's container image, without a registry and without a container engine.

    python deploy/image/build.py                     # build/image/keyturn-<version>.oci.tar, its SBOM and its digest beside it
    python deploy/image/build.py --root FOLDER       # only the root file system, as the Containerfile needs it
    python deploy/image/build.py --served            # not with the pinned Debian packages but with today's: other bytes, for tests
    python deploy/image/build.py --lock              # pin the Debian packages of today in debian.lock

The same checkout gives the same bytes. The Debian packages are pinned in debian.lock, the Python packages in requirements.lock.
It needs Debian's apt and dpkg-deb (no root), Python 3.11 or newer with pip, and the package registries.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import debian_packages
import python_packages
from debian_packages import CannotBuild
from kept import fingerprint, forget_oldest, kept_folder, only_one
from oci_archive import Image, Layer, architecture, write_image
from sbom import PLACE, Contents, bill_of_materials

REPOSITORY: Final = Path(__file__).resolve().parents[2]
NAME: Final = "keyturn"
USER: Final = 65532
_MEGABYTE: Final = 1_000_000
_IMAGES_KEPT: Final = 4


def main() -> int:
    """What the command line asks for."""
    asked = _arguments()
    os.umask(0o022)
    try:
        if asked.lock:
            with TemporaryDirectory(dir=kept_folder("image")) as scratch:
                debian_packages.write_lock(Path(scratch))
        elif asked.root is not None:
            fill_root(asked.root.resolve(), served=asked.served)
        else:
            _say_what_was_made(*kept_image(asked.output, again=asked.again, served=asked.served))
    except CannotBuild as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


def kept_image(output: Path, *, again: bool, served: bool) -> tuple[Path, str]:
    """The archive in `output`, and the image's digest; made only if the inputs have changed since the last time, or `again`."""
    version = str(python_packages.project(REPOSITORY)["version"])
    images = kept_folder("images")
    kept = images / f"keyturn-{fingerprint(REPOSITORY, architecture())}{'-served' * served}"
    kept.mkdir(exist_ok=True)
    archive = f"{NAME}-{version}.oci.tar"
    with only_one(kept):
        if again or not (kept / "digest").is_file():
            with TemporaryDirectory(prefix="root-", dir=kept_folder("image")) as scratch:
                root = Path(scratch) / "root"
                fill_root(root, served=served)
                digest = write_image(_image(root, version), kept / archive)
                shutil.copy(root / PLACE, kept / f"{NAME}-{version}.cdx.json")
            (kept / "digest").write_text(digest)
            forget_oldest(images.glob("keyturn-*"), keep=_IMAGES_KEPT)
        output.mkdir(parents=True, exist_ok=True)
        for name in (archive, f"{NAME}-{version}.cdx.json"):
            shutil.copy(kept / name, output / f"{name}.part")
            (output / f"{name}.part").replace(output / name)  # whoever reads the old one goes on reading it
        return output / archive, (kept / "digest").read_text()


def fill_root(root: Path, *, served: bool) -> None:
    """Make the root file system in an empty folder. `served`: of the Debian packages of today, not of the pinned ones."""
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise CannotBuild(f"{root} is not empty")
    machine, kept = os.uname().machine, kept_folder("image")
    for top in ("bin", "lib", "lib64"):
        (root / "usr" / top).mkdir(parents=True)
        (root / top).symlink_to(f"usr/{top}")
    with only_one(kept), TemporaryDirectory(dir=kept) as scratch:
        packages = debian_packages.served(architecture(), kept) if served else debian_packages.locked(architecture())
        for deb in debian_packages.fetch(packages, kept):
            debian_packages.unpack(deb, root)
        wheels = python_packages.fetch_wheels(python_packages.runtime_packages(REPOSITORY), kept / "wheels", machine=machine)
        own = python_packages.build_wheel(REPOSITORY, Path(scratch), kept / "wheels", machine=machine)
        for wheel in (*wheels, own):
            python_packages.unpack_wheel(wheel, root)
        project = python_packages.project(REPOSITORY)
        contents = Contents(
            name=NAME, version=project["version"], license=project["license"], description=project["description"],
            architecture=architecture(), debian=packages, wheels=wheels,
        )  # fmt: skip
        (root / PLACE).parent.mkdir(parents=True)
        (root / PLACE).write_text(bill_of_materials(contents))
    debian_packages.bundle_certificates(root)
    python_packages.write_programs(root)
    python_packages.write_bytecode(root, machine=machine)
    _write_accounts(root)
    _settle_rights(root)


def _write_accounts(root: Path) -> None:
    """The users that something may ask for by name, and where the nobody of this image may write if the file system is not read-only."""
    (root / "etc" / "passwd").write_text(f"root:x:0:0:root:/:/nonexistent\n{NAME}:x:{USER}:{USER}:{NAME}:/tmp:/nonexistent\n")
    (root / "etc" / "group").write_text(f"root:x:0:\n{NAME}:x:{USER}:\n")
    (root / "etc" / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for mount_point in ("dev", "proc", "sys", "tmp"):
        (root / mount_point).mkdir()


def _settle_rights(root: Path) -> None:
    for folder, folders, files in os.walk(root):
        for name in folders:
            if not (Path(folder) / name).is_symlink():
                (Path(folder) / name).chmod(0o755)
        for name in files:
            file = Path(folder) / name
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
    (root / "tmp").chmod(0o700)
    if os.geteuid() == 0:  # an engine's build copies what it finds; our own archive names the owner anyway
        os.chown(root / "tmp", USER, USER)


def _image(root: Path, version: str) -> Image:
    project = python_packages.project(REPOSITORY)
    labels = {
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.description": project["description"],
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": project["license"],
    }
    layer = Layer(root, owners={"tmp": USER})
    return Image(f"{NAME}:{version}", (layer,), entrypoint=("keyturn",), user=f"{USER}:{USER}", labels=labels)


def _say_what_was_made(archive: Path, digest: str) -> None:
    sys.stdout.write(f"{archive}\n{digest}\n{archive.stat().st_size / _MEGABYTE:.1f} MB\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make Keyturn's container image.")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "image", help="folder of the archive (default: build/image)")
    parser.add_argument("--again", action="store_true", help="make it even if nothing has changed")
    parser.add_argument("--root", type=Path, help="only make the root file system, in this folder")
    parser.add_argument("--served", action="store_true", help="not with the pinned Debian packages but with those of today, for tests")
    parser.add_argument("--lock", action="store_true", help="only pin the Debian packages of today")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
