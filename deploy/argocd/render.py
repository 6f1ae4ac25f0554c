"""Makes argocd-cm.yaml and values.yaml from the Lua files beside it (`make argocd`), into a folder: render.py FOLDER."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).parent
KIND: Final = "keyturn.dev_ApiKey"
PRODUCT: Final = "keyturn.dev_ApiProduct"
REVOCATION: Final = "keyturn.dev_ApiKeyRevocation"
ACTIONS: Final = ("rotate", "disable", "enable")
PATCH: Final = "argocd-cm.yaml"
VALUES: Final = "values.yaml"
_HEAD: Final = "# Made by `make argocd` from the Lua files in this folder: change those.\n"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that Lua reads as Lua."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def customizations() -> dict[str, str]:
    """The entries of argocd-cm that make Argo CD understand ApiKeys, ApiProducts and ApiKeyRevocations."""
    prefix = "resource.customizations"
    return {
        f"{prefix}.health.{KIND}": _read("health.lua"),
        f"{prefix}.actions.{KIND}": _yaml(
            {
                "discovery.lua": _read("actions/discovery.lua"),
                "definitions": [{"name": name, "action.lua": _read(f"actions/{name}.lua")} for name in ACTIONS],
            }
        ),
        f"{prefix}.ignoreResourceUpdates.{KIND}": _read("ignore-resource-updates.yaml"),
        f"{prefix}.health.{PRODUCT}": _read("health-apiproduct.lua"),
        f"{prefix}.ignoreResourceUpdates.{PRODUCT}": _yaml({"jsonPointers": ["/status"]}),
        f"{prefix}.health.{REVOCATION}": _read("health-apikeyrevocation.lua"),
        f"{prefix}.ignoreResourceUpdates.{REVOCATION}": _yaml({"jsonPointers": ["/status"]}),
    }


def rendered() -> dict[str, str]:
    """Every made file by name."""
    data = customizations()
    patch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": data}
    return {PATCH: _HEAD + _yaml(patch), VALUES: _HEAD + _yaml({"configs": {"cm": data}})}


def _read(name: str) -> str:
    return (HERE / name).read_text()


def _yaml(value: Mapping[str, object]) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000)


def main() -> None:
    """Write them."""
    for name, text in rendered().items():
        (Path(sys.argv[1]) / name).write_text(text)


if __name__ == "__main__":
    main()
