"""What people see: whole tables, whole descriptions."""

from __future__ import annotations

from datetime import timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.apikey_json import NOW, Json, apikey, at, condition, overlapping, stalled, steady
from keyturn.base.clock import DAY, HOUR, MINUTE, SECOND
from keyturn.cli.apikeys.apikey_view import decode_apikey
from keyturn.cli.apikeys.disable_command import who_may_put_it_back
from keyturn.cli.apikeys.hindrances import what_keeps_it_from_rotating
from keyturn.cli.apikeys.listing import render_list
from keyturn.cli.apikeys.waiting import Goal, Look, Progress, verdict_on
from keyturn.cli.human_time import day_from, due_from, human_length, seen_from
from keyturn.cli.table import Cell, render_table

MANY = (
    apikey(status=steady(), spec={"productRef": {"name": "invoices"}}),
    apikey("legacy", status=stalled()),
    apikey("manual", spec={"rotation": {"policy": "Manual"}}, creationTimestamp=at(seconds=-20)),
    apikey("off", spec={"disabled": True}, status=steady(conditions=[condition("Ready", "True", "Disabled")])),
    apikey("late", status=steady(nextRotationTime=at(minutes=-7))),
    apikey("halted", status=steady(), annotations={"keyturn.dev/paused": "true"}),
)


def listed(*items: Json, wide: bool = False, everywhere: bool = False, for_terminal: bool = True) -> str:
    views = [decode_apikey(item) for item in items]
    return click.unstyle(render_list(views, now=NOW, wide=wide, everywhere=everywhere, for_terminal=for_terminal))


def test_a_terminal_gets_a_table_for_people() -> None:
    assert listed(*MANY) == (
        "NAME      READY                  PRODUCT    VERSION   KEY ID         NEXT ROTATION   AGE\n"
        "billing   True                   invoices   2         Qm8sT2fLx0Za   in 12d          3d4h\n"
        "legacy    False/SecretConflict   -          -         -              -               3d4h\n"
        "manual    Unknown                -          -         -              manual          20s\n"
        "off       True/Disabled          -          2         Qm8sT2fLx0Za   in 12d          3d4h\n"
        "late      True                   -          2         Qm8sT2fLx0Za   overdue 7m      3d4h\n"
        "halted    True                   -          2         Qm8sT2fLx0Za   paused          3d4h"
    )


def test_a_wide_table_says_why() -> None:
    status = steady(lastUsedTime=at(days=-1), effective={"plan": "gold"})
    assert listed(apikey(status=status, spec={"secretName": "key"}), wide=True, everywhere=True) == (
        "NAMESPACE   NAME      READY   PRODUCT   VERSION   KEY ID         NEXT ROTATION   AGE    "
        "SECRET   PLAN   SCOPES   APPROVAL   LAST USED   REASON   MESSAGE\n"
        "team-a      billing   True    -         2         Qm8sT2fLx0Za   in 12d          3d4h   "
        "key      gold   -        -          yesterday   Issued   Version 2 is in force"
    )


def test_a_pipe_gets_tabs_and_instants() -> None:
    assert listed(*MANY[:3], for_terminal=False) == (
        "billing\tTrue\tinvoices\t2\tQm8sT2fLx0Za\t2026-12-06T12:01:00Z\t2026-11-21T08:00:00Z\n"
        "legacy\tFalse\t\t\t\t\t2026-11-21T08:00:00Z\n"
        "manual\tUnknown\t\t\t\t\t2026-11-24T11:59:40Z"
    )


def test_colors_say_good_waiting_and_bad() -> None:
    views = [decode_apikey(item) for item in (MANY[0], MANY[1], MANY[3])]
    lines = render_list(views, now=NOW, wide=False, everywhere=False, for_terminal=True).splitlines()
    assert [line.split("\x1b[")[1][:3] for line in lines[1:]] == ["32m", "31m", "33m"]


def test_columns_line_up_beside_colors() -> None:
    rows = [[Cell("a", color="red"), Cell("x")], [Cell("long"), Cell("y")]]
    assert render_table(("H", "I"), rows, for_terminal=True) == "H      I\n\x1b[31ma\x1b[0m      x\nlong   y"


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    """A tenant writes a message, an administrator lists keys of all tenants."""
    evil = apikey(status=steady(conditions=[condition("Ready", "False", "Issuing", "\x1b]0;owned\x07\nfake line\tmore")]))
    for for_terminal in (True, False):
        text = listed(evil, wide=True, for_terminal=for_terminal)
        assert len(text.splitlines()) == 1 + for_terminal
        assert not {"\x1b", "\x07"} & set(text)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5)
)
def test_an_object_of_any_shape_can_be_listed(value: object) -> None:
    """An object older than a rule of today's, or from a newer version, must be shown and not crash the list."""
    for part in ("metadata", "spec", "status"):
        item = apikey(status=steady()) | {part: value}
        assert listed(item)
    for field in steady():
        assert listed(apikey(status=steady(**{field: value})))


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (-5 * SECOND, "0s"),
        (119 * SECOND, "119s"),
        (2 * MINUTE, "2m"),
        (5 * MINUTE + 30 * SECOND, "5m30s"),
        (2 * HOUR + 59 * MINUTE, "179m"),
        (5 * HOUR + 20 * MINUTE, "5h20m"),
        (47 * HOUR, "47h"),
        (3 * DAY + 4 * HOUR, "3d4h"),
        (400 * DAY, "400d"),
        (1000 * DAY, "2y270d"),
        (9 * 365 * DAY, "9y"),
    ],
)
def test_lengths_read_as_kubectls(length: timedelta, text: str) -> None:
    assert human_length(length) == text


def test_a_day_is_told_as_a_day() -> None:
    """Its midnight, told as an instant, would say "23h ago" of a key in use this minute."""
    days = [day_from(NOW, (NOW - ago * DAY).replace(hour=0)) for ago in (-1, 0, 1, 12)]
    assert days == ["today", "today", "yesterday", "12 days ago"]


def test_instants_are_seen_from_now() -> None:
    assert seen_from(NOW, NOW + 12 * DAY) == "in 12d"
    assert seen_from(NOW, NOW - 3 * HOUR) == "3h ago"
    assert due_from(NOW, NOW - 30 * SECOND) == "now"
    assert due_from(NOW, NOW - 3 * HOUR) == "overdue 3h"


GOAL = Goal("team-a", "billing", after_version=1, word="rotated")
TOO_RECENT = "A rotation is due (Requested); the last one was too recent, it starts at 2026-11-23T12:11:00Z"


def too_recent() -> Json:
    """The key is in force, so nothing but Ready's message tells of the rotation that waits."""
    return steady(conditions=[condition("Ready", "True", "Issued", f"Version 2 is in force. {TOO_RECENT}")])


@pytest.mark.parametrize(
    ("goal", "item", "look"),
    [
        (GOAL, apikey(status=steady()), Look(Progress.DONE, "rotated (version 2, key ID Qm8sT2fLx0Za)")),
        (GOAL, apikey(status=overlapping()), Look(Progress.DONE, "rotated (version 2, key ID Qm8sT2fLx0Za)")),
        (
            Goal("team-a", "billing", after_version=1, word="rotated", until_retired=True),
            apikey(status=overlapping(rollout={"summary": "1 of 2 done"})),
            Look(Progress.UNDER_WAY, "version 2 is active (key ID Qm8sT2fLx0Za), version 1 is still accepted; rollout: 1 of 2 done"),
        ),
        (
            Goal("team-a", "billing", after_version=2, word="rotated"),
            apikey(status=overlapping()),
            Look(
                Progress.UNDER_WAY,
                "version 1 is still accepted from the last rotation; "
                "the next one starts when it has retired, at the latest 2026-11-30T12:00:00Z",
            ),
        ),
        (GOAL, apikey(), Look(Progress.UNDER_WAY, "waits for the operator")),
        (Goal("team-a", "billing", after_version=2, word="rotated"), apikey(status=too_recent()), Look(Progress.UNDER_WAY, TOO_RECENT)),
        (GOAL, apikey(status=stalled()), Look(Progress.HOPELESS, "stalled, SecretConflict: Secret billing is not Keyturn's. Remove it")),
        (
            GOAL,
            apikey(annotations={"keyturn.dev/paused": "true"}),
            Look(
                Progress.HOPELESS,
                "paused by the annotation keyturn.dev/paused; remove it: kubectl -n team-a annotate apikey billing keyturn.dev/paused-",
            ),
        ),
        (
            GOAL,
            apikey(status={"conditions": [condition("Reconciling", "True", "PropagationPending", "Verifiers learn version 2")]}),
            Look(Progress.UNDER_WAY, "Verifiers learn version 2 (PropagationPending)"),
        ),
    ],
    ids=["done", "done-in-overlap", "until-retired", "deferred", "no-operator", "too-recent", "stalled", "paused", "reconciling"],
)
def test_waiting_says_what_is_the_case(goal: Goal, item: Json, look: Look) -> None:
    assert verdict_on(goal, decode_apikey(item)) == look


def test_a_rotation_that_will_not_start_at_once_says_why() -> None:
    assert what_keeps_it_from_rotating(decode_apikey(apikey(status=steady()))) == ""
    assert "it is paused" in what_keeps_it_from_rotating(decode_apikey(MANY[5]))
    assert "it is stalled" in what_keeps_it_from_rotating(decode_apikey(apikey(status=stalled())))
    assert "version 1 is still accepted" in what_keeps_it_from_rotating(decode_apikey(apikey(status=overlapping())))
    assert "made elsewhere" in what_keeps_it_from_rotating(decode_apikey(apikey(spec={"delivery": "None"}, status=steady())))
    untaken = steady(conditions=[condition("Stalled", "True", "NotReceived", "Nobody took it")])
    assert what_keeps_it_from_rotating(decode_apikey(apikey(spec={"delivery": "Sealed"}, status=untaken))) == ""


def test_disabling_warns_where_git_would_undo_it() -> None:
    argo = apikey(annotations={"argocd.argoproj.io/tracking-id": "x"})
    assert who_may_put_it_back(decode_apikey(argo)) == "Argo CD manages it and may put spec.disabled back: change it in Git as well"
    assert who_may_put_it_back(decode_apikey(apikey(labels={"kustomize.toolkit.fluxcd.io/name": "x"}))).startswith("Flux manages it")
    assert who_may_put_it_back(decode_apikey(apikey())) == ""
