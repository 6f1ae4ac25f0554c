"""What is kept of an ApiKey, and how the echo of our own status write is known."""

from __future__ import annotations

from typing import Any

import pytest

from keyturn.controller.apikey.manifest import adds_only_status, compact_apikey

STATUS = {"activeVersion": 1}


def apikey(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of the manifest
    metadata = {"name": "billing", "namespace": "shop", "uid": "u1", "generation": 1, "resourceVersion": "7", "labels": {"a": "b"}}
    return {"metadata": metadata | changes.pop("metadata", {}), "spec": {"secretName": "s"}, **changes}


def held() -> bytes:
    return compact_apikey(apikey())[0]


def test_our_own_status_is_an_echo() -> None:
    assert adds_only_status(held(), apikey(status=STATUS, metadata={"resourceVersion": "8"}), status=STATUS)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {"activeVersion": 2}},
        {},
        {"status": STATUS, "spec": {"secretName": "other"}},
        {"status": STATUS, "metadata": {"generation": 2}},
        {"status": STATUS, "metadata": {"uid": "u2"}},
        {"status": STATUS, "metadata": {"annotations": {"keyturn.dev/rotate-requested-at": "now"}}},
        {"status": STATUS, "metadata": {"deletionTimestamp": "2026-11-24T06:00:00Z"}},
    ],
)
def test_anything_else_is_news(changes: dict[str, Any]) -> None:
    assert not adds_only_status(held(), apikey(**changes), status=STATUS)


@pytest.mark.parametrize("name", ["keyturn.dev/rotate-requested-at", "keyturn.dev/received", "keyturn.dev/paused"])
def test_a_long_annotation_costs_no_memory_and_its_change_is_seen(name: str) -> None:
    kept = [compact_apikey(apikey(metadata={"annotations": {name: end.rjust(200_000, "\u2028"), "keyturn.dev/x": "x"}}))[0] for end in "ab"]
    assert kept[0] != kept[1]
    assert all(len(each) < 400 and b"keyturn.dev/x" not in each for each in kept)
    short = compact_apikey(apikey(metadata={"annotations": {name: "x" * 253}}))[0]
    assert b"x" * 253 in short


def test_what_keyturn_never_reads_is_not_kept() -> None:
    raw = apikey(metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}, "managedFields": [{}]})
    assert compact_apikey(raw) == (held(), 7, "u1")
