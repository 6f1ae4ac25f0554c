"""What the image's archive holds and says. No node, no root and no container engine is needed for it."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import tarfile
import tomllib
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement

from gen.installed import DEPLOY

Json = dict[str, Any]
ROOT: Final = Path(__file__).parents[2]
PROJECT: Final[Json] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LARGEST: Final = 120_000_000
PACKAGES: Final = Path("usr/local/lib/python3.11/dist-packages")
BILL: Final = Path("usr/share/sbom/keyturn.cdx.json")
EVERYTHING: Final = """
import importlib, pkgutil, sys
import keyturn
for module in pkgutil.walk_packages(keyturn.__path__, "keyturn."):
    importlib.import_module(module.name)
print(sum(name.startswith("keyturn.") for name in sys.modules))
"""


class Unpacked:
    """An image's archive, read as an engine reads it."""

    def __init__(self, archive: Path, root: Path) -> None:
        self.archive, self.root = archive, root
        with tarfile.open(archive) as whole:
            self.blobs = {name: whole.extractfile(name).read() for name in whole.getnames()}  # type: ignore[union-attr]  # files only
        self.index = json.loads(self.blobs["index.json"])
        manifest = self.named(self.index["manifests"][0])
        self.configuration = self.named(manifest["config"])
        (layer,) = manifest["layers"]
        blob = root.with_suffix(".tar")
        blob.write_bytes(self.blobs[f"blobs/sha256/{layer['digest'].removeprefix('sha256:')}"])
        with tarfile.open(blob) as files:
            self.files = {member.name: member for member in files}
            files.extractall(root, filter="tar")

    def named(self, descriptor: Json) -> Json:
        """The document that a descriptor names; its hash is right."""
        data = self.blobs[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
        assert hashlib.sha256(data).hexdigest() == descriptor["digest"].removeprefix("sha256:")
        document: Json = json.loads(data)
        return document

    def python(self, script: str) -> str:
        """What the image's Python prints, run by its own loader in place of a container."""
        libraries = self.root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
        command = [next(libraries.glob("ld-linux-*")), "--library-path", libraries, self.root / "usr/bin/python3.11", "-s", "-c", script]
        environment = {"PYTHONHOME": str(self.root / "usr"), "PYTHONPATH": str(self.root / PACKAGES)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def image(product_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    return Unpacked(product_image, tmp_path_factory.mktemp("image") / "root")


def test_the_image_is_small(image: Unpacked) -> None:
    assert sum(file.size for file in image.files.values()) <= LARGEST
    assert image.archive.stat().st_size <= LARGEST


def test_it_says_what_it_is_and_runs_as_nobody(image: Unpacked) -> None:
    assert image.configuration["config"] == {
        "Entrypoint": ["keyturn"],
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"],
        "User": "65532:65532",
        "WorkingDir": "/",
        "Labels": {
            "org.opencontainers.image.title": "keyturn",
            "org.opencontainers.image.description": PROJECT["description"],
            "org.opencontainers.image.version": PROJECT["version"],
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    }


def test_containerd_and_docker_find_the_same_name_in_it(image: Unpacked) -> None:
    (entry,) = image.index["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == f"docker.io/library/keyturn:{PROJECT['version']}"
    (for_docker,) = json.loads(image.blobs["manifest.json"])
    assert for_docker["RepoTags"] == [f"keyturn:{PROJECT['version']}"]
    assert image.blobs[for_docker["Config"]] == json.dumps(image.configuration, sort_keys=True).encode()


def test_the_containerfile_says_the_same_of_it(image: Unpacked) -> None:
    """Who builds with an engine gets the labels, the user and the entry point of who does not."""
    text = (DEPLOY / "image" / "Containerfile").read_text().replace("\\\n", " ")
    said = image.configuration["config"]
    assert dict(re.findall(r'(org\.opencontainers\.image\.\w+)="([^"]*)"', text)) == said["Labels"]
    after = dict(re.findall(r"^(ENV|WORKDIR|USER|ENTRYPOINT) (.*)$", text, re.MULTILINE))
    assert after == {
        "ENV": said["Env"][0],
        "WORKDIR": said["WorkingDir"],
        "USER": said["User"],
        "ENTRYPOINT": json.dumps(said["Entrypoint"]),
    }


def test_the_manifests_name_this_version() -> None:
    (named,) = yaml.safe_load((DEPLOY / "base" / "kustomization.yaml").read_text())["images"]
    assert named["newTag"] == PROJECT["version"]


def test_nobody_can_change_it_and_nothing_gives_rights(image: Unpacked) -> None:
    files = {name: file for name, file in image.files.items() if not file.issym()}
    assert {name: oct(file.mode) for name, file in files.items() if file.mode & 0o7022} == {}
    assert {name for name, file in image.files.items() if (file.uid, file.gid) != (0, 0)} == {"tmp"}
    assert {file.type for file in image.files.values()} == {tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE}


def test_python_and_keyturn_are_its_only_programs(image: Unpacked) -> None:
    runnable = {name for name, file in image.files.items() if file.isreg() and file.mode & 0o111 and "/lib/" not in f"/{name}"}
    assert runnable == {"usr/bin/python3.11", "usr/local/bin/keyturn", "usr/local/bin/kubectl-keyturn"}


def test_every_command_of_the_project_is_there(image: Unpacked) -> None:
    assert {path.name for path in (image.root / "usr/local/bin").iterdir()} == set(PROJECT["scripts"])
    assert set(PROJECT["scripts"].values()) == {"keyturn.cli.main:main"}


def test_every_module_of_the_product_can_be_imported(image: Unpacked) -> None:
    """What was left out of Python and its packages is really not needed."""
    modules = [file for file in (ROOT / "operator").rglob("*.py") if file.parent.name != "keyturn"]
    assert int(image.python(EVERYTHING)) == len(modules)


def test_all_of_its_bytecode_is_there_and_never_checked(image: Unpacked) -> None:
    sources = [image.root / name for name in image.files if name.endswith(".py")]
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", f"{source} is checked against its source at each start"
    assert len(sources) > 1000


EXTRAS = ("operator", "verifier", "jwt", "cli")


def installed(image: Unpacked) -> dict[str, PathDistribution]:
    found = [PathDistribution(folder) for folder in (image.root / PACKAGES).glob("*.dist-info")]
    return {re.sub(r"[-_.]+", "-", str(each.metadata["Name"])).lower(): each for each in found}


def needs(distribution: PathDistribution, extras: tuple[str, ...]) -> set[str]:
    """The names a package asks for on the image's Python."""
    here = {**default_environment(), "python_version": "3.11", "python_full_version": "3.11.2"}
    wanted = map(Requirement, distribution.requires or ())
    return {
        re.sub(r"[-_.]+", "-", each.name).lower()
        for each in wanted
        if each.marker is None or any(each.marker.evaluate({**here, "extra": extra}) for extra in extras)
    }


def test_it_has_the_packages_that_operator_verifier_and_command_need_and_no_others(image: Unpacked) -> None:
    there = installed(image)
    wanted: set[str] = {"keyturn"}
    more = set(wanted)
    while more:
        more = {name for each in more for name in needs(there[each], EXTRAS if each == "keyturn" else ("",))} - wanted
        wanted |= more
    assert set(there) == wanted


def test_its_packages_are_those_of_the_lock_file(image: Unpacked) -> None:
    pinned = dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    there = {name: each.version for name, each in installed(image).items()}
    assert there.pop("keyturn") == PROJECT["version"]
    assert there == {name: pinned[name] for name in there}


def test_the_bill_of_materials_names_every_package_with_version_and_hash(image: Unpacked) -> None:
    text = (image.root / BILL).read_text()
    assert text == image.archive.with_name(image.archive.name.replace(".oci.tar", ".cdx.json")).read_text()
    components: list[Json] = json.loads(text)["components"]
    debian = {(each["name"], each["version"]): each["hashes"][0]["content"] for each in components if "pkg:deb" in each["purl"]}
    records = [path.read_text() for path in (image.root / "var/lib/dpkg/status.d").iterdir()]
    assert set(debian) == {(_field(record, "Package"), _field(record, "Version")) for record in records}
    architecture = image.configuration["architecture"]
    pinned = [line.split() for line in (DEPLOY / "image" / "debian.lock").read_text().splitlines() if not line.startswith("#")]
    hashes = {(name, version): digest for of, name, version, digest in pinned if of == architecture}
    assert {package: debian[package] for package in debian.keys() & hashes.keys()} == {
        package: hashes[package] for package in debian.keys() & hashes.keys()
    }
    python = {each["name"].lower().replace("_", "-"): each for each in components if "pkg:pypi" in each["purl"]}
    assert {name: each["version"] for name, each in python.items()} == {name: each.version for name, each in installed(image).items()}
    lock = (ROOT / "requirements.lock").read_text()
    assert "hashes" not in python.pop("keyturn"), "it is made from source, by whoever builds the image"
    digests = {name: each["hashes"][0]["content"] for name, each in python.items()}
    assert {name for name, digest in digests.items() if f"sha256:{digest}" not in lock} == set()


def test_scanners_find_the_debian_packages(image: Unpacked) -> None:
    """They read the distribution's name and a record of each package, as in other images without a package manager."""
    assert "VERSION_CODENAME=bookworm" in (image.root / "etc/os-release").read_text()
    records = {path.name: path.read_text() for path in (image.root / "var/lib/dpkg/status.d").iterdir()}
    assert "Version: " in records["libssl3"]
    assert {name for name in records if not (image.root / "usr/share/doc" / name / "copyright").exists()} == set()


def _field(record: str, name: str) -> str:
    """A field of Debian's record of a package."""
    found = re.search(rf"^{name}: (.*)$", record, re.MULTILINE)
    assert found is not None
    return found[1]
