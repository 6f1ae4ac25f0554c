"""The operator's rights: all it asks for, nothing else, and a missing one is named at the start."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from gen.installed import (
    ACCOUNT,
    EVERYWHERE,
    NAMESPACED,
    RBAC,
    RECORDS,
    SYSTEM,
    WATCHING,
    Installed,
    Json,
    granted_rights,
    rendered,
    settings_of,
)
from gen.team import Api
from keyturn.base.clock import HOUR, SECOND
from keyturn.base.settings import Settings
from keyturn.cluster.client import Client
from keyturn.cluster.permissions import Right, missing_rights
from keyturn.controller.rights import argo_rights, fence_rights, needed_rights
from testbed.cluster import Cluster, wait_until
from testbed.plane import Plane

PATIENCE = 10.0


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, NAMESPACED, scratch=tmp_path_factory.mktemp("rights"))


@pytest.fixture
async def operator_client(installed: Installed) -> AsyncIterator[Client]:
    async with await Client.connect(timeout=10 * SECOND, kubeconfig=str(installed.kubeconfig)) as client:
        yield client


@pytest.fixture
def roles(installed: Installed, api: Api) -> Iterator[list[Json]]:
    """The operator's roles, to be changed on the cluster; afterwards they are as they were."""
    needed = {ACCOUNT, f"{ACCOUNT}-policies"}
    roles = [each for each in installed.objects if each["kind"] in {"Role", "ClusterRole"} and each["metadata"]["name"] in needed]
    yield roles
    for role in roles:
        put_role(api, role)


def put_role(api: Api, role: Json) -> None:
    namespace, name = role["metadata"].get("namespace"), role["metadata"]["name"]
    folder = f"namespaces/{namespace}/roles" if namespace else "clusterroles"
    api.ask("PUT", f"{RBAC}/{folder}/{name}", role)


def without_each_verb(roles: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Each role, with the same less one verb of one rule."""
    for role in roles:
        for index, rule in enumerate(role["rules"]):
            for verb in rule["verbs"]:
                less = deepcopy(role)
                less["rules"][index]["verbs"].remove(verb)
                less["rules"] = [each for each in less["rules"] if each["verbs"]]
                yield role, less


def expected_complaints(objects: list[Json], settings: Settings) -> tuple[str, ...]:
    granted = granted_rights(objects)
    return tuple(f"May not {right}" for right in (*needed_rights(settings), *fence_rights(settings)) if right not in granted)


@pytest.mark.parametrize("folder", [EVERYWHERE, WATCHING, NAMESPACED], ids=lambda folder: folder.name)
def test_what_is_granted_is_exactly_what_is_asked_for(plane: Cluster, folder: Path) -> None:
    objects = rendered(plane, folder)
    settings = settings_of(objects)
    assert granted_rights(objects) == {*needed_rights(settings), *fence_rights(settings), *argo_rights(settings)}


def test_the_settings_name_the_namespaces_that_are_deployed(plane: Cluster) -> None:
    objects = rendered(plane, EVERYWHERE)
    assert {each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"} == {SYSTEM, RECORDS}
    assert (settings_of(objects).namespace, settings_of(objects).records_namespace) == (SYSTEM, RECORDS)


def test_an_overlay_changes_image_and_settings_and_the_pods_are_replaced(plane: Cluster, tmp_path: Path) -> None:
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(EVERYWHERE, tmp_path.resolve())],
        "images": [{"name": "keyturn", "newName": "registry.example.com/keyturn", "newTag": "1.2.3"}],
        "configMapGenerator": [
            {"name": "keyturn-settings", "namespace": SYSTEM, "behavior": "merge", "literals": ["KEYTURN_ROTATION_INTERVAL=720h"]}
        ],
    }
    (tmp_path / "kustomization.yaml").write_text(json.dumps(overlay))
    before, after = rendered(plane, EVERYWHERE), rendered(plane, tmp_path)
    assert settings_of(after) == settings_of(before).model_copy(update={"rotation_interval": 720 * HOUR})
    (container,) = pod_of(after)["containers"]
    assert container["image"] == "registry.example.com/keyturn:1.2.3"
    assert container["envFrom"] != pod_of(before)["containers"][0]["envFrom"], "the ConfigMap has another name, so pods start anew"


def pod_of(objects: list[Json]) -> Json:
    return next(
        each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == ACCOUNT
    )


async def test_nothing_is_missing_with_all_roles_in_place(installed: Installed, operator_client: Client) -> None:
    assert await missing_rights(operator_client, needed_rights(installed.settings)) == ()


async def test_without_a_binding_for_all_it_has_no_right_in_other_namespaces(installed: Installed, operator_client: Client) -> None:
    elsewhere = [*needed_rights(Settings(watch_namespaces="team-c")), *needed_rights(Settings())]
    own = needed_rights(installed.settings)
    theirs = [right for right in elsewhere if right not in own]
    assert await missing_rights(operator_client, theirs) == tuple(f"May not {right}" for right in theirs)


async def test_every_verb_that_is_taken_away_is_named(roles: list[Json], installed: Installed, api: Api, operator_client: Client) -> None:
    settings = installed.settings.model_copy(update={"watch_namespaces": "team-a"})
    needed = (*needed_rights(settings), *fence_rights(settings))
    for role, less in without_each_verb(roles):
        expected = expected_complaints([less if each is role else each for each in installed.objects], settings)
        put_role(api, less)
        assert await complaints(operator_client, needed, expected=expected) == expected
        put_role(api, role)
    assert await complaints(operator_client, needed, expected=()) == ()


async def complaints(client: Client, rights: tuple[Right, ...], *, expected: tuple[str, ...]) -> tuple[str, ...]:
    """What is missing, asked for until it is what is expected: the API server notices a changed role a moment later."""
    end = time.monotonic() + PATIENCE
    while True:
        missing = await missing_rights(client, rights)
        if missing == expected or time.monotonic() > end:
            return missing
        await asyncio.sleep(0.02)


def test_the_operator_ends_with_4_and_names_everything_it_may_not(roles: list[Json], installed: Installed, api: Api) -> None:
    for role in roles:
        put_role(api, {**role, "rules": []})
    with installed.start_operator() as operator:
        assert operator.wait_exit() == 4
        said = [line["problem"] for line in operator.log_lines() if line["message"] == "Missing permission"]
    assert said == [f"May not {right}" for right in needed_rights(installed.settings)]


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("view", {"get", "list", "watch"}),
        ("edit", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
        ("admin", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
    ],
)
def test_kubernetes_own_roles_are_good_for_apikeys(installed: Installed, api: Api, role: str, verbs: set[str]) -> None:
    assert installed.objects

    def found() -> set[str]:
        rules = api.ask("GET", f"{RBAC}/clusterroles/{role}")["rules"]
        return {verb for rule in rules if "apikeys" in rule.get("resources", ()) for verb in rule["verbs"]}

    wait_until(lambda: found() >= verbs, patience=PATIENCE, what=f"the role {role} to have the rights on ApiKeys")
    assert found() == verbs
