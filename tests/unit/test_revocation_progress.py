"""What somebody sees who waits for a revocation: a bar on a terminal, lines in a pipe."""

from __future__ import annotations

import io

import pytest

from gen.revocations import revocation
from keyturn.cli.console import Console
from keyturn.cli.revocations.revocation_progress import WIDTH, Progress, Teller, bar, fitted, progress_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def status(state: str, *, dead: int, living: int, latency: str | None = None) -> dict[str, object]:
    said = {"type": "Complete", "status": state, "reason": "Revoked" if state == "True" else "Revoking", "message": "so it is"}
    condition = {**said, "lastTransitionTime": "2026-03-02T12:00:00Z", "observedGeneration": 1}
    return {
        "observedGeneration": 1,
        "revokedVersions": dead,
        "remainingVersions": living,
        "conditions": [condition],
        **({"latency": latency} if latency else {}),
    }


def test_progress_is_what_the_status_says() -> None:
    assert progress_of(None) == progress_of(revocation()) == Progress()
    half = progress_of(revocation(status=status("False", dead=3, living=1)))
    assert half == Progress(3, 1, is_complete=False, sentence="so it is", phase="Revoking")
    done = progress_of(revocation(status=status("True", dead=4, living=0, latency="2s")))
    assert done == Progress(4, 0, is_complete=True, sentence="so it is, 2s after its creation", phase="Revoked")


@pytest.mark.parametrize(("dead", "living", "filled"), [(0, 0, 0), (0, 7, 0), (2, 1, 20), (2999, 1, 29), (7, 0, 30)])
def test_the_bar_is_full_when_all_are_dead_and_not_before(dead: int, living: int, filled: int) -> None:
    assert bar(Progress(dead, living)) == f"[{'#' * filled}{'.' * (WIDTH - filled)}] {dead} of {dead + living} dead"


def test_in_a_pipe_are_lines_and_not_one_for_every_look() -> None:
    err = io.StringIO()
    teller = Teller(Console(io.StringIO(), err, is_terminal=False), "leak")
    for dead in range(5):
        teller.tell(Progress(dead, 10 - dead, sentence="more to come", phase="Revoking"))
    teller.tell(Progress(10, 0, sentence="v-1 has not confirmed", phase="VerifiersBehind"))
    teller.end(Progress(10, 0))
    assert err.getvalue().splitlines() == [
        "apikeyrevocation/leak: 0 of 10 dead: more to come",
        "apikeyrevocation/leak: 10 of 10 dead: v-1 has not confirmed",
    ]


def test_on_a_terminal_one_line_moves() -> None:
    err = Terminal()
    teller = Teller(Console(io.StringIO(), err, is_terminal=True), "leak")
    teller.tell(Progress(1, 1, sentence="more to come"))
    teller.end(Progress(2, 0))
    half, whole = "#" * 15 + "." * 15, "#" * 30
    assert err.getvalue() == f"\r\x1b[K[{half}] 1 of 2 dead  more to come\r\x1b[K[{whole}] 2 of 2 dead\n"


def test_the_line_that_moves_does_not_wrap() -> None:
    """At 120 columns every look left a line behind: thirty in five seconds."""
    err = Terminal()
    until = "3 key versions will end once all consumers have moved, at the latest at 2026-11-30T23:47:46Z"
    Teller(Console(io.StringIO(), err, is_terminal=True), "leak").tell(Progress(3, 3, sentence=until))
    shown = err.getvalue().removeprefix("\r\x1b[K")
    assert (len(shown), shown[-13:]) == (79, "end once all…")


@pytest.mark.parametrize(("columns", "shown"), [(5, "all"), (4, "all"), (3, "a…"), (2, "…")])
def test_what_does_not_fit_is_cut(columns: int, shown: str) -> None:
    assert fitted("all", columns) == shown


def test_one_key_needs_no_bar() -> None:
    err = Terminal()
    teller = Teller(Console(io.StringIO(), err, is_terminal=True), "leak")
    teller.tell(Progress(0, 1, sentence="will end"))
    teller.end(Progress(1, 0))
    assert err.getvalue() == "apikeyrevocation/leak: will end\n"
