"""docs/how-to/give-tenants-keys.md, typed from top to bottom against a real API server with an operator beside it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from gen.operator_process import OperatorProcess
from gen.person import BIN
from gen.team import Api, Team
from testbed.binaries import search_path
from testbed.cluster import wait_until
from testbed.plane import Plane, bare

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "how-to" / "give-tenants-keys.md"
RECORDS, SYSTEM = "keyturn-verifiers", "keyturn-system"
ANSWERS: Final = {
    "keyturn products -n billing-api": "invoices\tinvoices\tbasic,full\tManual\tinvoices=allowed\t",
    "keyturn create": "apikey/billing created\n",
    "keyturn approve billing -n shop --dry-run": "scopes invoices:read (ApiProduct billing-api/invoices) (server dry run)\n",
    "keyturn approve billing -n shop --wait": "apikey/billing approved (plan basic, scopes invoices:read)\n",
    "keyturn whocan": "shop\tbilling\tTrue\tbasic\tinvoices:read\tGranted\t\tbasic: invoices:read\n",
    "keyturn approve billing -n shop --product": "was approved before: plan basic, scopes invoices:read",
    "keyturn approve billing -n shop --plan full -o yaml": "- namespace: shop\n  apiKey: billing\n  plan: full\n",
}
"""What a command that begins so answers, or a part of it."""


@pytest.fixture(scope="module")
def tenants() -> Iterator[Team]:
    """A cluster of this page's own: it names its namespaces."""
    with Plane.start(bare()) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        wait_until(lambda: plane.answers("/apis/keyturn.dev/v1alpha1/apiproducts"), patience=30.0, what="ApiProducts to be served")
        for name in (RECORDS, SYSTEM):
            plane.create_namespace(name)
        api = Api(plane.login)
        with OperatorProcess.start(plane, records_namespace=RECORDS, namespace=SYSTEM) as operator:
            yield Team(plane, api, "shop", operator.wait_ready(), records_namespace=RECORDS, system_namespace=SYSTEM)
        api.close()


def commands() -> list[str]:
    """Every line of every block of commands."""
    return [line for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) for line in block.splitlines()]


def typed(team: Team, command: str) -> str:
    path = f"{BIN}{os.pathsep}{search_path(['kubectl'])}{os.pathsep}/usr/bin:/bin"
    environment = {"PATH": path, "KUBECONFIG": str(team.cluster.kubeconfig), "HOME": "/nonexistent"}
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_every_command_of_the_page_answers_what_it_promises(tenants: Team) -> None:
    answered: set[str] = set()
    for command in commands():
        if command.startswith("keyturn whocan"):
            tenants.wait_ready("billing")
        out = typed(tenants, command)
        for start, part in ANSWERS.items():
            if command.startswith(start):
                assert part in out, f"{command}\n{out}"
                answered.add(start)
        if command.startswith("keyturn create"):
            tenants.wait_says("billing", "Approved", "False", "PendingApproval")
        if command == "kubectl label namespace shop invoices-":
            tenants.wait_says("billing", "Approved", "False", "AccessLost")
    assert answered == set(ANSWERS)
    tenants.wait_says("billing", "Approved", "True", "Granted")
    the_example_of_a_key_is_one_that_the_example_of_a_product_admits(tenants)


def the_example_of_a_key_is_one_that_the_example_of_a_product_admits(team: Team) -> None:
    typed(team, "kubectl create namespace bakery && kubectl label namespace bakery invoices=allowed")
    example = (ROOT / "deploy" / "examples" / "product" / "apikey.yaml").read_text().replace("namespace: shop", "namespace: bakery")
    team.cluster.kubectl("apply", "-f", "-", input=example)
    assert "apikey/billing approved (plan basic, scopes invoices:read)\n" in typed(team, "keyturn approve billing -n bakery --wait")
