"""The CRDs, made from the models: pydantic's JSON schema, translated into what Kubernetes calls a structural schema.

`make crds` runs this; `reference_docs.py` prints the same schema for people. A model that uses what a structural schema
cannot say fails here, with the place named.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import yaml

from keyturn.api.resource_kind import Column, ResourceKind
from keyturn.api.v1alpha1.apikey import APIKEY
from keyturn.api.v1alpha1.apikeyrevocation import APIKEYREVOCATION
from keyturn.api.v1alpha1.apiproduct import APIPRODUCT
from keyturn.base.names import GROUP

KINDS: Final = (APIKEY, APIPRODUCT, APIKEYREVOCATION)
VERSION: Final = "v1alpha1"

_HEADER: Final = "# Made by `make crds` from operator/keyturn/api. Edit the models there, not this file.\n"

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Schema = dict[str, JsonValue]

_KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "properties",
    "items",
    "additionalProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
"""What is taken over, in the order it is written."""

_DROPPED: Final = frozenset({"title", "$defs"})
# An int32's bounds are written all the same: Kubernetes 1.33 takes numbers that do not fit their format, 1.37 does not.
_IMPLIED: Final = {"int64": (-(2**63), 2**63 - 1)}

_API_VERSION: Final = "Version of the format, keyturn.dev/v1alpha1."
_KIND: Final = "Kind of the object, {kind}."


def generate_crds(folder: Path) -> list[Path]:
    """Write a file for each kind, `keyturn.dev_apikeys.yaml`, and a list of them; the same models always give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for kind in KINDS:
        file = folder / f"{GROUP}_{kind.plural}.yaml"
        file.write_text(_HEADER + _to_yaml(crd(kind)), encoding="utf-8")
        files.append(file)
    return [*files, _write_kustomization(folder, [file.name for file in files])]


def _write_kustomization(folder: Path, names: list[str]) -> Path:
    """The list that lets `deploy/` take the folder in. Without an ending: `kubectl apply -f crds/` passes over it."""
    file = folder / "Kustomization"
    listed: Schema = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [*names]}
    file.write_text(_HEADER + _to_yaml(listed), encoding="utf-8")
    return file


def crd(kind: ResourceKind) -> Schema:
    """The CustomResourceDefinition of a kind."""
    served: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": structural_schema(kind)},
        "subresources": {"status": {}},
        # An empty list the API server would drop, and Argo CD write again and again.
        **({"selectableFields": [{"jsonPath": path} for path in kind.selectable_fields]} if kind.selectable_fields else {}),
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            # Without it `helm uninstall` deletes the CRD, and with it every ApiKey and its Secret.
            "annotations": {"helm.sh/resource-policy": "keep"},
            # By the version an upgrade and a downgrade are told apart, before they touch anything.
            "labels": {"app.kubernetes.io/part-of": "keyturn", "app.kubernetes.io/version": version("keyturn")},
        },
        "spec": {
            "group": GROUP,
            "scope": kind.scope,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short_name],
                "categories": ["keyturn"],
            },
            "versions": [served],
        },
    }


def structural_schema(kind: ResourceKind) -> Schema:
    """The schema of whole objects. Of the metadata it says only what Kubernetes allows: the name's length."""
    raw = kind.model.model_json_schema(by_alias=True)
    whole = _Translator(raw.get("$defs", {})).translate(raw, at=kind.kind)
    fields = as_mapping(whole["properties"])
    name = as_mapping(as_mapping(as_mapping(fields["metadata"])["properties"])["name"])
    metadata: Schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": name["maxLength"]}}}
    head: Schema = {
        "apiVersion": {"description": _API_VERSION, "type": "string"},
        "kind": {"description": _KIND.format(kind=kind.kind), "type": "string"},
    }
    required = [field for field in as_sequence(whole["required"]) if field != "metadata"]
    return {**whole, "required": required, "properties": {**head, **fields, "metadata": metadata}}


class _Translator:
    """Turns pydantic's dialect of JSON schema into Kubernetes'. `at` is the path for messages."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions

    def translate(self, schema: Schema, *, at: str) -> Schema:
        """One schema with all below it: references resolved, null dropped, keys in a fixed order; TypeError for what cannot be said."""
        flat = self._flatten(schema, at=at)
        unknown = flat.keys() - set(_KEPT) - _DROPPED
        if unknown:
            raise TypeError(f"{at}: a structural schema has no {sorted(unknown)}")
        _drop_implied(flat)
        if "properties" in flat:
            fields = as_mapping(flat["properties"])
            flat["properties"] = {name: self.translate(as_mapping(field), at=f"{at}.{name}") for name, field in fields.items()}
        for child in ("items", "additionalProperties"):
            if child in flat:
                flat[child] = self.translate(as_mapping(flat[child]), at=f"{at}.{child}")
                as_mapping(flat[child]).pop("description", None)  # the list's or map's own description says it
        return {key: flat[key] for key in _KEPT if key in flat}

    def _flatten(self, schema: Schema, *, at: str) -> Schema:
        """Replace references and `X or null` by the schema meant; what stands beside them wins over what is meant."""
        flat = dict(schema)
        if "anyOf" in flat:
            options = [option for option in map(as_mapping, as_sequence(flat.pop("anyOf"))) if option.get("type") != "null"]
            if len(options) != 1:
                raise TypeError(f"{at}: a structural schema has no unions")
            flat = {**options[0], **flat}
        if "$ref" in flat:
            name = str(flat.pop("$ref")).rpartition("/")[2]
            flat = {**as_mapping(self._definitions[name]), **flat}
        return flat


def _drop_implied(schema: Schema) -> None:
    """Remove what says nothing: `default: null`, the bounds that the format implies; fold the lines of a description."""
    if "default" in schema:
        schema["default"] = _without_nulls(schema["default"])
    if schema.get("default", 0) in (None, [], {}):
        del schema["default"]
    least, most = _IMPLIED.get(str(schema.get("format")), (None, None))
    if schema.get("minimum") == least:
        schema.pop("minimum", None)
    if schema.get("maximum") == most:
        schema.pop("maximum", None)
    if "description" in schema:
        schema["description"] = " ".join(str(schema["description"]).split())


def _without_nulls(value: JsonValue) -> JsonValue:
    """An object's default says only what is set in it."""
    return {name: _without_nulls(part) for name, part in value.items() if part is not None} if isinstance(value, dict) else value


def _column(column: Column) -> Schema:
    wide: Schema = {"priority": 1} if column.wide else {}
    return {"name": column.name, "type": column.type, **wide, "jsonPath": column.json_path}


def as_mapping(value: JsonValue) -> Schema:
    """The value, known to be an object from here on; TypeError if it is none."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object in the JSON schema, found {value!r}")
    return value


def as_sequence(value: JsonValue) -> list[JsonValue]:
    """The value, known to be a list from here on; TypeError if it is none."""
    if not isinstance(value, list):
        raise TypeError(f"expected a list in the JSON schema, found {value!r}")
    return value


def _to_yaml(document: Schema) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    generate_crds(Path(sys.argv[1]))
