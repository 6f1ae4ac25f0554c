"""`keyturn verifier`: options made from the VerifierSettings model, then `verifier/service/run.py` or `supervisor.py`."""

from __future__ import annotations

import asyncio
from typing import Final

from keyturn.cli.command import Command, Example
from keyturn.cli.setting_options import click_options, read_settings
from keyturn.verifier.service.settings import VerifierSettings


def _run_verifier(**values: str) -> int:
    """Answer gateways that ask whether a request may pass, until told to stop (SIGTERM, SIGINT).

    Every option can be given as an environment variable. Durations are Go's: 1h30m, 500ms. It finds the cluster as kubectl does:
    KUBECONFIG, the pod's own account, ~/.kube/config.
    """
    settings = read_settings(VerifierSettings, values)
    return _run_several(settings) if settings.processes > 1 else _run_alone(settings)


def _run_alone(settings: VerifierSettings) -> int:
    import uvloop

    from keyturn.verifier.service.processes.place import Alone
    from keyturn.verifier.service.run import run

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(settings, Alone(settings)))


def _run_several(settings: VerifierSettings) -> int:
    """The parent loads none of what its processes work with."""
    from keyturn.verifier.service.processes.supervisor import run

    return asyncio.run(run(settings))


verifier: Final = Command(
    "verifier",
    callback=_run_verifier,
    help=_run_verifier.__doc__,
    params=click_options(VerifierSettings),
    examples=[
        Example("Against the current kubeconfig", "keyturn verifier --listen-address 127.0.0.1:8080"),
        Example("As a Deployment does it", "KEYTURN_LOG_FORMAT=json keyturn verifier"),
    ],
)
