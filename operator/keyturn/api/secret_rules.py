"""What may stand in `secretTemplate`: what the API server takes in a Secret, less the names that Keyturn and other tools own.

Without these rules a wrong label would be noticed only when the API server refuses the Secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from keyturn.api.environment_names import RUNS_CODE, runs_code
from keyturn.api.rules import Rule

Entries = Mapping[str, str]

LABEL_VALUE_PATTERN: Final = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_NAME: Final = re.compile("[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX: Final = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DATA_KEY: Final = re.compile("[-._a-zA-Z0-9]{1,253}")
_PREFIX_LENGTH: Final = 253
_ANNOTATION_BYTES: Final = 200 * 1024
"""Of the 256 KiB that Kubernetes allows all annotations of an object together; the rest is for Keyturn and kubectl."""


def is_qualified_name(key: str) -> bool:
    """Whether it can be the key of a label: `team`, `example.com/team`. Kubernetes' IsQualifiedName, CEL's format.qualifiedName()."""
    prefix, slash, name = key.rpartition("/")
    prefix_is_fine = not slash or (len(prefix) <= _PREFIX_LENGTH and _PREFIX.fullmatch(prefix) is not None)
    return prefix_is_fine and _NAME.fullmatch(name) is not None


def _all_qualified(entries: Entries) -> bool:
    return all(map(is_qualified_name, entries))


def _no_label_is_reserved(labels: Entries) -> bool:
    return not any(
        key.startswith(("keyturn.dev/", "argocd.argoproj.io/")) or key in {"app.kubernetes.io/managed-by", "app.kubernetes.io/instance"}
        for key in labels
    )


def _no_label_is_another_tools(labels: Entries) -> bool:
    return labels.get("owner") != "helm" and not labels.keys() & {"istio/multiCluster", "sealedsecrets.bitnami.com/sealed-secrets-key"}


def _no_annotation_is_reserved(annotations: Entries) -> bool:
    return not any(
        key.startswith(("keyturn.dev/", "argocd.argoproj.io/")) or key == "kubectl.kubernetes.io/last-applied-configuration"
        for key in annotations
    )


def _annotations_fit(annotations: Entries) -> bool:
    return sum(len(value.encode()) for value in annotations.values()) <= _ANNOTATION_BYTES


def _data_keys_are_valid(data: Entries) -> bool:
    return all(_DATA_KEY.fullmatch(key) is not None and key != "." and not key.startswith("..") for key in data)


LABEL_RULES: Final = (
    Rule[Entries](
        "self.all(k, !k.startsWith('keyturn.dev/') && k != 'app.kubernetes.io/managed-by' && k != 'app.kubernetes.io/instance'"
        " && !k.startsWith('argocd.argoproj.io/'))",
        "keyturn.dev/*, argocd.argoproj.io/*, app.kubernetes.io/managed-by and app.kubernetes.io/instance are reserved, since Keyturn and"
        " Argo CD find their objects by them: use another key",
        _no_label_is_reserved,
    ),
    Rule[Entries](
        "self.all(k, !(k == 'owner' && self[k] == 'helm')"
        " && !(k in ['istio/multiCluster', 'sealedsecrets.bitnami.com/sealed-secrets-key']))",
        "owner: helm, istio/multiCluster and sealedsecrets.bitnami.com/sealed-secrets-key are labels by which Helm, Istio and Sealed"
        " Secrets find Secrets of their own, of whatever type: use another label",
        _no_label_is_another_tools,
    ),
    Rule[Entries](
        "self.all(k, !format.qualifiedName().validate(k).hasValue())",
        "a key is no valid label key, so Kubernetes would refuse the Secret: write a name of letters, digits, '-', '_', '.' (at most 63),"
        " optionally after a DNS name and '/', as in example.com/team",
        _all_qualified,
    ),
)

ANNOTATION_RULES: Final = (
    Rule[Entries](
        "self.all(k, !k.startsWith('keyturn.dev/') && !k.startsWith('argocd.argoproj.io/')"
        " && k != 'kubectl.kubernetes.io/last-applied-configuration')",
        "keyturn.dev/*, argocd.argoproj.io/* and kubectl.kubernetes.io/last-applied-configuration are reserved for the tools that write"
        " them: use another key",
        _no_annotation_is_reserved,
    ),
    Rule[Entries](
        "self.all(k, !format.qualifiedName().validate(k).hasValue())",
        "a key is no valid annotation key, so Kubernetes would refuse the Secret: write a name of letters, digits, '-', '_', '.'"
        " (at most 63), optionally after a DNS name and '/', as in example.com/team",
        _all_qualified,
    ),
    Rule[Entries](
        f"self.map(k, size(bytes(self[k]))).sum() <= {_ANNOTATION_BYTES}",
        "annotations are larger than 200 KiB in all, and Kubernetes would refuse the Secret: shorten them or put the text into data",
        _annotations_fit,
    ),
)

DATA_RULES: Final = (
    Rule[Entries](
        "self.all(k, !(k in ['api-key', 'previous-api-key']))",
        "api-key and previous-api-key are written by Keyturn itself: use another key",
        lambda data: "api-key" not in data and "previous-api-key" not in data,
    ),
    Rule[Entries](
        "self.all(k, size(k) <= 253 && k.matches('^[-._a-zA-Z0-9]+$') && k != '.' && !k.startsWith('..'))",
        "a key is no valid key of a Secret: write a file name of letters, digits, '-', '_', '.' (at most 253) not starting with '..'",
        _data_keys_are_valid,
    ),
    Rule[Entries](
        f"self.all(k, !k.matches('{RUNS_CODE}'))",
        "a key is the name of an environment variable by which loaders, shells or language runtimes run code (LD_*, PATH, BASH*, NODE_*,"
        " PYTHON*, JAVA_*, *_OPTS and others), and a workload may take the whole Secret for its environment: use another key, and give"
        " the variable its name in the workload, by env and secretKeyRef",
        lambda data: not any(map(runs_code, data)),
    ),
)
