"""Container images made from folders, without a registry: an OCI archive that `ctr images import`, `docker load` and `podman load` take."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_EPOCH: Final = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Layer:
    """The files of `folder` as they will stand under `target` in the image."""

    folder: Path
    target: str = ""
    owners: Mapping[str, int] = field(default_factory=dict)
    """Paths in the image that belong to another user and group than root."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an image says and holds. Tag it with anything but latest, so that nobody tries to pull it."""

    reference: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def write_image(image: Image, target: Path) -> str:
    """Write the archive and answer the image's digest. The same files give the same bytes."""
    blobs: dict[str, bytes] = {}
    archives = [_tar(layer) for layer in image.layers]
    layers = [_put(blobs, raw, "application/vnd.oci.image.layer.v1.tar") for raw in archives]  # packed, the bytes depend on who packs
    config = _put(blobs, _json(_configuration(image, archives)), "application/vnd.oci.image.config.v1+json")
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = _put(blobs, _json({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers}), manifest_type)
    names = {
        "io.containerd.image.name": _full_name(image.reference),
        "org.opencontainers.image.ref.name": image.reference.rsplit(":", 1)[-1],
    }
    entry = {**manifest, "platform": {"architecture": architecture(), "os": "linux"}, "annotations": names}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    for_docker = {"Config": _blob_path(config), "RepoTags": [image.reference], "Layers": [_blob_path(layer) for layer in layers]}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": _json(index), "manifest.json": _json([for_docker])}
    scratch = target.with_suffix(".part")
    with tarfile.open(scratch, "w") as archive:
        for name, data in {**files, **{f"blobs/sha256/{digest}": data for digest, data in blobs.items()}}.items():
            entry_info = tarfile.TarInfo(name)
            entry_info.size = len(data)
            archive.addfile(entry_info, io.BytesIO(data))
    scratch.rename(target)
    return str(manifest["digest"])


def architecture() -> str:
    """The machine's, as Go, Debian and container images call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _full_name(reference: str) -> str:
    """With what the kubelet and Docker take for granted: a name without a registry's host is one of Docker's library."""
    host, slash, _ = reference.partition("/")
    if slash and ("." in host or ":" in host):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"


def _configuration(image: Image, archives: Sequence[bytes]) -> object:
    settings: dict[str, object] = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", *image.environment], "WorkingDir": "/"}
    settings |= {"Entrypoint": image.entrypoint} if image.entrypoint else {}
    settings |= {"Cmd": image.command} if image.command else {}
    settings |= {"User": image.user} if image.user else {}
    settings |= {"Labels": dict(image.labels)} if image.labels else {}
    contents = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(raw).hexdigest()}" for raw in archives]}
    history = [{"created": _EPOCH} for _ in archives]
    return {"architecture": architecture(), "os": "linux", "created": _EPOCH, "config": settings, "rootfs": contents, "history": history}


def _tar(layer: Layer) -> bytes:
    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = 0
        entry.uid = entry.gid = layer.owners.get(entry.name, 0)
        entry.uname = entry.gname = ""
        return entry

    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for top in sorted(layer.folder.iterdir()):
            archive.add(top, arcname=f"{layer.target.strip('/')}/{top.name}".lstrip("/"), filter=plain)
    return raw.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _put(blobs: dict[str, bytes], data: bytes, media_type: str) -> dict[str, object]:
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _blob_path(descriptor: dict[str, object]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")
