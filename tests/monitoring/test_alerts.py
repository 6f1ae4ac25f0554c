"""The chart's alerts: Prometheus takes them, every situation that can be made in seconds fires its own, and each has its page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from gen.observatory import ALERTS, ROOT, Observatory, series_names
from testbed.cluster import wait_until

RULES: Final[list[dict[str, Any]]] = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
NAMES: Final = [rule["alert"] for rule in RULES]
UNIT_TESTS: Final = Path(__file__).with_name("alerts_test.yaml")
HOW_TO: Final = "https://keyturn.dev/docs/how-to/"
SITUATIONS: Final = {
    "KeyturnDown": {"namespace": "gone"},
    "KeyturnNotLeading": {"namespace": "idle"},
    "KeyturnRotationOverdue": {"namespace": "keyturn-system"},
    "KeyturnRolloutStalled": {"namespace": "keyturn-system"},
    "KeyturnKeyExpiresSoon": {"apikey_namespace": "team-shop", "apikey": "contractor"},
    "KeyturnKeyStalled": {"reason": "AdmissionDenied"},
    "KeyturnSecretConflict": {"reason": "SecretConflict"},
    "KeyturnRecordsDamaged": {"namespace": "keyturn-system"},
    "KeyturnQueueFailing": {"namespace": "keyturn-system"},
    "KeyturnVerifierDown": {"namespace": "gone"},
    "KeyturnVerifierNotCaughtUp": {"namespace": "lost"},
    "KeyturnVerifierStale": {"namespace": "lost"},
    "KeyturnVerifierRecordsVanished": {"namespace": "keyturn-system"},
    "KeyturnVerifierRecordsIgnored": {"namespace": "keyturn-system", "result": "forged"},
    "KeyturnVerifierRefusesKnownKeys": {"namespace": "keyturn-system", "verdict": "scope"},
    "KeyturnVerifierSnapshotFails": {"namespace": "keyturn-system"},
}
"""Labels that tell the alert of the situation made for it (gen/observatory.py)."""
Promtool = Callable[..., subprocess.CompletedProcess[str]]
ONLY_BY_A_BUG: Final = {"KeyturnLogRedactions", "KeyturnTermsBroken"}
ONLY_IN_UNIT_TESTS: Final = {"KeyturnVerifierClockSkew", "KeyturnFenceOpen", "KeyturnRestoreDetected", "KeyturnRootSecretMissing"}
"""The machine's clock is everybody's, and so are the past of the store and its root secret; and this operator has the right
to read Secrets. Without it:
tests/cluster/deploy/test_guarded.py."""
ABOUT_HEALTHY: Final = {"KeyturnDown", "KeyturnNotLeading", "KeyturnVerifierDown", "KeyturnVerifierNotCaughtUp", "KeyturnVerifierStale"}
"""Of these, keyturn-system gives no cause for any."""


def test_promtool_has_nothing_to_say_about_the_rules(promtool: Promtool) -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    assert (done.returncode, done.stderr) == (0, "")


def test_thresholds_delays_and_words_of_the_alerts_are_as_written_down(promtool: Promtool) -> None:
    done = promtool("test", "rules", UNIT_TESTS.name, folder=UNIT_TESTS.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_in_the_unit_tests_firing_and_silent() -> None:
    cases = [case for group in yaml.safe_load(UNIT_TESTS.read_text())["tests"] for case in group["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == set(NAMES)
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == set(NAMES)


def test_every_alert_has_a_situation_or_comes_only_by_a_bug() -> None:
    assert {*SITUATIONS, *ONLY_BY_A_BUG, *ONLY_IN_UNIT_TESTS} == set(NAMES)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_real_situation_makes_the_alert_fire(observatory: Observatory, name: str) -> None:
    wanted = {"alertname": name, **SITUATIONS[name]}

    def fires() -> bool:
        return any(wanted.items() <= alert["labels"].items() for alert in observatory.prometheus.firing())

    wait_until(fires, patience=30.0, what=f"{wanted} to fire")


def test_no_alert_fires_that_nothing_gave_cause_for(observatory: Observatory) -> None:
    """A scrape that a busy machine was late for passes."""

    def is_wrong(labels: dict[str, str]) -> bool:
        about_healthy = labels["alertname"] in ABOUT_HEALTHY and labels.get("namespace") == "keyturn-system"
        unmade = labels["alertname"] in ONLY_BY_A_BUG | ONLY_IN_UNIT_TESTS
        return about_healthy or unmade or labels.get("apikey", "contractor") != "contractor"

    def only_right_ones() -> bool:
        fired = [alert["labels"] for alert in observatory.prometheus.firing()]
        return bool(fired) and not any(is_wrong(labels) for labels in fired)

    wait_until(only_right_ones, patience=20.0, what="only alerts that there is cause for")


def test_prometheus_can_evaluate_every_rule(observatory: Observatory) -> None:
    wait_until(lambda: all(rule["health"] != "unknown" for rule in observatory.prometheus.rules()), patience=20.0, what="an evaluation")
    assert [(rule["name"], rule["lastError"]) for rule in observatory.prometheus.rules() if rule["health"] != "ok"] == []


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_uses_only_metrics_that_there_are(rule: dict[str, Any]) -> None:
    used = set(re.findall(r"\bkeyturn_\w+", rule["expr"]))
    assert used
    assert used - series_names() == set()


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_how_bad_it_is_and_has_a_page_that_names_it(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    url = rule["annotations"]["runbook_url"]
    assert url.startswith(HOW_TO)
    assert f"`{rule['alert']}`" in (ROOT / "docs" / "how-to" / f"{url.removeprefix(HOW_TO)}.md").read_text()


def test_a_standby_tells_of_no_key(observatory: Observatory) -> None:
    """Two replicas that both told of the keys would count each of them twice."""
    assert observatory.leader.metric("keyturn_apikeys") == 8
    assert observatory.standby.metric("keyturn_apikeys") == 0
    assert observatory.standby.metric("keyturn_queue_scheduled") == 0
