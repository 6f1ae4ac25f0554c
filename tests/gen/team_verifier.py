"""A verifier that a team's operator waits for: what it knows is what the operator counts on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gen.team import Team
from gen.verifier_process import VerifierProcess


@contextmanager
def team_verifier(team: Team) -> Iterator[VerifierProcess]:
    """One that knows that it is waited for, and that its operator, which may know of no other, has seen."""
    with VerifierProcess.start(team.cluster, records_namespace=team.records_namespace, namespace=team.system_namespace) as verifier:
        verifier.wait_ready()
        verifier.wait_until(lambda: verifier.metric("keyturn_verifier_waited_for") == 1.0, what="to be waited for")
        team.wait_until(lambda: team.operator.metric("keyturn_verifiers") == 1, about="", what="the verifier is seen")
        yield verifier
