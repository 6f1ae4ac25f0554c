"""The picture in docs/performance.md, made of the numbers of one run: what a request costs, by what answers it.

python tests/bench/bench_verifier.py -o json > build/bench-verifier.json
python tests/bench/verifier_chart.py < build/bench-verifier.json > docs/images/verifier-cost.svg
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import Report, Row

WIDTH, LEFT, RIGHT, LINE, TOP = 860, 330, 90, 34, 84
OURS, OTHERS, ENVOYS = "#2f6fb3", "#9aa7b4", "#d3893b"
FONT: Final = "font-family='system-ui, sans-serif'"


@dataclass(frozen=True, slots=True)
class Bar:
    """One line: parts beside each other, each with its colour."""

    label: str
    parts: tuple[tuple[float, str], ...]

    @property
    def whole(self) -> float:
        return sum(size for size, _ in self.parts)


def bars(rows: Sequence[Row]) -> Iterator[Bar]:
    """What is compared, in the order of the page."""
    nothing = "the server's bare 204"
    yield Bar("HTTP: the same server without a check", ((_of(rows, nothing), OTHERS),))
    yield Bar("HTTP: the verifier", ((_of(rows, "one check", after=nothing), OURS),))
    yield Bar("HTTP: uvicorn around the same check", ((_of(rows, "uvicorn around the same guard"), OTHERS),))
    yield Bar("gRPC: the verifier", ((_of(rows, "gRPC check, front"), OURS),))
    alone = _of(rows, "a request through Envoy without a check")
    yield Bar("Envoy without a check", ((alone, ENVOYS),))
    for way in ("HTTP", "gRPC"):
        name = f"with its check over {way}"
        whole, verifier = _of(rows, name), _of(rows, "of it the verifier", after=name)
        yield Bar(f"Envoy with a check over {way}", ((whole - verifier, ENVOYS), (verifier, OURS)))


def drawn(found: Sequence[Bar], machine: str) -> str:
    scale = (WIDTH - LEFT - RIGHT) / max(bar.whole for bar in found)
    height = TOP + LINE * len(found) + 16
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' {FONT} role='img'>",
        "<title>CPU time a request</title>",
        f"<rect width='{WIDTH}' height='{height}' rx='8' fill='#ffffff'/>",
        "<text x='20' y='32' font-size='18' font-weight='600' fill='#1d2733'>CPU time a request, in microseconds</text>",
        f"<text x='20' y='54' font-size='13' fill='#5b6774'>{machine}</text>",
        *_legend(),
    ]
    for number, bar in enumerate(found):
        y = TOP + LINE * number
        lines.append(f"<text x='{LEFT - 12}' y='{y + 17}' font-size='14' text-anchor='end' fill='#1d2733'>{bar.label}</text>")
        at = float(LEFT)
        for size, colour in bar.parts:
            lines.append(f"<rect x='{at:.1f}' y='{y}' width='{size * scale:.1f}' height='24' fill='{colour}'/>")
            at += size * scale
        lines.append(f"<text x='{at + 8:.1f}' y='{y + 17}' font-size='14' fill='#1d2733'>{bar.whole:.0f}</text>")
    return "\n".join([*lines, "</svg>"])


def _legend() -> Iterator[str]:
    for number, (name, colour) in enumerate((("verifier", OURS), ("Envoy", ENVOYS), ("other", OTHERS))):
        x = WIDTH - 290 + 95 * number
        yield f"<rect x='{x}' y='20' width='14' height='14' fill='{colour}'/>"
        yield f"<text x='{x + 20}' y='32' font-size='13' fill='#1d2733'>{name}</text>"


def _of(rows: Sequence[Row], name: str, *, after: str = "") -> float:
    """The value of the first row of this name, behind the one that is called `after`."""
    names = [row.name.strip() for row in rows]
    return rows[names.index(name, names.index(after) if after else 0)].value


if __name__ == "__main__":
    run = Report.of_json(sys.stdin.read())
    print(drawn(list(bars(run.rows)), run.machine))
