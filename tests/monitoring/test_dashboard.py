"""The chart's dashboard: every query of it gives data on a real Prometheus, and the file is one that Grafana can lay out.

Nothing here draws it: no registry has a Grafana to run.
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

from gen.observatory import FILES, JOB, SYSTEM, Observatory, series_names
from testbed.cluster import wait_until

Json = dict[str, Any]

DASHBOARD: Final[Json] = json.loads((FILES / "dashboards" / "keyturn.json").read_text())
PANELS: Final[list[Json]] = DASHBOARD["panels"]
DRAWN: Final = [panel for panel in PANELS if panel["type"] != "row"]
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES: Final = {"namespace": SYSTEM, "job": JOB, "__rate_interval": "5m"}
"""As Grafana fills them in for somebody who chose this installation. A window that holds all that has happened."""
WIDTH: Final = 24


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel."""

    panel: str
    expression: str
    legend: str

    @property
    def filled_in(self) -> str:
        """With the variables' values."""
        return re.sub(r"\$(\w+)", lambda match: VARIABLES[match[1]], self.expression)


QUERIES: Final = [Query(panel["title"], target["expr"], target["legendFormat"]) for panel in DRAWN for target in panel["targets"]]


def names(queries: list[Query]) -> list[str]:
    return [f"{query.panel}: {query.legend}" for query in queries]


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
    for label in re.findall(r"{{(\w+)}}", query.legend):
        assert all(label in series["metric"] for series in numbers())


def test_what_the_panels_show_is_what_was_made_happen(observatory: Observatory) -> None:
    """Queries by panel; a number that nobody compared may be of anything."""
    shown = {query.panel: query.filled_in for query in QUERIES}

    def number(panel: str) -> float:
        return sum(float(series["value"][1]) for series in observatory.prometheus.query(shown[panel]))

    wait_until(lambda: number("How late the latest rotation is") > 0, patience=30.0, what="a rotation to be late")
    made = {"Leading": 1, "ApiKeys": 7, "Not ready": 2, "Wait for a person": 3, "Rotations overdue": 0, "Rollouts stalled": 1}
    wait_until(lambda: {panel: number(panel) for panel in made} == made, patience=20.0, what=f"the panels to show {made}")
    (ending,) = observatory.prometheus.query(shown["Keys that come to their end"])
    assert ending["metric"] == {"apikey_namespace": "team-shop", "apikey": "contractor"}


def test_the_variables_are_filled_from_what_is_scraped(observatory: Observatory) -> None:
    asked = {each["name"]: each["query"] for each in DASHBOARD["templating"]["list"]}
    assert asked.pop("datasource") == "prometheus"
    assert set(asked) == {"namespace", "job"}
    for name, query in asked.items():
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", query["query"])
        assert match is not None
        series = re.sub(r"\$(\w+)", lambda found: VARIABLES[found[1]], match[1])
        assert VARIABLES[name] in observatory.prometheus.label_values(match[2], series)


@pytest.mark.parametrize("query", QUERIES, ids=names(QUERIES))
def test_a_query_uses_only_metrics_that_there_are_and_only_of_the_chosen_operators(query: Query) -> None:
    selectors = re.findall(r"\b((?:keyturn|process)_\w+)({[^}]*})?", query.expression)
    assert selectors
    assert {name for name, _ in selectors if name.startswith("keyturn_")} - series_names() == set()
    assert [name for name, labels in selectors if not labels.startswith('{namespace=~"$namespace", job=~"$job"')] == []


def test_every_panel_and_line_asks_the_chosen_datasource() -> None:
    found = [each["datasource"] for each in nested(DASHBOARD) if "datasource" in each]
    assert len(found) > len(DRAWN) + len(QUERIES)
    assert [each for each in found if each != DATASOURCE] == []
    assert all(each.get("datasource") for each in (*DRAWN, *(target for panel in DRAWN for target in panel["targets"])))


def test_panels_have_names_of_their_own() -> None:
    for part in ("id", "title"):
        assert [value for value, count in Counter(panel[part] for panel in PANELS).items() if count > 1] == []
    for panel in DRAWN:
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_panels_do_not_overlap_and_fill_their_lines() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in PANELS]
    for (one, a), (other, b) in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one} lies over {other}"
    lines = Counter[int]()
    for _, place in places:
        assert place["x"] + place["w"] <= WIDTH
        lines[place["y"]] += place["w"]
    assert set(lines.values()) == {WIDTH}


def test_grafana_knows_the_file() -> None:
    """What an import needs; `id` would be another Grafana's."""
    assert (DASHBOARD["uid"], DASHBOARD["title"]) == ("keyturn", "Keyturn")
    assert "id" not in DASHBOARD
    assert DASHBOARD["schemaVersion"] >= 39
    assert {panel["type"] for panel in PANELS} == {"row", "stat", "timeseries", "table"}
