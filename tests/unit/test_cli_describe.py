"""`keyturn describe`: the text whole, the JSON's fields whole, the advice."""

from __future__ import annotations

from dataclasses import replace

import click

from gen.apikey_json import NOW, Json, apikey, at, condition, overlapping, stalled, steady
from keyturn.api.workloads import Pod, RolloutView, Strategy, Workload
from keyturn.base.clock import DAY, HOUR
from keyturn.cli.apikeys.advice import next_steps, things_waited_for
from keyturn.cli.apikeys.apikey_view import decode_apikey
from keyturn.cli.apikeys.description import ConsumerView, Description, EventView, SecretView, consumers_of
from keyturn.cli.apikeys.description_json import description_json
from keyturn.cli.apikeys.description_text import render_description

SECRET = SecretView("billing", present=True, key_id="Qm8sT2fLx0Za", version="2")
OLD, NEW = NOW - 3 * DAY, NOW - HOUR
VIEW = RolloutView(
    (
        Workload(kind="Deployment", name="web", uid="1", references=True),
        Workload(kind="StatefulSet", name="db", uid="2", references=True, strategy=Strategy.ON_DELETE, template_annotation="Qm8sT2fLx0Za"),
        Workload(kind="Deployment", name="stranger", uid="3", references=False),
    ),
    (
        Pod(
            name="web-1",
            uid="4",
            created=NEW,
            references=True,
            controller_kind="ReplicaSet",
            controller_name="web-5f",
            labels=(("pod-template-hash", "5f"),),
        ),
        Pod(name="db-0", uid="5", created=OLD, references=True, controller_kind="StatefulSet", controller_name="db"),
    ),
)


def described(item: Json, *, secret: SecretView | None = SECRET, view: RolloutView | None = VIEW) -> Description:
    key = decode_apikey(item)
    consumers = consumers_of(key, view) if view is not None else None
    return Description(
        key=key,
        secret=secret,
        consumers=consumers,
        events=(EventView(NOW - HOUR, "Normal", "Rotated", "Version 2 (Qm8sT2fLx0Za) is in the Secret", 1),),
        waits_for=things_waited_for(key, consumers),
        next_steps=next_steps(key, secret, consumers),
        not_seen=(),
    )


def test_an_overlap_is_told_whole() -> None:
    assert (
        click.unstyle(render_description(described(apikey(status=overlapping())), now=NOW))
        == """\
Name:          billing
Namespace:     team-a
Ready:         True: Version 2 is in force
Key ID:        Qm8sT2fLx0Za (version 2)
Secret:        billing (present, version 2)
Product:       none: the default audience, no scopes
Rotation:      every 720h, grace 24h, overlap limit 168h
Next rotation: in 12d (2026-12-06T12:01:00Z)
Expires:       never
Last used:     not known
Age:           3d4h

Versions:
  VERSION   STATE      KEY ID         MADE   ACTIVE SINCE   ENDS
  2         Active     Qm8sT2fLx0Za   3h     3h             -
  1         Retiring   a1B2c3D4e5F6   30d    30d            in 6d at the latest

Used by:
  WORKLOAD         RUNNING PODS   ROLLOUT
  Deployment/web   1              done
  StatefulSet/db   1              waiting (OnDelete)

Conditions:
  TYPE                    STATUS   SINCE   REASON                    MESSAGE
  Ready                   True     3h      Issued                    Version 2 is in force
  PreviousVersionActive   True     3h      PreviousVersionRetiring   Version 1 is still accepted

Waits for:
  Version 1 is still accepted (PreviousVersionRetiring)

What to do:
  StatefulSet/db replaces pods only when they are deleted: kubectl -n team-a delete pod, one of its pods after the other

Events:
  LAST SEEN   TYPE     REASON    MESSAGE
  60m         Normal   Rotated   Version 2 (Qm8sT2fLx0Za) is in the Secret"""
    )


def test_outside_an_overlap_nobody_has_to_move() -> None:
    assert described(apikey(status=steady())).consumers == (
        ConsumerView("Deployment", "web", pods=1, done=None),
        ConsumerView("StatefulSet", "db", pods=1, done=None),
    )


def test_a_pod_is_judged_by_the_wait_of_this_operator_and_not_by_the_usual_one() -> None:
    """Its settle was set to a minute; describe took 15 s for granted, and called a pod done that had started before."""
    switched = apikey(status=overlapping(rollout={"keyID": "Qm8sT2fLx0Za", "startTime": at(hours=-1, seconds=1)}))
    assert [each.done for each in described(switched).consumers or ()] == [False, False]


def test_where_the_status_tells_of_no_rollout_nobody_is_called_done() -> None:
    unknown = apikey(status=overlapping(rollout={}))
    assert [each.done for each in described(unknown).consumers or ()] == [None, None]


def test_a_key_nobody_has_looked_at_says_so() -> None:
    told = described(apikey(), secret=SecretView("billing", present=False), view=RolloutView((), ()))
    assert told.waits_for == ("The operator's first look at this ApiKey",)
    assert told.next_steps == ("If it stays so, see that the operator runs: kubectl get pods -A -l app.kubernetes.io/name=keyturn",)


def test_who_still_uses_the_old_key_is_to_be_found() -> None:
    message = "Version 1 was still used at 2026-11-24T11:59:57Z (verifier v): it ends when nobody has used it for 1h"
    conditions = [condition("PreviousVersionActive", "True", "OldKeyInUse", message)]
    told = described(apikey(status=overlapping(conditions=conditions, lastUsedTime=at(hours=-12))), view=RolloutView((), ()))
    assert told.waits_for == (f"{message} (OldKeyInUse)",)
    assert told.next_steps == ("Somebody uses the old key: find who does not read the Secret, before its limit ends it",)
    assert "Last used:     today" in click.unstyle(render_description(told, now=NOW))


def test_a_rotation_that_waits_is_told_once() -> None:
    """It stands on Ready alone where the key is in force and has no older one: describe waited for nothing."""
    due = "A rotation is due (Requested); it starts when version 1 has retired"
    ready = condition("Ready", "True", "Issued", f"Version 2 is in force. {due}")
    overlap = condition("PreviousVersionActive", "True", "RotationDeferred", due)
    assert described(apikey(status=steady(conditions=[ready]))).waits_for == (due,)
    assert described(apikey(status=steady(conditions=[ready, overlap]))).waits_for == (f"{due} (RotationDeferred)",)


def test_the_most_urgent_advice_comes_first() -> None:
    paused = apikey(status=stalled(), spec={"disabled": True}, annotations={"keyturn.dev/paused": "true"})
    assert described(paused).next_steps == (
        "Keyturn does nothing while it is paused; to go on: kubectl -n team-a annotate apikey billing keyturn.dev/paused-",
        "Secret billing is not Keyturn's. Remove it (SecretConflict)",
        "The key is refused everywhere; to accept it again: keyturn enable billing -n team-a",
    )


def test_a_secret_that_is_missing_or_behind_is_noticed() -> None:
    lost = described(apikey(status=steady()), secret=SecretView("billing", present=False))
    assert lost.next_steps == ("Secret billing is missing; Keyturn makes a new key by itself. Find out who deletes it",)
    behind = described(apikey(status=steady()), secret=replace(SECRET, key_id="a1B2c3D4e5F6"))
    assert behind.next_steps == ("Secret billing holds key ID a1B2c3D4e5F6 and not Qm8sT2fLx0Za; if that lasts, see the operator's log",)


def test_the_json_has_every_field_whatever_is_known() -> None:
    known = description_json(described(apikey(status=overlapping())))
    unknown = description_json(replace(described(apikey(), secret=None, view=None), events=None))
    assert list(known) == list(unknown)
    assert known["consumers"] == [
        {"kind": "Deployment", "name": "web", "pods": 1, "done": True, "reason": None},
        {"kind": "StatefulSet", "name": "db", "pods": 1, "done": False, "reason": "OnDelete"},
    ]
    assert (unknown["secret"], unknown["consumers"], unknown["events"]) == ({"name": "billing", "present": None, "keyID": None}, None, None)
    assert list(known) == [
        "apiVersion", "kind", "namespace", "name", "uid", "creationTime", "product", "productNamespace", "plan", "scopes", "askedPlan",
        "askedScopes", "approved", "rotation", "effective", "limits", "expirationTime", "disabled", "paused", "activeVersion", "keyID",
        "nextRotationTime", "lastRotationTime", "lastUsedTime", "delivery", "secret", "versions", "consumers", "conditions", "waitsFor",
        "nextSteps", "events", "notSeen",
    ]  # fmt: skip


def test_a_key_without_a_secret_says_who_has_it() -> None:
    for spec, words in (
        ({"delivery": "None"}, ["none: it was made elsewhere", "by the list in spec.digests"]),
        ({"delivery": "Sealed"}, ["none: a person takes it, once", "only when asked"]),
    ):
        text = render_description(described(apikey(spec=spec, status=steady())), now=NOW)
        assert [word for word in words if word not in text] == []
