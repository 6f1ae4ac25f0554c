"""Real operators with ApiKeys in every state that a person on call may meet, scraped by a real Prometheus with the chart's own rules.

with open_observatory(folder) as observatory:
    observatory.prometheus.query("sum by (namespace) (keyturn_leader)")
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import yaml

from gen.admission_webhook import denying_webhook
from gen.operator_process import OperatorProcess
from gen.team import Api, Team, bare_pod, foreign_secret
from keyturn.base.clock import format_time, utc_now
from keyturn.base.metrics import REGISTRY
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


@dataclass(frozen=True, slots=True)
class Observatory:
    """Two replicas in keyturn-system; one in `idle` that never gets the lead; one in `gone` that was scraped and has ended."""

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
        prometheus = ends.enter_context(Prometheus.start(folder, targets=_targets(operators), rules=[rules_without_delay(folder)]))
        # A counter's first rise is seen only by who has seen it at 0 before.
        wait_until(lambda: len(prometheus.query("keyturn_leader")) == len(operators), patience=30.0, what="a first scrape of each")
        operators["gone"].kill()
        leader = operators["leader"]
        team, refused = (
            Team(plane, api, name, leader, records_namespace=RECORDS, system_namespace=SYSTEM) for name in ("team-shop", "team-refused")
        )
        _make_situations(team, refused)
        yield Observatory(prometheus, team, leader, operators["standby"])


def series_names() -> set[str]:
    """What the operator's own metrics are called in Prometheus."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    own = (family for family in REGISTRY.collect() if family.name.startswith("keyturn_"))
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


def _targets(operators: dict[str, OperatorProcess]) -> list[Target]:
    """With the labels that a ServiceMonitor gives."""
    return [
        Target(str(each.probe_address), {"job": JOB, "namespace": each.setting("namespace"), "pod": f"{JOB}-{name}"})
        for name, each in operators.items()
    ]


def _make_situations(team: Team, refused: Team) -> None:
    """One ApiKey for each thing that can be the matter, and one that is fine."""
    _wait_for_refusals(refused)
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


def _wait_for_refusals(team: Team) -> None:
    """The API server takes a moment to notice a new webhook."""

    def is_refused() -> bool:
        try:
            team.api.ask("POST", f"/api/v1/namespaces/{team.namespace}/secrets?dryRun=All", {"metadata": {"name": "probe"}})
        except ApiFailed as failure:
            return "denied the request" in str(failure)
        return False

    wait_until(is_refused, patience=30.0, what="the webhook to refuse")
