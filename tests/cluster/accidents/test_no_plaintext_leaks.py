"""Every byte that leaves the operator, but the bodies of credential Secrets, searched for every key that ever was in one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.api_call import Call, Drop, Fault, Refuse, Rule
from gen.scene import SPEC, Scene
from gen.team import workload
from testbed.plane import Plane

PIECE = 12
"""Shorter pieces of a random text turn up by chance."""
ID_LENGTH = 12
TEMPLATE = {
    "keepPrevious": True,
    "data": {"header": "Authorization: Bearer $(API_KEY)", "both": "$(API_KEY),$(PREVIOUS_API_KEY)", "about": "$(KEY_ID) $(VERSION)"},
    "labels": {"team": "shop"},
}


def secret_part(token: str) -> str:
    """What only the holder knows: neither prefix nor key ID; with the checksum, which could be computed back from."""
    return token.rpartition("_")[2][ID_LENGTH:]


def traces(token: str) -> Iterator[bytes]:
    """Everything by which a key could be recognised: pieces of it, forwards and backwards, and of its base64 at each alignment."""
    secret = secret_part(token)
    texts = [secret, secret[::-1]]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
        inner = encoded[4 if shift else 0 : -1]
        texts += [inner, inner.replace("+", "-").replace("/", "_")]
    for text in texts:
        for start in range(len(text) - PIECE + 1):
            yield text[start : start + PIECE].encode()


def pieces_of(haystack: bytes) -> set[bytes]:
    return {haystack[start : start + PIECE] for start in range(len(haystack) - PIECE + 1)}


def found_in(haystack: bytes, tokens: set[str]) -> list[bytes]:
    pieces = pieces_of(haystack)
    return [trace for token in tokens for trace in traces(token) if trace in pieces]


def test_the_search_itself_finds_what_is_there() -> None:
    token = "kt_" + "A1b2C3d4E5f6" + "".join("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQ"[:49])
    secret = secret_part(token)
    for leak in (token, secret[5:17], secret[::-1][3:20]):
        assert found_in(f"said {leak} and more".encode(), {token})
    for before in ("", "x", "xy", "xyz"):
        assert found_in(base64.b64encode(f"{before}{token}yz".encode()), {token})
    assert not found_in(f"key {token[:15]} was rotated".encode(), {token})


@pytest.mark.parametrize("guarded", [False, True], ids=["watching", "guarded"])
def test_no_byte_that_leaves_the_operator_holds_a_key(rough_plane: Plane, tmp_path: Path, *, guarded: bool) -> None:
    """A full life at the debug level, with conflicts, a lost answer, tampering and a deleted Secret on the way."""
    with Scene.open(rough_plane, folder=tmp_path, settings={"log_level": "debug"}, guarded=guarded) as scene:
        team = scene.team
        team.operator.wait_ready()
        scene.doors["a"].rule = _trouble()
        _live(scene)
        metrics = team.operator.ask("/metrics")[1]
        team.operator.kill()
        scene.laws.complaints.clear()  # the laws are not what this is about: its Secrets are tampered with
        assert len(scene.laws.tokens) >= 6
        for where, said in {"requests": scene.doors["a"].recorded(), "output": team.operator.output(), "metrics": metrics.encode()}.items():
            assert said
            assert found_in(said, scene.laws.tokens) == [], where
            assert not [form for form in _root_forms(scene) if form in said], where
        assert b"[redacted]" not in team.operator.output()
        assert found_in(_everything_but_secrets(scene), scene.laws.tokens) == []


def _root_forms(scene: Scene) -> list[bytes]:
    """The installation's root secret, as it could be written down."""
    path = f"/api/v1/namespaces/{scene.team.system_namespace}/secrets/keyturn-root"
    root = scene.team.api.ask("GET", path)["data"]["root"]
    raw = base64.b64decode(root)
    return [form.encode()[:30] for form in (root, base64.urlsafe_b64encode(raw).decode(), raw.hex())]


def _trouble() -> Rule:
    """The first Secret writes meet a conflict, an internal error and a lost answer: what is said of them must not quote them."""
    faults: Iterator[Fault] = iter((Refuse(409), Refuse(500), Drop(after=True), Refuse(503)))

    def rule(call: Call) -> Fault | None:
        return next(faults, None) if call.resource == "credentials" and call.is_write else None

    return rule


def _live(scene: Scene) -> None:
    team, spec = scene.team, {**SPEC, "secretTemplate": TEMPLATE}
    scene.laws.outage_is_meant = True
    team.start(workload("Deployment", "web"), pods=0)
    team.apply_apikey("billing", spec)
    scene.rest("billing", version=1)
    scene.rotate("billing")
    team.apply_apikey("billing", {**spec, "secretTemplate": {"keepPrevious": False}})
    scene.rotate("billing")
    token = team.secret("billing").token
    team.api.merge(team.secret_path("billing"), {"data": {"api-key": base64.b64encode(token[::-1].encode()).decode()}})
    scene.rest("billing", version=team.secret("billing").version + 1)
    team.api.delete(team.secret_path("billing"))
    scene.rest("billing", version=4)
    team.apply_apikey("orders", SPEC)
    scene.rest("orders", version=1)
    team.apply_apikey("orders", {**SPEC, "minVersion": 2})
    scene.rest("orders", version=2)
    team.delete_apikey("orders")
    scene.keep_going(lambda: not team.accepted("orders"), what="orders is revoked")


def _everything_but_secrets(scene: Scene) -> bytes:
    """Everything the cluster stores in the namespaces of team, records and operator, the credential Secrets aside."""
    team = scene.team
    kinds = "apikeys,events,configmaps,leases,deployments,replicasets,pods"
    namespaces = (team.namespace, team.records_namespace, team.system_namespace)
    parts = [scene.plane.kubectl("get", kinds, "-n", namespace, "-o", "json") for namespace in namespaces]
    listed = team.api.ask("GET", f"/api/v1/namespaces/{team.records_namespace}/secrets")
    for item in listed["items"]:
        parts += [base64.b64decode(value).decode() for value in item["data"].values()]
    parts.append(json.dumps([item["metadata"] for item in listed["items"]]))
    own = team.api.ask("GET", f"/api/v1/namespaces/{team.namespace}/secrets")
    parts.append(json.dumps([item["metadata"] for item in own["items"]]))
    return "\n".join(parts).encode()
