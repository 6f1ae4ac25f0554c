"""`keyturn operator`: options made from the Settings model, then `controller/run.py`."""

from __future__ import annotations

import asyncio
from typing import Final

from keyturn.base.settings import Settings
from keyturn.cli.command import Command, Example
from keyturn.cli.setting_options import click_options, read_settings


def _run_operator(**values: str) -> int:
    """Run the operator in this process until it is told to stop (SIGTERM, SIGINT).

    Every option can be given as an environment variable. Durations are Go's: 2160h, 1h30m, 500ms. It finds the cluster as kubectl
    does: KUBECONFIG, the pod's own account, ~/.kube/config.
    """
    settings = read_settings(Settings, values)
    from keyturn.controller.run import run

    return asyncio.run(run(settings))


operator: Final = Command(
    "operator",
    callback=_run_operator,
    help=_run_operator.__doc__,
    params=click_options(Settings),
    examples=[
        Example("Against the current kubeconfig, one namespace only", "keyturn operator --watch-namespaces team-a"),
        Example("As a Deployment does it", "KEYTURN_LOG_FORMAT=json keyturn operator"),
    ],
)
