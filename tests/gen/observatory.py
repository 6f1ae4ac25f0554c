"""Real operators and verifiers, ApiKeys in every state that a person on call may meet, a real Prometheus with the chart's own rules.

with open_observatory(folder) as observatory:
    observatory.prometheus.query("sum by (namespace) (keyturn_leader)")
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

import yaml

from gen import tokens
from gen.admission_webhook import denying_webhook
from gen.keyturn_process import KeyturnProcess
from gen.operator_process import OperatorProcess
from gen.team import Api, Team, bare_pod, foreign_secret
from gen.verifier_process import VerifierProcess
from keyturn.base.clock import format_time, utc_now
from keyturn.base.metrics import REGISTRY
from keyturn.verifier.service.metrics import REGISTRY as VERIFIERS_REGISTRY
from testbed.cluster import ApiFailed, wait_until
from testbed.plane import Plane, bare
from testbed.prometheus import Prometheus, Target

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ROOT / "charts" / "keyturn" / "files"
ALERTS: Final = FILES / "alerts.yaml"
SHORTENED: Final = {"KeyturnRotationOverdue": ("> 900", "> 2")}
"""What a test cannot wait for, beside `for`; the unit tests of the rules hold the real numbers."""
SYSTEM: Final = "keyturn-system"
RECORDS: Final = "keyturn-verifiers"
CALM: Final = {"lease_duration": "15s", "stall_timeout": "1s"}
JOB: Final = "keyturn-operator"
VERIFIER_JOB: Final = "keyturn-verifier"
NOT_A_FOLDER: Final = "/proc/keyturn/records"


@dataclass(frozen=True, slots=True)
class Observatory:
    """Two replicas in keyturn-system; one in `idle` that never gets the lead; one in `gone` that was scraped and has ended.

    One verifier in keyturn-system; one in `lost`, where no records are; one in `gone` that has ended.
    """

    prometheus: Prometheus
    team: Team
    leader: OperatorProcess
    standby: OperatorProcess


@contextmanager
def open_observatory(folder: Path) -> Iterator[Observatory]:
    """Start all of it, and make every situation."""
    with ExitStack() as ends:
        plane = ends.enter_context(Plane.start(bare()))
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        wait_until(lambda: plane.answers("/apis/keyturn.dev/v1alpha1/apikeys"), patience=20.0, what="the CRDs to be served")
        api = Api(plane.login)
        ends.callback(api.close)
        for name in ("team-shop", "team-refused", "nobody", "idle"):
            plane.create_namespace(name)
        ends.enter_context(denying_webhook(api, "team-refused", resource="secrets", scratch=folder))
        _hold_the_lead(api, "idle")
        operators = _start_operators(plane, ends)
        verifiers = _start_verifiers(plane, ends, folder)
        targets = [*_targets(operators, JOB), *_targets(verifiers, VERIFIER_JOB)]
        prometheus = ends.enter_context(Prometheus.start(folder, targets=targets, rules=[rules_without_delay(folder)]))
        # A counter's first rise is seen only by who has seen it at 0 before.
        for series, count in (("keyturn_leader", len(operators)), ("keyturn_verifier_caught_up", len(verifiers))):
            wait_until(
                lambda series=series, count=count: len(prometheus.query(series)) == count, patience=30.0, what=f"a first {series} of each"
            )
        operators["gone"].kill()
        verifiers["gone"].kill()
        leader = operators["leader"]
        team, refused = (
            Team(plane, api, name, leader, records_namespace=RECORDS, system_namespace=SYSTEM) for name in ("team-shop", "team-refused")
        )
        _make_situations(team, refused)
        team.issue("erased")
        scratch = folder / "records-webhook"
        scratch.mkdir()
        ends.enter_context(denying_webhook(api, RECORDS, resource="secrets", scratch=scratch))
        _make_situations_of_verifiers(team, verifiers["good"])
        yield Observatory(prometheus, team, leader, operators["standby"])


def series_names() -> set[str]:
    """What Keyturn's own metrics are called in Prometheus."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    families = (*REGISTRY.collect(), *VERIFIERS_REGISTRY.collect())
    own = (family for family in families if family.name.startswith("keyturn_"))
    return {f"{family.name}{suffix}" for family in own for suffix in suffixes.get(family.type, ("",))}


def rules_without_delay(folder: Path) -> Path:
    """A copy of the chart's rules, with `for` and what SHORTENED names cut to what a test can wait for."""
    rules = yaml.safe_load(ALERTS.read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule.pop("for", None)
        long, short = SHORTENED.get(rule["alert"], ("", ""))
        if long not in rule["expr"]:
            raise ValueError(f"{rule['alert']} does not say {long}")
        rule["expr"] = rule["expr"].replace(long, short) if long else rule["expr"]
    file = folder / "alerts.yaml"
    file.write_text(yaml.safe_dump(rules))
    return file


def _hold_the_lead(api: Api, namespace: str) -> None:
    """Somebody else leads there, for as long as whoever waits believes in a Lease that is not renewed."""
    now = f"{utc_now():%Y-%m-%dT%H:%M:%S.%fZ}"
    spec = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}
    api.ask("POST", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", {"metadata": {"name": JOB}, "spec": spec})


def _start_operators(plane: Plane, ends: ExitStack) -> dict[str, OperatorProcess]:
    def start(name: str, *, system: str, records: str, watched: str, **more: str) -> OperatorProcess:
        settings = {**CALM, "watch_namespaces": watched, **more}
        return ends.enter_context(OperatorProcess.start(plane, records_namespace=records, namespace=system, settings=settings, name=name))

    tenants = "team-shop,team-refused"
    operators = {
        "leader": start("leader", system=SYSTEM, records=RECORDS, watched=tenants),
        "idle": start("idle", system="idle", records="idle-records", watched="nobody", lease_duration="1h"),
        "gone": start("gone", system="gone", records="gone-records", watched="nobody"),
    }
    for name in ("leader", "gone"):
        operators[name].wait_ready()
    operators["standby"] = start("standby", system=SYSTEM, records=RECORDS, watched=tenants)
    for name in ("idle", "standby"):
        operator = operators[name]
        operator.wait_until(lambda operator=operator: operator.ask("/readyz") == (200, "ok"), what="to stand by")
    return operators


def _start_verifiers(plane: Plane, ends: ExitStack, folder: Path) -> dict[str, VerifierProcess]:
    def start(name: str, *, system: str, records: str, **settings: str) -> VerifierProcess:
        verifier = VerifierProcess.start(plane, records_namespace=records, namespace=system, settings=settings, name=f"verifier-{name}")
        return ends.enter_context(verifier)

    verifiers = {
        "good": start("good", system=SYSTEM, records=RECORDS, snapshot=NOT_A_FOLDER, issuers=str(_issuers_file(folder))),
        "lost": start("lost", system="lost", records="lost-records"),
        "gone": start("gone", system="gone", records="gone-records"),
    }
    for verifier in verifiers.values():
        verifier.wait_until(lambda verifier=verifier: verifier.ask("/healthz") == (200, "ok"), what="to be up")
    verifiers["good"].wait_ready()
    return verifiers


def _issuers_file(folder: Path) -> Path:
    """One issuer of JSON Web Tokens, whose key is in a file."""
    keys, file = folder / "keys.json", folder / "issuers.yaml"
    keys.write_text(json.dumps({"keys": [tokens.public(tokens.key())]}))
    issuer = {"name": "corp", "issuer": tokens.ISSUER, "audiences": [tokens.AUDIENCE], "jwksFile": str(keys)}
    file.write_text(yaml.safe_dump({"issuers": [issuer]}))
    return file


def _targets(processes: Mapping[str, KeyturnProcess], job: str) -> list[Target]:
    """With the labels that a ServiceMonitor gives."""
    return [
        Target(str(each.probe_address), {"job": job, "namespace": each.setting("namespace"), "pod": f"{job}-{name}"})
        for name, each in processes.items()
    ]


def _make_situations(team: Team, refused: Team) -> None:
    """One ApiKey for each thing that can be the matter, and one that is fine."""
    _wait_for_refusals(refused, refused.namespace)
    refused.apply_apikey("denied")
    team.create(foreign_secret("taken"))
    team.apply_apikey("taken")
    team.apply_apikey("contractor", {"expirationTime": format_time(utc_now() + timedelta(days=3))})
    team.apply_apikey("stuck", {"rotation": {"gracePeriod": "1s", "overlapLimit": "3600s"}})
    team.apply_apikey("late", {"rotation": {"interval": "8s", "gracePeriod": "1s"}})
    for name in ("fine", "damaged"):
        team.apply_apikey(name)
    team.wait_ready("late")
    team.api.merge(team.secret_path("late"), {"immutable": True})  # so its next version cannot be delivered
    for name in ("contractor", "stuck", "fine", "damaged"):
        team.wait_ready(name)
    team.api.ask("POST", f"/api/v1/namespaces/{team.namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    team.create(bare_pod("stuck", secret="stuck"))
    team.request_rotation("stuck")
    team.api.merge(team.record_path("damaged"), {"data": {"signature": base64.b64encode(b"x" * 64).decode()}})
    team.wait_says("stuck", "RolloutComplete", "False", "RolloutStalled")
    team.wait_says("taken", "Stalled", "True", "SecretConflict")
    refused.wait_says("denied", "Stalled", "True", "AdmissionDenied")


def _make_situations_of_verifiers(team: Team, verifier: VerifierProcess) -> None:
    """A record that somebody deletes and that cannot be written again, and a client that asks for what its key may not."""
    _wait_for_refusals(team, RECORDS)
    token = team.secret("fine").token
    wait_until(lambda: verifier.check(token).status == HTTPStatus.OK, patience=20.0, what="the verifier to know the key")
    team.api.delete(team.record_path("erased"))
    for _ in range(200):
        verifier.check(token, path="/verify?scope=reports:read")


def _wait_for_refusals(team: Team, namespace: str) -> None:
    """The API server takes a moment to notice a new webhook."""

    def is_refused() -> bool:
        try:
            team.api.ask("POST", f"/api/v1/namespaces/{namespace}/secrets?dryRun=All", {"metadata": {"name": "probe"}})
        except ApiFailed as failure:
            return "denied the request" in str(failure)
        return False

    wait_until(is_refused, patience=30.0, what="the webhook to refuse")
