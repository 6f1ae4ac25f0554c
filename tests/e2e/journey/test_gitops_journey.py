"""The whole of it once as pods on a real node, brought from Git by Argo CD. Slow (`make journey`): a Kubernetes of its own, six minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen.journey_gitops import GitopsJourney
from testbed import images
from testbed.cluster_dns import start_dns
from testbed.node import NodePlane

pytestmark = [pytest.mark.slow, pytest.mark.argocd, pytest.mark.node, pytest.mark.timeout(1800)]
EVERY_MINUTE = {"policy": "Automatic", "schedule": "* * * * *", "overlapLimit": "50s"}


def test_no_request_fails_while_argo_cd_rotates_and_pods_are_killed(product_image: Path, tmp_path: Path) -> None:
    node = NodePlane.start(archives=[product_image, images.envoy()])
    try:
        start_dns(node)
        with GitopsJourney.open(node, folder=tmp_path) as journey:
            journey.push_rotation({"trigger": "ticket 17"})
            journey.see_rotation()
            journey.push_rotation({"trigger": "ticket 17", **EVERY_MINUTE})
            journey.see_rotation()
            journey.wait_begun()
            journey.kill_a_verifier()
            journey.see_rotation()
            journey.wait_begun()
            journey.kill_the_leader()
            journey.see_rotation()
            journey.push_rotation({"trigger": "ticket 17"})
            journey.push_settings({"useReportPause": "1s"})
            journey.push_rotation({"trigger": "ticket 18"})
            journey.see_rotation()
            journey.judge()
    finally:
        node.stop()
