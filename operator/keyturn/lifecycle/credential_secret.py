"""The credential Secret as it should be: rendered from the ApiKey, one version and its plaintext.

`controller/apikey/act.py` writes what `render` returns. The digests tell a later look whether anybody changed it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base import names
from keyturn.base.plaintext import Plaintext

RELOADER_IGNORE = "reloader.stakater.com/ignore"
"""Stakater Reloader would restart the workloads a second time."""
DRIFTED = "drifted"
"""Stands for the template digest of a Secret that is not what any template of ours renders to: somebody else changed it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A credential Secret before it is written. `data` is plaintext: reveal it only into the request's body."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owned: bool
    """It carries an ownerReference to the ApiKey, so that it goes with it."""
    data: Mapping[str, Plaintext]


@dataclass(frozen=True, slots=True)
class TokenInHand:
    """One version's plaintext with what the Secret says about it."""

    version: int
    key_id: str
    adoption_tag: str
    token: Plaintext


def render(apikey: ApiKey, current: TokenInHand, *, previous: Plaintext | None) -> Rendered:
    """Fill the template. `previous` is the retiring plaintext, where `keepPrevious` asks for it and it is known."""
    template = apikey.spec.secret_template
    words = {
        "$(API_KEY)": current.token.reveal(),
        "$(KEY_ID)": current.key_id,
        "$(VERSION)": str(current.version),
        "$(PREVIOUS_API_KEY)": "" if previous is None else previous.reveal(),
    }
    data = {name: Plaintext(current.key_id, _fill(text, words)) for name, text in (template.data or {}).items()} if template else {}
    data[names.TOKEN_DATA_KEY] = current.token
    if previous is not None:
        data[names.PREVIOUS_TOKEN_DATA_KEY] = previous
    return Rendered(
        labels={**((template.labels if template else None) or {}), **own_labels(apikey.metadata.name)},
        annotations={
            **((template.annotations if template else None) or {}),
            RELOADER_IGNORE: "true",
            names.KEY_ID_ANNOTATION: current.key_id,
            names.VERSION_ANNOTATION: str(current.version),
            names.ADOPTION_TAG_ANNOTATION: current.adoption_tag,
        },
        owned=apikey.spec.deletion_policy != "Retain",
        data=data,
    )


def own_labels(apikey_name: str) -> dict[str, str]:
    """The labels by which our Secrets are found and watched."""
    return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.APIKEY_LABEL: apikey_name}


def keeps_previous(apikey: ApiKey) -> bool:
    """Whether the retiring plaintext stays in the Secret beside the new one."""
    template = apikey.spec.secret_template
    return template is not None and bool(template.keep_previous)


def template_digest(apikey: ApiKey) -> str:
    """SHA-256 over everything that shapes the Secret except the tokens: when it moves, the Secret is rendered anew."""
    template = apikey.spec.secret_template
    shape = {
        "labels": dict((template.labels if template else None) or {}),
        "annotations": dict((template.annotations if template else None) or {}),
        "data": dict((template.data if template else None) or {}),
        "owner": apikey.metadata.uid if apikey.spec.deletion_policy != "Retain" else "",
    }
    return _sha256(shape)


def secret_digest(*, secret_type: str, labels: Mapping[str, str], annotations: Mapping[str, str], data_digests: Mapping[str, str]) -> str:
    """SHA-256 over a Secret's type, our labels and annotations, and the SHA-256 of each of its values."""
    return _sha256({"type": secret_type, "labels": dict(labels), "annotations": dict(annotations), "data": dict(data_digests)})


def value_digest(value: Plaintext) -> str:
    """SHA-256 of one value, in hex."""
    return hashlib.sha256(value.reveal().encode()).hexdigest()


def _sha256(shape: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(shape, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _fill(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
