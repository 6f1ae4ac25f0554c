"""What was measured beside what was asked: rows for a table, the same rows as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from bench.accounting import Requests

_SIGNS: Final = {"x": "\u00d7", "us": "µs", "us CPU": "µs"}
"""Units as a page writes them."""
HEADS: Final = ("", "measured", "floor", "", "how")


@dataclass(frozen=True, slots=True)
class Row:
    """One number. `floor`: the most it may be (with `exactly`: what it must be); None: only told.

    `gate`: whether missing it fails the run; absolute times do not.
    """

    name: str
    value: float
    unit: str = ""
    floor: float | None = None
    exactly: bool = False
    gate: bool = True
    how: str = ""

    @property
    def held(self) -> bool | None:
        """Whether it is as asked; None: nothing was asked."""
        if self.floor is None:
            return None
        return self.value == self.floor if self.exactly else self.value <= self.floor


@dataclass(slots=True)
class Report:
    """All rows, in the order in which they were measured, and what each request was for."""

    rows: list[Row] = field(default_factory=list)
    requests: dict[str, dict[str, float]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    machine: str = ""

    def __post_init__(self) -> None:
        self.machine = machine()

    def add(self, *rows: Row) -> None:
        self.rows.extend(rows)

    def note_requests(self, name: str, requests: Requests, *, keys: int) -> None:
        """Requests a key by verb and resource."""
        self.requests[name] = {f"{verb} {what}": round(count / keys, 3) for (verb, what), count in sorted(requests.items()) if count}

    @property
    def missed(self) -> list[Row]:
        return [row for row in self.rows if row.held is False and row.gate]

    @classmethod
    def of_json(cls, text: str) -> Report:
        """One that was printed by `as_json`."""
        told = json.loads(text)
        report = cls(settings=told["settings"], requests=told["requestsPerKey"])
        report.machine = told["machine"]
        for row in told["rows"]:
            del row["held"]
            report.add(Row(**row))
        return report

    def as_json(self) -> str:
        rows = [{**asdict(row), "held": row.held} for row in self.rows]
        return json.dumps({"machine": self.machine, "settings": self.settings, "rows": rows, "requestsPerKey": self.requests}, indent=2)

    def as_markdown(self) -> str:
        """The rows of a table for docs/performance.md."""
        lines = ["| what | floor | measured | |", "|---|--:|--:|---|"]
        for row in self.rows:
            unit = _SIGNS.get(row.unit, row.unit)
            floor = "" if row.floor is None else f"{'=' if row.exactly else '≤'} {row.floor:g} {unit}".rstrip()
            value = f"{_told(row.value)} {unit}".rstrip()
            name = row.name.replace("  ", "&ensp;")
            if row.held is False:
                value = f"**{value}: {_verdict(row)}**"
            lines.append(f"| {name} | {floor} | {value} | {row.how} |")
        return "\n".join([f"{self.machine}:", "", *lines])

    def as_text(self) -> str:
        lines = [f"Machine: {self.machine}", "Settings: " + " ".join(f"{name}={value}" for name, value in self.settings.items()), ""]
        lines += _table([HEADS, *(_cells(row) for row in self.rows)])
        for name, requests in self.requests.items():
            lines += ["", f"Requests a key, {name} (the API server's own count):"]
            lines += [f"  {what:<28} {count:g}" for what, count in requests.items()]
        return "\n".join(lines)


def machine() -> str:
    """Cores, memory and Python, since absolute times mean nothing without them."""
    total = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    load = Path("/proc/loadavg").read_text().split()[0]
    return f"{os.cpu_count()} cores, {total / 2**20:.0f} GiB, Python {platform.python_version()}, load {load} at the start"


def _cells(row: Row) -> tuple[str, ...]:
    floor = "" if row.floor is None else f"{'= ' if row.exactly else '<= '}{row.floor:g}"
    return (
        row.name,
        f"{_told(row.value)} {row.unit}".rstrip(),
        floor,
        _verdict(row),
        row.how,
    )


def _verdict(row: Row) -> str:
    return {None: "", True: "ok", False: "MISSED" if row.gate else "slower"}[row.held]


def _told(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
