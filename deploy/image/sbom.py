"""The image's bill of materials: CycloneDX 1.6, as JSON, of every Debian and Python package in it, with the hash of the file it came in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from zipfile import ZipFile

from debian_packages import DebianPackage

PLACE: Final = "usr/share/sbom/keyturn.cdx.json"

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Contents:
    """What the image was made of."""

    name: str
    version: str
    license: str
    description: str
    architecture: str
    debian: Sequence[DebianPackage]
    wheels: Sequence[Path]


def bill_of_materials(contents: Contents) -> str:
    """The document. It holds no time and nothing random: the same contents give the same text."""
    reference = f"pkg:oci/{contents.name}@{contents.version}?arch={contents.architecture}"
    product: Json = {
        "type": "container",
        "bom-ref": reference,
        "name": contents.name,
        "version": contents.version,
        "description": contents.description,
        "licenses": [{"license": {"id": contents.license}}],
    }
    own = _component(contents.name, contents.version, url=f"pkg:pypi/{contents.name}@{contents.version}")  # made here: it came in no file
    own["licenses"] = product["licenses"]
    components = [*map(_debian_component, contents.debian), *map(_python_component, contents.wheels), own]
    names = json.dumps(components)
    document: Json = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, reference + names)}",
        "version": 1,
        "metadata": {"component": product},
        "components": components,
        "dependencies": [{"ref": reference, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    return json.dumps(document, indent=1) + "\n"


def _debian_component(package: DebianPackage) -> Json:
    url = f"pkg:deb/debian/{package.name}@{quote(package.version, safe='')}?arch={package.architecture}&distro=debian-12"
    return _component(package.name, package.version, url=url, sha256=package.sha256)


def _python_component(wheel: Path) -> Json:
    with ZipFile(wheel) as archive:
        described = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(described).decode())
    name, version = str(metadata["Name"]), str(metadata["Version"])
    url = f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version, safe='')}"
    component = _component(name, version, url=url, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    if expression := metadata["License-Expression"]:
        component["licenses"] = [{"expression": expression}]
    return component


def _component(name: str, version: str, *, url: str, sha256: str | None = None) -> Json:
    hashes: Json = {"hashes": [{"alg": "SHA-256", "content": sha256}]} if sha256 else {}
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url, **hashes}
