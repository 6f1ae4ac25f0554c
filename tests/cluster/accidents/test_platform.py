"""What Keyturn stands on is taken away while it runs, and comes back: no key dies of it but those whose ApiKeys were deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gen.fence import ACCOUNT, RECORDS, SYSTEM, WHO_BREAKS_GLASS
from gen.installed import EVERYWHERE, RBAC, WATCHING, Installed, assert_nothing_was_refused, serves_apikeys
from gen.operator_process import unique_name
from gen.team import Api, Team
from gen.verifier_process import VerifierProcess
from testbed.cluster import ApiFailed, wait_until
from testbed.plane import Plane

Json = dict[str, Any]
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC = {"rotation": {"policy": "Manual", "gracePeriod": "1s", "overlapLimit": "5m"}, "rollout": {"policy": "Disabled"}}
SHORT = {"lease_duration": "3s"}
MODES = {"guarded": EVERYWHERE, "watch": WATCHING}
"""The second is slow for being told twice."""
NOT_WRITTEN_AGAIN = "The root secret is missing and could not be written again"
ROOT = f"/api/v1/namespaces/{SYSTEM}/secrets/keyturn-root"


@dataclass(frozen=True, slots=True)
class Platform:
    """An installation from deploy/, its operator and a verifier, and one team."""

    installed: Installed
    folder: Path
    """Of deploy/: what was applied."""
    team: Team
    verifier: VerifierProcess

    def issue(self, name: str, **spec: object) -> str:
        """The token of a new key that is accepted."""
        token = self.team.issue(name, {**SPEC, **spec}).token
        self.wait_accepted(token)
        return token

    def accepts(self, token: str) -> bool:
        return self.verifier.check(token).status == 200

    def wait_accepted(self, *tokens: str) -> None:
        wait_until(lambda: all(map(self.accepts, tokens)), patience=20.0, what="the key to be accepted")

    def stay_accepted(self, *tokens: str, seconds: float) -> None:
        """No moment without them."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert all(map(self.accepts, tokens)), "a key that nobody ended is refused"
            time.sleep(0.05)

    def install_again(self) -> None:
        """As the administrator does after the accident."""
        Installed.install(self.installed.plane, self.folder, scratch=self.installed.kubeconfig.parent)

    def logged(self, *words: str) -> list[str]:
        """Lines of the operator's log with all these words in them."""
        lines = map(json.dumps, self.team.operator.log_lines())
        return [line for line in lines if all(word in line for word in words)]


@pytest.fixture(scope="module")
def own_plane() -> Iterator[Plane]:
    with Plane.start() as plane:
        yield plane


@pytest.fixture(params=["guarded", pytest.param("watch", marks=pytest.mark.slow)])
def platform(own_plane: Plane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Platform]:
    folder = MODES[request.param]
    with ExitStack() as ends:
        installed = Installed.install(own_plane, folder, scratch=tmp_path)
        namespace = unique_name("t")
        own_plane.create_namespace(namespace)
        operator = ends.enter_context(installed.start_operator(SHORT)).wait_ready()
        verifier = ends.enter_context(installed.start_verifier(settings=SHORT)).wait_ready()
        team = installed.team(ends.enter_context(closing(Api(own_plane.login))), operator, namespace)
        yield Platform(installed, folder, team, verifier)
        own_plane.delete_namespace(namespace)


def test_keys_outlive_every_right_of_the_operator(platform: Platform) -> None:
    """A cleanup takes all bindings of its account; what was asked for meanwhile happens when they are back."""
    team = platform.team
    old = platform.issue("billing")
    bindings = bindings_of(platform.installed.objects)
    for binding in bindings:
        team.api.delete(path_of(binding))
    team.operator.wait_until(lambda: team.operator.ask("/readyz")[0] == 503, what="to say that it is not ready")
    assert platform.logged("Asking for permissions", "apikeys"), "the log names what is missing"
    team.request_rotation("billing")
    platform.stay_accepted(old, seconds=5.0)
    assert team.secret("billing").token == old
    for binding in bindings:
        team.api.apply(path_of(binding), binding)
    team.wait_until(lambda: team.secret("billing").token != old, about="billing", what="it is rotated", patience=60.0)
    platform.wait_accepted(team.secret("billing").token)
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    team.operator.wait_until(lambda: team.operator.ask("/readyz")[0] == 200, what="to be ready again")


def test_a_standby_without_its_rights_is_not_ready_and_takes_no_lead(platform: Platform) -> None:
    """Two ready pods must mean that either can work: the Lease alone, which it may still read, says nothing of the rest."""
    team, token = platform.team, platform.issue("billing")
    bindings = [each for each in bindings_of(platform.installed.objects) if each["kind"] == "ClusterRoleBinding"]
    with platform.installed.start_operator({"lease_duration": "1500ms"}) as standby:  # it asks every twenty of them
        standby.wait_until(lambda: standby.ask("/readyz")[0] == 200, what="to stand by")
        for binding in bindings:
            team.api.delete(path_of(binding))
        standby.wait_until(lambda: standby.ask("/readyz")[0] == 503, what="to say that it is not ready", patience=60.0)
        assert "May not list apikeys.keyturn.dev in all namespaces" in standby.ask("/readyz")[1]
        team.operator.kill()
        standby.wait_until(lambda: "Does not lead" in standby.messages(), what="to leave the lead alone")
        platform.stay_accepted(token, seconds=1.0)
        for binding in bindings:
            team.api.apply(path_of(binding), binding)
        standby.wait_ready(patience=60.0)
        team.request_rotation("billing")
        team.wait_ready("billing", version=2, patience=60.0)
        standby.stop()


def bindings_of(objects: list[Json]) -> list[Json]:
    """Every binding that gives the operator a right."""
    kinds = {"RoleBinding", "ClusterRoleBinding"}
    return [each for each in objects if each["kind"] in kinds and ACCOUNT in {subject["name"] for subject in each["subjects"]}]


def path_of(binding: Json) -> str:
    name, namespace = binding["metadata"]["name"], binding["metadata"].get("namespace")
    folder = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    return f"{folder}/{name}"


def test_a_root_secret_that_is_deleted_again_and_again_is_back_within_seconds(platform: Platform) -> None:
    """The same one: another could verify no record. It is the operator that has seen it go, by its own rights."""
    team = platform.team
    platform.issue("billing")
    before, times = team.api.ask("GET", ROOT), 5
    for _ in range(times):
        platform.installed.plane.kubectl("-n", SYSTEM, *WHO_BREAKS_GLASS, "delete", "secret", "keyturn-root")
        wait_until(lambda: team.api.get(ROOT) is not None, patience=5.0, what="the root secret to be back")
    after = team.api.ask("GET", ROOT)
    assert (after["data"], after["type"], after["metadata"]["labels"]) == (before["data"], before["type"], before["metadata"]["labels"])
    assert team.operator.metric("keyturn_root_secret_missing_total") == times
    assert len(platform.logged("The root secret was missing and was written again", "RootSecretMissing")) == times
    assert_nothing_was_refused(team.operator)
    team.operator.stop()
    team.operator.restart()
    team.operator.wait_ready()
    team.request_rotation("billing")
    team.wait_ready("billing", version=2)


def test_a_root_secret_that_may_not_be_written_again_counts_as_gone_once_however_often_it_is_tried(platform: Platform) -> None:
    team = platform.team
    with nobody_creates_the_root_secret(team.api):
        platform.installed.plane.kubectl("-n", SYSTEM, *WHO_BREAKS_GLASS, "delete", "secret", "keyturn-root")
        wait_until(lambda: len(platform.logged(NOT_WRITTEN_AGAIN, "RootSecretMissing")) > 2, patience=60.0, what="three tries")
        assert team.operator.metric("keyturn_root_secret_missing_total") == 1
    wait_until(lambda: team.api.get(ROOT) is not None, patience=90.0, what="the root secret to be back")
    assert team.operator.metric("keyturn_root_secret_missing_total") == 1


@contextmanager
def nobody_creates_the_root_secret(api: Api) -> Iterator[None]:
    """A policy of the cluster's administrators is against it."""
    about, name = "/apis/admissionregistration.k8s.io/v1", "no-root-secret"
    creating = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    rule = {"matchConstraints": {"resourceRules": [creating]}, "validations": [{"expression": "object.metadata.name != 'keyturn-root'"}]}
    api.ask("POST", f"{about}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": rule})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    api.ask("POST", f"{about}/validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": binding})
    try:
        wait_until(lambda: f"'{name}'" in refusal_of_a_root_secret(api), patience=20.0, what="the policy to be in force")
        yield
    finally:
        api.delete(f"{about}/validatingadmissionpolicybindings/{name}")
        api.delete(f"{about}/validatingadmissionpolicies/{name}")


def refusal_of_a_root_secret(api: Api) -> str:
    """Why none can be made; nothing is: it is a dry run."""
    folder, _, name = ROOT.rpartition("/")
    try:
        api.ask("POST", f"{folder}?dryRun=All", {"metadata": {"name": name}})
    except ApiFailed as refused:
        return str(refused)
    return ""


def test_the_namespace_of_the_records_comes_back_with_every_record_and_no_key_dies(platform: Platform) -> None:
    """Somebody deletes it and applies the installation again: who saw the ledger writes it anew, and nothing dead lives again."""
    team = platform.team
    ended, kept, other = issue_two(platform)
    delete_records_namespace(platform, kept, other)
    team.request_rotation("orders")
    said = f"namespace {RECORDS} is missing. Apply Keyturn's manifests again"
    team.wait_until(lambda: said in team.condition("orders", "Stalled").get("message", ""), about="orders", what="it is said")
    platform.stay_accepted(kept, other, seconds=3.0)
    platform.install_again()
    for name in ("billing", "orders"):
        team.annotate_apikey(name, "note", "touched")  # not to wait for half a minute
    team.wait_states("billing", {1: "Retired", 2: "Active"}, patience=60.0)
    team.wait_states("orders", {1: "Retired", 2: "Active"}, patience=60.0)
    team.wait_until(lambda: team.condition("orders", "Stalled") == {}, about="orders", what="it is not stalled any more")
    platform.wait_accepted(kept, team.secret("orders").token)
    assert team.secret("billing").token == kept
    assert not platform.accepts(ended)


def test_an_operator_that_forgot_the_records_writes_them_anew_and_no_key_dies(platform: Platform) -> None:
    """It was started anew without their namespace, which it refuses, and finds an empty one."""
    team = platform.team
    ended, kept, other = issue_two(platform)
    delete_records_namespace(platform, kept, other)
    team.operator.kill()
    team.operator.restart()
    assert team.operator.wait_exit() == 4
    assert platform.logged("Missing permission", f"in namespace {RECORDS}")
    platform.install_again()
    team.operator.restart()
    for name in ("billing", "orders"):
        team.wait_until(lambda name=name: team.find_record(name) is not None, about=name, what="the record is back", patience=60.0)
    platform.stay_accepted(kept, other, seconds=3.0)
    assert (team.secret("billing").token, team.secret("orders").token) == (kept, other)
    team.request_rotation("orders")
    team.wait_ready("orders", version=2, patience=60.0)
    platform.wait_accepted(kept, team.secret("orders").token)
    assert not platform.accepts(ended)


def issue_two(platform: Platform) -> tuple[str, str, str]:
    """A token of `billing` that was replaced, the one in its place, and one of `orders`."""
    team, ended = platform.team, platform.issue("billing")
    team.request_rotation("billing")
    team.wait_states("billing", {1: "Retired", 2: "Active"})
    return ended, team.secret("billing").token, platform.issue("orders")


def delete_records_namespace(platform: Platform, *tokens: str) -> None:
    """And wait until it is gone; these keys are accepted all the time."""
    path, end = f"/api/v1/namespaces/{RECORDS}", time.monotonic() + 30.0
    platform.team.api.delete(path)
    while platform.team.api.get(path) is not None:
        platform.stay_accepted(*tokens, seconds=0.2)
        assert time.monotonic() < end, "the namespace does not end"


def test_deleted_crds_end_the_keys_of_their_apikeys_and_applied_again_everything_goes_on(platform: Platform) -> None:
    """All ApiKeys go with their CRD. What ended stays so, what was to be retained works, numbers go on: from Git comes a new key."""
    team = platform.team
    revoked, retained = platform.issue("billing"), platform.issue("orders", deletionPolicy="Retain")
    crds = delete_crds(platform)
    team.operator.wait_until(lambda: team.operator.ask("/readyz")[0] == 503, what="to say that it is not ready")
    assert platform.logged("the ApiKey resource is missing"), "the log says what to do"
    team.wait_until(lambda: team.states("billing") == {1: "Revoked"}, about="", what="the key is revoked")
    wait_until(lambda: not platform.accepts(revoked), patience=20.0, what="the key to be refused")
    team.wait_until(lambda: team.record("orders").retained, about="", what="the other is retained")
    platform.stay_accepted(retained, seconds=3.0)
    apply_crds(platform, crds)
    for name, spec in (("billing", SPEC), ("orders", {**SPEC, "deletionPolicy": "Retain"})):
        team.apply_apikey(name, spec)
    team.wait_ready("billing", version=2, patience=60.0)
    platform.wait_accepted(team.secret("billing").token)
    team.wait_until(lambda: team.says("orders", "Ready")[0] == "True", about="orders", what="it is ready", patience=60.0)
    assert not platform.accepts(revoked), "nothing dead lives again"
    team.request_rotation("orders")
    team.wait_ready("orders", version=2)


def test_an_operator_that_slept_through_all_of_it_gives_out_new_keys(platform: Platform) -> None:
    """It saw neither the ApiKeys go nor the Secrets that went with them; those that it finds are others of the same names."""
    team = platform.team
    old, retained = platform.issue("billing"), platform.issue("orders", deletionPolicy="Retain")
    team.operator.kill()
    apply_crds(platform, delete_crds(platform))
    for name, spec in (("billing", SPEC), ("orders", {**SPEC, "deletionPolicy": "Retain"})):
        team.apply_apikey(name, spec)
    platform.stay_accepted(old, retained, seconds=1.0)
    team.operator.restart()
    team.wait_ready("billing", version=2, patience=60.0)
    assert team.states("billing") == {1: "Revoked", 2: "Active"}
    team.wait_until(lambda: team.says("orders", "Ready")[0] == "True", about="orders", what="it is ready", patience=60.0)
    assert team.states("orders") == {1: "Active"}
    platform.wait_accepted(team.secret("billing").token, retained)
    wait_until(lambda: not platform.accepts(old), patience=20.0, what="the old key to be refused")


def test_a_kind_that_is_not_served_for_a_while_ends_no_key(platform: Platform) -> None:
    """A CRD that serves no version answers 404 for every ApiKey, though all are in etcd: a list or a read of it says nothing about them."""
    team = platform.team
    token = platform.issue("billing")
    with platform.installed.start_operator(SHORT) as standby:
        standby.wait_until(lambda: standby.ask("/readyz")[0] == 200, what="to stand by")
        serve(platform, on=False)
        wait_until(lambda: not is_served(platform), patience=20.0, what="ApiKeys not to be served")
        for each in (team.operator, standby):  # who takes the lead would be deaf: Kopf looks for a kind only once
            each.wait_until(lambda each=each: each.ask("/readyz")[0] == 503, what="to say that it is not ready")
        team.operator.kill()
        team.operator.restart()
        platform.stay_accepted(token, seconds=3.0)
        assert team.states("billing") == {1: "Active"}
        serve(platform, on=True)
        wait_until(lambda: is_served(platform), patience=20.0, what="ApiKeys to be served")
        team.request_rotation("billing")
        team.wait_ready("billing", version=2, patience=60.0)


def delete_crds(platform: Platform) -> list[Json]:
    """And with them everything of these kinds; answers the CRDs as they are in Git."""
    crds = [each for each in platform.installed.objects if each["kind"] == "CustomResourceDefinition"]
    for crd in crds:
        platform.team.api.delete(f"{CRD}/{crd['metadata']['name']}")
    wait_until(
        lambda: all(platform.team.api.get(f"{CRD}/{crd['metadata']['name']}") is None for crd in crds),
        patience=60.0,
        what="the CRDs to be gone",
    )
    return crds


def apply_crds(platform: Platform, crds: list[Json]) -> None:
    for crd in crds:
        platform.team.api.apply(f"{CRD}/{crd['metadata']['name']}", crd)
    wait_until(lambda: is_served(platform), patience=20.0, what="ApiKeys to be served")


def is_served(platform: Platform) -> bool:
    try:
        return serves_apikeys(platform.installed.plane)
    except ApiFailed:
        return False


def serve(platform: Platform, *, on: bool) -> None:
    """Whether the CRD's one version is served."""
    path = f"{CRD}/apikeys.keyturn.dev"
    (version,) = platform.team.api.ask("GET", path)["spec"]["versions"]
    platform.team.api.merge(path, {"spec": {"versions": [{**version, "served": on}]}})
