"""What the chart has from elsewhere: `python -m keyturn.cli.references.chart_files CRDS POLICIES CHART TARGET PAGES`, for `make chart`.

Version from the package, CRDs from crds/, admission policies from deploy/policies/, the schema of `settings` and `verifier.settings` from
the models of both processes, every description from the comments in values.yaml. The rest of charts/keyturn is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, cast

import yaml
from pydantic import BaseModel

from keyturn.base.settings import Settings
from keyturn.verifier.service.settings import VerifierSettings

Json = dict[str, Any]
ValuePath = tuple[str, ...]

OWN_VALUES: Final = frozenset(
    {
        *("namespace", "records_namespace", "watch_namespaces", "root_secret", "probe_address"),
        *("secret_access", "admission_policies"),
    }
)
"""Settings of the operator that the chart sets itself, from other values."""
VERIFIERS_OWN_VALUES: Final = frozenset(
    {
        *("namespace", "records_namespace", "listen_address", "grpc_address", "probe_address", "snapshot", "verification_keys_file"),
        *("tls_certificate", "tls_key", "gateway_ca", "issuers"),
        "app_folder",
    }
)
"""Settings of the verifier that the chart sets itself, and the one that is for verifiers in applications' pods."""

_DURATION: Final = r"^(0|([0-9]+(\.[0-9]+)?(ms|h|m|s))+)$"
_KEY: Final = re.compile(r"( *)(\w+):")

_README: Final = """\
<!-- Made by `make chart`. -->
# The Helm chart of Keyturn

```sh
helm install keyturn charts/keyturn --namespace keyturn-system --create-namespace --wait
```

How to choose, upgrade and uninstall: [Install with Helm](../../docs/how-to/install-with-helm.md).
"""
_PAGE: Final = """\
<!-- Made by `make chart` from charts/keyturn/values.yaml. Edit the comments there, not this page. -->
# Values of the Helm chart

What `charts/keyturn` takes. A value it does not know is refused by name.
[Install with Helm](../how-to/install-with-helm.md) says how to choose. `settings` are [the operator's](settings.md), `verifier.settings`
[the verifier's](verifier-settings.md), both in camelCase.
"""
_TABLE: Final = """
| value | default | meaning |
|---|---|---|
"""


def write_chart_files(*, crds: Path, policies: Path, chart: Path, target: Path, pages: Path) -> None:
    """Write every generated file of the chart into `target`, and the page of values into `pages`; the same input gives the same bytes."""
    values = (chart / "values.yaml").read_text(encoding="utf-8")
    comments = value_comments(values)
    written = {
        target / "Chart.yaml": with_version((chart / "Chart.yaml").read_text(encoding="utf-8"), version("keyturn")),
        target / "values.schema.json": _schema_text(json.loads((chart / "values.schema.json").read_text(encoding="utf-8")), comments),
        target / "README.md": _README + _table(values, comments),
        pages / "chart-values.md": _PAGE + _table(values, comments),
        **{target / "files" / "crds" / file.name: file.read_text(encoding="utf-8") for file in crds.glob("*.yaml")},
        **{target / "files" / "policies" / file.name: file.read_text(encoding="utf-8") for file in _resources(policies)},
    }
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _resources(folder: Path) -> list[Path]:
    """What kustomize takes from a folder."""
    kustomization = cast("Json", yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8")))
    return [folder / name for name in kustomization["resources"]]


def with_version(text: str, wanted: str) -> str:
    """Chart.yaml with this version."""
    text = re.sub(r"^version: .*$", f"version: {wanted}", text, flags=re.MULTILINE)
    return re.sub(r"^appVersion: .*$", f'appVersion: "{wanted}"', text, flags=re.MULTILINE)


def value_comments(text: str) -> dict[ValuePath, str]:
    """The comment above each value, by the value's path. A blank line parts a comment from what follows."""
    comments: dict[ValuePath, str] = {}
    above: list[str] = []
    path: ValuePath = ()
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.lstrip(" #"))
            continue
        if key := _KEY.match(line):
            path = (*path[: len(key[1]) // 2], key[2])
            if above:
                comments[path] = " ".join(above)
        above = []
    return comments


def settings_schema(model: type[BaseModel], *, without: frozenset[str]) -> Json:
    """The part of the schema for a process's settings: what it accepts, but for what the chart sets itself."""
    schema = model.model_json_schema()
    defaults = model.model_validate({}).model_dump(mode="json")
    fields = {name: field for name, field in schema["properties"].items() if name not in without}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {_camel(name): _setting(field, schema.get("$defs", {}), defaults[name]) for name, field in fields.items()},
    }


def _setting(field: Json, definitions: Json, default: object) -> Json:
    kind = {**definitions[field["$ref"].rpartition("/")[2]], **field} if "$ref" in field else field
    kept = {key: value for key, value in kind.items() if key not in {"title", "$ref", "format", "default"}}
    pattern = {"pattern": _DURATION} if kind.get("format") == "go-duration" else {}
    return {**kept, **pattern, "default": default}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _schema_text(schema: Json, comments: dict[ValuePath, str]) -> str:
    schema["properties"]["settings"] = settings_schema(Settings, without=OWN_VALUES)
    schema["properties"]["verifier"]["properties"]["settings"] = settings_schema(VerifierSettings, without=VERIFIERS_OWN_VALUES)
    for path, comment in comments.items():
        part = schema
        for name in path:
            part = part["properties"][name]
        part["description"] = comment
    return json.dumps(schema, indent=2) + "\n"


def _table(text: str, comments: dict[ValuePath, str]) -> str:
    values = dict(_values(cast("Json", yaml.safe_load(text))))
    rows = (f"| `{'.'.join(path)}` | `{json.dumps(values[path])}` | {comment} |\n" for path, comment in comments.items())
    return _TABLE + "".join(rows)


def _values(mapping: Json, above: ValuePath = ()) -> Iterator[tuple[ValuePath, object]]:
    """Every value with its path, the mappings among them too."""
    for name, value in mapping.items():
        yield (*above, name), value
        if isinstance(value, dict):
            yield from _values(cast("Json", value), (*above, name))


if __name__ == "__main__":
    write_chart_files(**dict(zip(("crds", "policies", "chart", "target", "pages"), map(Path, sys.argv[1:]), strict=True)))
