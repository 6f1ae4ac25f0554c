"""Verifiers are replaced under load, as a Deployment does it: a new one is ready, then an old one is asked to end."""

from __future__ import annotations

from contextlib import ExitStack

from gen.signed_keys import SignedKeys
from gen.steady_clients import SteadyClients
from gen.verifier_process import VerifierProcess
from testbed.cluster import Cluster, wait_until


def test_a_rolling_restart_loses_no_request(plane: Cluster, namespace: str) -> None:
    token = SignedKeys(plane, records_namespace=namespace, namespace=namespace).issue("billing")

    with ExitStack() as ends:

        def verifier(name: str) -> VerifierProcess:
            started = VerifierProcess.start(
                plane, records_namespace=namespace, namespace=namespace, settings={"drain_delay": "2s"}, name=name
            )
            return ends.enter_context(started).wait_ready()

        old = [verifier("old-a"), verifier("old-b")]
        with SteadyClients(token, old) as clients:
            for number in range(2):
                before = clients.answered
                new = verifier(f"new-{number}")
                clients.use([*old, new])
                wait_until(lambda before=before: clients.answered > before + 20, patience=30, what="clients to go on")
                assert old.pop(0).stop() == 0
                old.append(new)
            before = clients.answered
            wait_until(lambda: clients.answered > before + 20, patience=30, what="clients to go on")
        assert clients.failures == []
        assert clients.answered > 100
