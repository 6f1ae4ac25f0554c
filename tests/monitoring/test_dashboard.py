"""The chart's dashboards: every query of them gives data on a real Prometheus, and the files are such that Grafana can lay them out.

Nothing here draws them: no registry has a Grafana to run.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import pytest

from gen.observatory import FILES, JOB, SYSTEM, VERIFIER_JOB, Observatory, series_names
from testbed.cluster import wait_until

Json = dict[str, Any]

JOBS: Final = {"keyturn": JOB, "verifier": VERIFIER_JOB}
"""Whose numbers each dashboard shows."""
DASHBOARDS: Final[dict[str, Json]] = {name: json.loads((FILES / "dashboards" / f"{name}.json").read_text()) for name in JOBS}
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES: Final = {"namespace": SYSTEM, "__rate_interval": "5m"}
"""Beside the job, as Grafana fills them in for somebody who chose this installation. A window that holds all that has happened."""
SOMETIMES: Final = {"process"}
"""Labels of legends that are there only for verifiers with several processes; Grafana writes nothing in their place."""
WIDTH: Final = 24


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel."""

    dashboard: str
    panel: str
    expression: str
    legend: str

    @property
    def filled_in(self) -> str:
        """With the variables' values."""
        return filled_in(self.expression, job=JOBS[self.dashboard])


def filled_in(text: str, *, job: str) -> str:
    """With the variables' values."""
    return re.sub(r"\$(\w+)", lambda match: {**VARIABLES, "job": job}[match[1]], text)


def drawn(dashboard: Json) -> list[Json]:
    """Its panels without the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


QUERIES: Final = [
    Query(name, panel["title"], target["expr"], target["legendFormat"])
    for name, dashboard in DASHBOARDS.items()
    for panel in drawn(dashboard)
    for target in panel["targets"]
]
each_dashboard: Final = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)


def names(queries: list[Query]) -> list[str]:
    return [f"{query.dashboard}: {query.panel}: {query.legend}" for query in queries]


def nested(value: object) -> Iterator[Json]:
    """Every object in it."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nested(each)
    elif isinstance(value, list):
        for each in value:
            yield from nested(each)


@pytest.mark.parametrize("query", QUERIES, ids=names(QUERIES))
def test_a_query_gives_numbers_with_the_labels_of_its_legend(observatory: Observatory, query: Query) -> None:
    def numbers() -> list[Json]:
        found = observatory.prometheus.query(query.filled_in)
        return [series for series in found if not math.isnan(float(series["value"][1]))]

    wait_until(lambda: bool(numbers()), patience=20.0, what=f"an answer to {query.filled_in}")
    for label in set(re.findall(r"{{(\w+)}}", query.legend)) - SOMETIMES:
        assert all(label in series["metric"] for series in numbers())


def test_what_the_panels_show_is_what_was_made_happen(observatory: Observatory) -> None:
    """Queries by panel; a number that nobody compared may be of anything."""
    shown = {(query.dashboard, query.panel): query.filled_in for query in QUERIES}

    def number(panel: str, dashboard: str = "keyturn") -> float:
        return sum(float(series["value"][1]) for series in observatory.prometheus.query(shown[dashboard, panel]))

    wait_until(lambda: number("How late the latest rotation is") > 0, patience=30.0, what="a rotation to be late")
    made = {"Leading": 1, "ApiKeys": 8, "Not ready": 3, "Wait for a person": 4, "Rotations overdue": 0, "Rollouts stalled": 1}
    wait_until(lambda: {panel: number(panel) for panel in made} == made, patience=20.0, what=f"the panels to show {made}")
    known = {"Verifiers": 1, "Know all keys": 1, "Records vanished": 1}
    wait_until(lambda: {panel: number(panel, "verifier") for panel in known} == known, patience=20.0, what=f"the panels to show {known}")
    assert number("Refused though the key is real", "verifier") > 0
    (ending,) = observatory.prometheus.query(shown["keyturn", "Keys that come to their end"])
    assert ending["metric"] == {"apikey_namespace": "team-shop", "apikey": "contractor"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_variables_are_filled_from_what_is_scraped(observatory: Observatory, name: str) -> None:
    asked = {each["name"]: each["query"] for each in DASHBOARDS[name]["templating"]["list"]}
    assert asked.pop("datasource") == "prometheus"
    values = {"namespace": SYSTEM, "job": JOBS[name]}
    assert set(asked) == set(values)
    for variable, query in asked.items():
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query["query"])
        assert match is not None
        assert values[variable] in observatory.prometheus.label_values(match[2], filled_in(match[1], job=JOBS[name]))


@pytest.mark.parametrize("query", QUERIES, ids=names(QUERIES))
def test_a_query_uses_only_metrics_that_there_are_and_only_of_the_chosen_operators(query: Query) -> None:
    selectors = re.findall(r"\b((?:keyturn|process)_\w+)({[^}]*})?", query.expression)
    assert selectors
    assert {name for name, _ in selectors if name.startswith("keyturn_")} - series_names() == set()
    assert [name for name, labels in selectors if not labels.startswith('{namespace=~"$namespace", job=~"$job"')] == []


@each_dashboard
def test_every_panel_and_line_asks_the_chosen_datasource(dashboard: Json) -> None:
    found = [each["datasource"] for each in nested(dashboard) if "datasource" in each]
    asking = [*drawn(dashboard), *(target for panel in drawn(dashboard) for target in panel["targets"])]
    assert len(found) > len(asking)
    assert [each for each in found if each != DATASOURCE] == []
    assert all(each.get("datasource") for each in asking)


@each_dashboard
def test_panels_have_names_of_their_own(dashboard: Json) -> None:
    for part in ("id", "title"):
        assert [value for value, count in Counter(panel[part] for panel in dashboard["panels"]).items() if count > 1] == []
    for panel in drawn(dashboard):
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


@each_dashboard
def test_panels_do_not_overlap_and_fill_their_lines(dashboard: Json) -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    for (one, a), (other, b) in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one} lies over {other}"
    lines = Counter[int]()
    for _, place in places:
        assert place["x"] + place["w"] <= WIDTH
        lines[place["y"]] += place["w"]
    assert set(lines.values()) == {WIDTH}


def test_grafana_knows_the_files() -> None:
    """What an import needs; `id` would be another Grafana's."""
    assert {file.stem for file in (FILES / "dashboards").glob("*.json")} == set(DASHBOARDS)
    told = {name: (dashboard["uid"], dashboard["title"]) for name, dashboard in DASHBOARDS.items()}
    assert told == {"keyturn": ("keyturn", "Keyturn"), "verifier": ("keyturn-verifier", "Keyturn verifiers")}
    for dashboard in DASHBOARDS.values():
        assert "id" not in dashboard
        assert dashboard["schemaVersion"] >= 39
        assert {panel["type"] for panel in dashboard["panels"]} <= {"row", "stat", "timeseries", "table"}
