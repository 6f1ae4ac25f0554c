"""The manifests of docs/how-to/protect-a-python-app.md: applied as they stand, and the verifier in them run as their account says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from gen.installed import EVERYWHERE, RECORDS, SYSTEM, Installed, Json, log_in
from gen.operator_process import OperatorProcess
from gen.team import Api, Team
from gen.verifier_process import VerifierProcess
from keyturn.verifier.guard import Guard
from keyturn.verifier.shared_folder import guard_from
from keyturn.verifier.verdicts import Accepted, Refused
from testbed.cluster import wait_until
from testbed.plane import Plane

PAGE: Final = Path(__file__).parents[3] / "docs" / "how-to" / "protect-a-python-app.md"
SHOP: Final = "shop"
ROTATED: Final[Json] = {
    "rotation": {"policy": "Manual", "gracePeriod": "1s", "overlapLimit": "2m", "quietPeriod": "5s"},
    "rollout": {"policy": "Disabled"},
}
"""Quiet for longer than the application's word takes: a second, and three of the verifier's."""


@pytest.fixture(scope="module")
def installed(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()


@pytest.fixture(scope="module")
def manifests(installed: Installed) -> list[Json]:
    """As the page has them, on the cluster, in a namespace under the restricted standard."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    installed.plane.create_namespace(SHOP)
    for mode in ("enforce", "warn"):
        installed.plane.kubectl("label", "namespace", SHOP, f"pod-security.kubernetes.io/{mode}=restricted")
    told = installed.plane.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", input=text)
    assert "Warning" not in told
    return list(yaml.safe_load_all(text))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keyturn"
    folder.mkdir()
    return folder


@pytest.fixture
def beside(installed: Installed, operator: OperatorProcess, manifests: list[Json], folder: Path) -> Iterator[VerifierProcess]:
    """The verifier of the page's pod."""
    assert operator.is_running
    settings = {name.removeprefix("KEYTURN_").lower(): value for name, value in environment(manifests).items()}
    kubeconfig = log_in(installed.plane, installed.kubeconfig.parent, account="orders", namespace=SHOP)
    here = {"app_folder": str(folder), "probe_address": "127.0.0.1:0", "use_report_pause": "100ms"}
    with VerifierProcess.start(
        installed.plane, records_namespace=RECORDS, namespace=SYSTEM, kubeconfig=kubeconfig, name="orders", settings={**settings, **here}
    ) as verifier:
        yield verifier.wait_ready()


def pod(manifests: list[Json]) -> Json:
    deployment = next(each for each in manifests if each["kind"] == "Deployment")
    spec: Json = deployment["spec"]["template"]["spec"]
    return spec


def environment(manifests: list[Json]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod(manifests)["initContainers"][0]["env"]}


def sees(guard: Guard, token: str) -> str:
    match guard.ask([(b"authorization", b"Bearer " + token.encode())]):
        case Accepted() as accepted:
            return str(accepted.key)
        case Refused(refusal):
            return refusal.value


def test_the_token_of_the_account_is_mounted_for_the_verifier_alone(manifests: list[Json]) -> None:
    verifier, app = pod(manifests)["initContainers"][0], pod(manifests)["containers"][0]
    assert pod(manifests)["automountServiceAccountToken"] is False
    assert {mount["name"] for mount in verifier["volumeMounts"]} == {"keyturn", "account"}
    assert {mount["name"] for mount in app["volumeMounts"]} == {"keyturn"}
    assert environment(manifests)["KEYTURN_APP_FOLDER"] == app["volumeMounts"][0]["mountPath"] == "/run/keyturn"


def test_the_pods_are_made(installed: Installed, manifests: list[Json], api: Api) -> None:
    assert manifests
    path = f"/apis/apps/v1/namespaces/{SHOP}/deployments/orders"
    wait_until(lambda: api.ask("GET", path)["status"].get("replicas") == 2, patience=30.0, what="the pods of the page's Deployment")
    assert installed.plane.kubectl("-n", SHOP, "get", "pods", "-l", "app=orders", "-o", "name").count("pod/") == 2


def test_an_application_follows_a_key_from_its_issue_to_its_end(
    installed: Installed, api: Api, operator: OperatorProcess, beside: VerifierProcess, folder: Path
) -> None:
    team: Team = installed.team(api, operator, "team-a")
    guard = guard_from(folder)
    token = team.issue("billing").token
    assert sees(guard, token) == "team-a/billing"  # at once: the operator waited for this verifier
    assert sees(guard, token.swapcase()) == "unknown"
    team.delete_apikey("billing")
    wait_until(lambda: sees(guard, token) == "unknown", patience=20.0, what="the end of the key")
    assert [series for series, count in beside.metrics().items() if count and 'code="403"' in series] == []


def test_an_old_key_that_the_application_still_sees_is_kept_until_it_is_quiet(
    installed: Installed, api: Api, operator: OperatorProcess, beside: VerifierProcess, folder: Path
) -> None:
    assert beside.is_running
    team: Team = installed.team(api, operator, "team-b")
    guard = guard_from(folder)
    old = team.issue("late", ROTATED).token
    team.request_rotation("late")
    team.wait_until(lambda: team.secret("late").version == 2 or None, about="late", what="to switch")
    end = time.monotonic() + 8
    while time.monotonic() < end:
        assert sees(guard, old) == "team-b/late"
        time.sleep(0.2)
    team.wait_until(lambda: len(team.record("late").versions) == 1 or None, about="late", what="the end of the old version")
    wait_until(lambda: sees(guard, old) == "unknown", patience=10.0, what="the application to know")
    assert sees(guard, team.secret("late").token) == "team-b/late"


def test_a_verifier_that_starts_anew_takes_up_the_folder_and_the_application_notices_nothing(
    installed: Installed, api: Api, operator: OperatorProcess, beside: VerifierProcess, folder: Path
) -> None:
    team: Team = installed.team(api, operator, "team-c")
    guard = guard_from(folder)
    token = team.issue("steady").token
    beside.stop()
    assert sees(guard, token) == "team-c/steady"
    beside.restart()
    beside.wait_ready()
    assert sees(guard, token) == sees(guard_from(folder), token) == "team-c/steady"
    assert sees(guard, team.issue("later").token) == "team-c/later"
