"""The journey with everything as pods on a real node, as a platform team runs it: Argo CD brings chart, key, gateway and client from Git.

with GitopsJourney.open(node, folder=tmp_path) as journey:
    journey.push_rotation({"trigger": "ticket 17"})
    journey.see_rotation()
    journey.judge()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

from gen.argo_watch import ArgoWatch
from gen.chart import CURRENT
from gen.fleet import APPLICATIONS, EXAMPLES, at_home, bring_fleet, example_files
from gen.gitops import wanted_key
from gen.installed import SYSTEM, VERIFIER
from gen.journey import NAME, key_id_of
from gen.outcomes import Diary, Outcome, failures_of, read_outcomes, speed_of, told
from gen.raw_request import ask, bearer
from gen.shop_pods import GATEWAY, PORT, SHOP, shop_file, shop_files
from gen.team import SecretView
from testbed.argocd import ArgoCD
from testbed.cluster import wait_until
from testbed.node import NodePlane

Json = dict[str, Any]

VALUES: Final[Json] = {
    "image": {"tag": CURRENT},
    "settings": {"minimumInterval": "1m", "minimumGracePeriod": "1s", "minimumRotationSpacing": "1s", "settle": "1s"},
    "networkPolicy": {"enabled": True},
}
"""Only what would make a test last for hours differs from an installation as it comes."""
ROTATION: Final[Json] = {"policy": "Manual", "gracePeriod": "1s", "quietPeriod": "2s", "overlapLimit": "10m"}
PATIENCE: Final = 180.0


@dataclass(slots=True)
class GitopsJourney:
    """Made by `GitopsJourney.open`."""

    node: NodePlane
    argo: ArgoCD
    watch: ArgoWatch
    diary: Diary
    outcomes: Path
    port: int
    """Of this machine, behind which the gateway answers."""
    commits: list[str]
    """What was pushed for the team, oldest first."""
    upgrades: list[str]
    """What was pushed for Keyturn itself, oldest first."""
    tokens: list[str] = field(default_factory=list)
    """Every key the Secret has held, oldest first."""

    @classmethod
    @contextmanager
    def open(cls, node: NodePlane, *, folder: Path) -> Iterator[Self]:
        """Everything from one push to Git, with a client that asks; to the end of the block Argo CD is watched."""
        diary, outcomes = Diary(), folder / "outcomes"
        outcomes.mkdir()
        argo = ArgoCD.start(node)
        watch = ArgoWatch(argo, diary)
        commit = bring_fleet(argo, _repository(argo, outcomes), patience=PATIENCE)
        address = node.kubectl("-n", SHOP, "get", "service", GATEWAY, "-o", "jsonpath={.spec.clusterIP}")
        journey = cls(node, argo, watch, diary, outcomes, node.forward(address, PORT), [commit], [commit])
        diary.note("Argo CD has brought everything")
        with watch.looking():
            journey.tokens.append(journey.secret().token)
            journey.wait(lambda: journey.is_used(journey.tokens[0]), what="the client to ask")
            yield journey

    def push_rotation(self, rotation: Mapping[str, object]) -> None:
        """Change the key's rotation in Git and have Argo CD look."""
        manifest = wanted_key(NAME, {"rotation": {**ROTATION, **rotation}})
        with self.watch.pushing(SHOP):
            self.diary.note(f"pushed to Git: {dict(rotation)}")
            self.commits.append(self.argo.git.push({shop_file(manifest): yaml.safe_dump(manifest)}))
            self.argo.refresh(SHOP)
            self.argo.wait(SHOP, revision=self.commits[-1], patience=PATIENCE)

    def push_settings(self, settings: Mapping[str, object]) -> None:
        """Change the verifiers' settings in Git: Argo CD hands them on, and all their pods are replaced."""
        verifier = {"settings": dict(settings)}
        with self.watch.pushing("fleet"), self.watch.pushing("keyturn"):
            self.diary.note(f"pushed to Git: {verifier}")
            files = _chart_application(self.argo, {**VALUES, "verifier": verifier})
            self.upgrades.append(self.argo.git.push(files))
            self.argo.refresh("fleet")
            self.wait(lambda: self.argo.syncs("keyturn") == self.upgrades, what="Argo CD to hand the settings on")
            self.node.kubectl("-n", SYSTEM, "rollout", "status", f"deployment/{VERIFIER}", f"--timeout={PATIENCE:.0f}s")
            for application in ("keyturn", "fleet"):
                self.argo.wait(application, patience=PATIENCE)
        self.diary.note("the verifiers have been replaced")

    def wait_begun(self) -> None:
        """Wait until the status shows a version after the one that the Secret held last."""
        last = len(self.tokens)
        self.wait(lambda: max(self.states()) > last, what=f"version {last + 1} to be staged")

    def see_rotation(self) -> None:
        """Wait until the client uses a new key and the one before it has ended, and see that it is refused."""
        old = self.tokens[-1]
        self.wait(lambda: self.secret().token != old, what="a new key in the Secret")
        held = self.secret()
        self.tokens.append(held.token)
        self.diary.note(f"the Secret holds version {held.version}")
        self.wait(lambda: self.is_used(held.token), what="the client to use the new key")
        self.diary.note("the client uses the new key")
        self.wait(
            lambda: self.states() == {**dict.fromkeys(self.states(), "Retired"), held.version: "Active"}, what="the old key to retire"
        )
        self.diary.note("the old key has retired")
        wait_until(lambda: self.ask(old) == 401, patience=10.0, what="the old key to be refused")

    def kill_a_verifier(self) -> None:
        """Its process without a word, then its pod: it will not come back, another one takes its place."""
        pods = json.loads(self.node.kubectl("-n", SYSTEM, "get", "pods", "-l", "app.kubernetes.io/component=verifier", "-o", "json"))
        self._kill(pods["items"][0]["metadata"]["name"])

    def kill_the_leader(self) -> None:
        """The same to the operator's pod that leads."""
        lease = json.loads(self.node.kubectl("-n", SYSTEM, "get", "lease", "keyturn-operator", "-o", "json"))
        self._kill(lease["spec"]["holderIdentity"].partition("_")[0])

    def judge(self) -> None:
        """No request failed, only the last key is accepted, and Argo CD neither doubted nor fought what Keyturn did."""
        asked = self.asked()
        self.diary.note(f"{len(asked)} requests with {len(self.tokens)} keys, {speed_of(asked)}; {self.watch.looks} looks at Argo CD")
        failures = failures_of(asked)
        assert not failures, told(failures, self.diary)
        assert {outcome.key_id for outcome in asked} == {key_id_of(token) for token in self.tokens}
        assert [self.ask(token) for token in self.tokens] == [*[401] * (len(self.tokens) - 1), 200]
        assert self.watch.wrong == []
        for application in APPLICATIONS:
            self.argo.refresh(application, kind="hard")
            self.argo.wait(application, patience=PATIENCE)
        wanted = {"fleet": self.upgrades, "keyturn": self.upgrades, "billing-api": self.upgrades[:1], SHOP: self.commits}
        assert {name: self.argo.syncs(name) for name in APPLICATIONS} == wanted

    def ask(self, token: str) -> int:
        """The status that a request with this key gets."""
        return ask(self.port, "/orders", bearer(token)).status

    def asked(self) -> list[Outcome]:
        """Of all requests so far, from all pods of the client."""
        return [outcome for file in self.outcomes.iterdir() for outcome in read_outcomes(file)]

    def is_used(self, token: str) -> bool:
        """Whether the client has asked with this key."""
        return any(outcome.key_id == key_id_of(token) for outcome in self.asked())

    def secret(self) -> SecretView:
        return SecretView(json.loads(self.node.login.ask("GET", f"/api/v1/namespaces/{SHOP}/secrets/{NAME}")))

    def states(self) -> dict[int, str]:
        """Of the versions, as the status tells them."""
        path = f"/apis/keyturn.dev/v1alpha1/namespaces/{SHOP}/apikeys/{NAME}"
        return {each["number"]: each["state"] for each in json.loads(self.node.login.ask("GET", path))["status"]["versions"]}

    def wait(self, is_so: Callable[[], bool], *, what: str) -> None:
        wait_until(is_so, patience=PATIENCE, what=what)

    def _kill(self, pod: str) -> None:
        self.diary.note(f"{pod} is killed")
        self.node.kill_container(SYSTEM, pod)
        self.node.kubectl("-n", SYSTEM, "delete", "pod", pod, "--grace-period=0", "--force")


def _repository(argo: ArgoCD, outcomes: Path) -> dict[str, str | None]:
    """The example's repository with our values for the chart, and with our team's manifests."""
    files = {name: text for name, text in example_files(argo).items() if not name.startswith(f"teams/{SHOP}/")}
    manifests = shop_files({"rotation": ROTATION}, outcomes=outcomes)
    return {**files, **_chart_application(argo, VALUES), **{name: yaml.safe_dump(each) for name, each in manifests.items()}}


def _chart_application(argo: ArgoCD, values: Json) -> dict[str, str]:
    application = yaml.safe_load(at_home(argo, EXAMPLES / "apps" / "keyturn.yaml"))
    application["spec"]["source"]["helm"] = {"valuesObject": values}
    return {"apps/keyturn.yaml": yaml.safe_dump(application)}
