"""By which traces an object shows that a tool keeps it as Git has it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from keyturn.cluster.raw import mapping_of, objects_of, text_of, texts_of

_MARKS: Final = (
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("meta.helm.sh/release-name", "Helm"),
)
"""Labels and annotations by which these tools know their objects."""

_MANAGERS: Final = (
    ("argocd-controller", "Argo CD"),
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("helm", "Helm"),
)
"""Field managers by which they write."""


def keeper_by_marks(marks: Collection[str]) -> str:
    """Which tool, by the names of an object's labels and annotations; empty: none shows."""
    return next((tool for mark, tool in _MARKS if mark in marks), "")


def keeper_of(item: Mapping[str, object]) -> str:
    """Which tool, by a whole object: its marks, or whoever wrote its fields; empty: none shows."""
    metadata = mapping_of(item, "metadata")
    managers = {text_of(entry, "manager") for entry in objects_of(metadata, "managedFields")}
    by_manager = next((tool for manager, tool in _MANAGERS if manager in managers), "")
    return keeper_by_marks({*texts_of(metadata, "labels"), *texts_of(metadata, "annotations")}) or by_manager
