"""The CRDs of Gateway API (experimental channel) and of Envoy Gateway: files of their Go modules, as pinned by gomod/gateway-crds."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from testbed.binaries import go_module_folder
from testbed.cache import cache_folder, only_one
from testbed.recipes import GOMOD
from testbed.toolchain import go_toolchain

MODULE: Final = "gateway-crds"
_WANTED: Final = {
    "sigs.k8s.io/gateway-api": ("config/crd/experimental", ("gateways", "httproutes", "referencegrants")),
    "github.com/envoyproxy/gateway": ("charts/gateway-helm/charts/crds/crds/generated", ("clienttrafficpolicies", "securitypolicies")),
}


def gateway_crds() -> Path:
    """A folder with the CRDs that the examples use, fetched once."""
    key = hashlib.sha256((GOMOD / MODULE / "go.sum").read_bytes()).hexdigest()[:12]
    folder = cache_folder() / MODULE / key
    with only_one(f"{MODULE}-{key}"):
        if not folder.is_dir():
            folder.parent.mkdir(exist_ok=True)
            scratch = Path(mkdtemp(prefix="crds-", dir=folder.parent))
            with go_toolchain() as go:
                for path, (place, names) in _WANTED.items():
                    source = Path(go_module_folder(go, MODULE, path)) / place
                    for name in names:
                        (found,) = source.glob(f"*_{name}.yaml")
                        shutil.copyfile(found, scratch / found.name)
            scratch.rename(folder)
    return folder
