"""ApiKeyRevocations from a folder of files, as they would be applied anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from keyturn.base.errors import UserMustAct
from keyturn.cluster.raw import mapping_of, objects_of, text_of, texts_of
from keyturn.cluster.resource_path import API_VERSION

SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def read_revocation_folder(folder: Path) -> list[dict[str, object]]:
    """Those of all files below it, in the order of their paths; other kinds are passed over. Raises UserMustAct for a file that is none."""
    import yaml

    found: list[dict[str, object]] = []
    for file in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()):
        try:
            documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserMustAct(f"{file} cannot be read as YAML or JSON", reason="InvalidSpec") from error
        found += [as_applied_anew(item) for document in documents for item in _items(document)]
    return found


def _items(document: object) -> Iterator[Mapping[str, object]]:
    if not isinstance(document, Mapping):
        return
    if text_of(document, "kind") == "ApiKeyRevocation":
        yield document
    if text_of(document, "kind").endswith("List"):
        for item in objects_of(document, "items"):
            yield from _items(item)


def as_applied_anew(item: Mapping[str, object]) -> dict[str, object]:
    """An ApiKeyRevocation without what only the object that is gone had."""
    metadata = mapping_of(item, "metadata")
    kept = {"name": text_of(metadata, "name"), "labels": texts_of(metadata, "labels"), "annotations": texts_of(metadata, "annotations")}
    return {
        "apiVersion": API_VERSION,
        "kind": "ApiKeyRevocation",
        "metadata": {name: value for name, value in kept.items() if value},
        "spec": dict(mapping_of(item, "spec")),
    }
