"""The main job, told on a real control plane: a key is issued, used, rotated with both keys valid, rolled out, retired."""

from __future__ import annotations

import time
from typing import Final

from demo.evidence import Evidence
from demo.screen import CommandFailed, Screen
from demo.stage import Stage, environment_of, plane, shell_lines, start_operator
from keyturn.base.names import Key
from testbed.cluster import wait_until

NAMESPACE: Final = "team-shop"
GRACE: Final = "15s"
ROLLOUT: Final = "'{.spec.template.metadata.annotations}'"
EVENTS: Final = "TYPE:.type,REASON:.reason,MESSAGE:.message"
NOTHING_HANGS: Final = 60.0


def play(screen: Screen, *, keep: bool) -> None:
    """Everything, from an empty machine to an empty machine; `keep`: to a running cluster."""
    screen.chapter("A Kubernetes of its own: etcd, API server, controllers, three nodes whose pods run nothing")
    screen.say("The first time on a machine it is built from source: about ten minutes on two cores, then never again.")
    with plane(keep=keep) as running:
        screen.environment = environment = environment_of(running)
        screen.chapter("Install: one resource, one process")
        screen.run("kubectl apply --server-side -f crds/")
        stage = start_operator(running, environment)
        screen.say("keyturn operator is running, with seconds where production has minutes and hours.")
        try:
            _tell(screen, stage)
        except (CommandFailed, TimeoutError):
            screen.say("The end of the operator's log:")
            screen.result("\n".join(stage.operator.log.read_text(errors="replace").splitlines()[-15:]))
            raise
        if keep:
            _hand_over(screen, stage)
        else:
            stage.stop_operator()
    if not keep:
        screen.chapter("Done; nothing is left running. `make demo KEEP=1` leaves the cluster up for you")


def _tell(screen: Screen, stage: Stage) -> None:
    evidence = Evidence(stage.plane, Key(NAMESPACE, "billing"))
    screen.run(f"kubectl create namespace {NAMESPACE}")
    screen.run(f"kubectl config set-context --current --namespace {NAMESPACE}")
    _issue(screen)
    _two_secrets(screen, evidence)
    first = evidence.token()
    _rotate(screen, evidence, first=first)
    _roll_out(screen)
    _retire(screen, evidence, first=first)


def _issue(screen: Screen) -> None:
    screen.chapter("Ask for a key, and deploy what uses it")
    screen.run("kubectl apply -f deploy/examples/first-key/")
    screen.watch("kubectl get apikey billing --watch", until=lambda line: "True" in line)
    screen.run("kubectl rollout status deployment/shop --timeout=60s")


def _two_secrets(screen: Screen, evidence: Evidence) -> None:
    screen.chapter("Two Secrets: the key for its consumer, its hash for whoever checks keys")
    screen.run("kubectl get secret billing -o jsonpath='{.data.api-key}' | base64 -d; echo")
    screen.say("(the secret part is hidden here; prefix and key ID are public)")
    screen.run("kubectl get secret billing -o jsonpath='{.data.api-key}' | base64 -d | keyturn inspect")
    screen.run(f"kubectl get secret -n keyturn-verifiers {evidence.key.record_name}")
    record = evidence.record()
    (version,) = record.versions
    screen.say("The record's signature holds. It says, among other things:")
    screen.result(f"version {version.number}  key ID {version.key_id}  {version.state}\ndigest {version.digest}")


def _rotate(screen: Screen, evidence: Evidence, *, first: str) -> None:
    screen.chapter("Rotate, as the calendar would in ninety days")
    grace = f'{{"spec":{{"rotation":{{"gracePeriod":"{GRACE}"}}}}}}'
    screen.run(f"kubectl patch apikey billing --type merge --patch '{grace}'")
    screen.say("(the old key is promised 24 hours; for the demo, seconds)")
    screen.run("keyturn rotate billing --wait")
    second = evidence.token()
    screen.say("Both keys are valid now. What a verifier reads from the record:")
    judged = [evidence.judge(first), evidence.judge(second)]
    screen.result("\n".join(judged))
    if not all("ACCEPTED" in line for line in judged):
        raise CommandFailed("both keys should be accepted now")


def _roll_out(screen: Screen) -> None:
    screen.chapter("The consumer is rolled out: one annotation on its pod template, nothing else")
    screen.run("kubectl get pods -l app=shop")
    screen.say("(a pause: a node may still serve the old Secret to a pod that starts right after the switch)")
    wait_until(lambda: bool(_annotation(screen)), patience=NOTHING_HANGS, what="the rollout to begin")
    screen.run(f"kubectl get deployment shop -o jsonpath={ROLLOUT}; echo")
    screen.run("kubectl rollout status deployment/shop --timeout=60s")
    screen.run("kubectl get pods -l app=shop")
    screen.run("keyturn describe billing")


def _retire(screen: Screen, evidence: Evidence, *, first: str) -> None:
    screen.chapter("The old key retires when its grace is over and no pod that started with it is left")
    end = time.monotonic() + NOTHING_HANGS
    while "ACCEPTED" in evidence.judge(first):
        if time.monotonic() > end:
            raise CommandFailed("the old key did not retire")
        time.sleep(0.2)
    judged = [evidence.judge(first), evidence.judge(evidence.token())]
    screen.result("\n".join(judged))
    screen.run("keyturn get billing")
    screen.run(f"kubectl get events --field-selector involvedObject.name=billing --sort-by=.eventTime -o custom-columns={EVENTS}")


def _annotation(screen: Screen) -> str:
    return screen.quietly(f"kubectl get deployment shop -o jsonpath={ROLLOUT}")


def _hand_over(screen: Screen, stage: Stage) -> None:
    screen.chapter("The cluster stays up. Type next")
    print(
        f"{shell_lines(stage)}\n\n"
        "kubectl get apikeys\n"
        "keyturn rotate billing --wait\n"
        "keyturn describe billing\n"
        "kubectl explain apikey.spec.rotation\n"
        f"tail -f {stage.plane.folder / 'log' / 'operator.log'}   # what the operator says\n"
        f"tail -f {stage.audit_log}   # one line for every change of a key\n\n"
        "make demo-stop   # ends it all",
        flush=True,
    )
