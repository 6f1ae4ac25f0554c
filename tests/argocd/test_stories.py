"""A team keeps its keys in Git and Argo CD brings them: what it sees, heals, prunes, and leaves alone."""

from __future__ import annotations

from gen.gitops import Site, wanted_key

LONG_GRACE = {"rotation": {"gracePeriod": "1h"}}


def test_a_secret_in_the_way_is_shown_as_degraded_until_it_is_gone(site: Site) -> None:
    team = site.team
    team.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "billing"}, "stringData": {"password": "x"}})
    site.deploy(wanted_key())
    site.argo.wait(site.name, health="Degraded")
    team.api.delete(team.secret_path("billing"))
    team.annotate_apikey("billing", "team.example.com/look", "now")  # Keyturn looks again by itself within a minute
    site.argo.wait(site.name)
    assert team.accepted("billing") == {site.key_id("billing")}


def test_a_rotation_with_its_grace_is_synced_and_healthy_all_the_time(site: Site) -> None:
    commit = site.deploy(wanted_key(spec=LONG_GRACE))
    site.argo.wait(site.name, revision=commit)
    site.team.request_rotation("billing")
    seen = {site.argo.says(site.name)}
    site.team.wait_until(
        lambda: seen.add(site.argo.says(site.name)) or site.team.states("billing") == {1: "Retiring", 2: "Active"},
        about="billing", what="the old key retires",
    )  # fmt: skip
    site.argo.refresh(site.name, kind="hard")
    assert seen | {site.argo.says(site.name)} == {("Synced", "Healthy")}
    assert len(site.team.accepted("billing")) == 2
