"""docs/how-to/give-a-person-a-key.md, typed from top to bottom against a real API server with an operator beside it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from gen.age_programs import put_age_programs
from gen.operator_process import OperatorProcess
from gen.person import BIN
from gen.team import Api, Team
from keyturn.keys.token_format import Token, parse_token
from testbed.binaries import search_path
from testbed.cluster import wait_until
from testbed.plane import Plane, bare

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "how-to" / "give-a-person-a-key.md").read_text()
RECORDS, SYSTEM = "keyturn-verifiers", "keyturn-system"


@pytest.fixture(scope="module")
def shop() -> Iterator[Team]:
    """A cluster of this page's own: it names its namespace."""
    with Plane.start(bare()) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        wait_until(lambda: plane.answers("/apis/keyturn.dev/v1alpha1/apikeys"), patience=30.0, what="ApiKeys to be served")
        for name in ("shop", RECORDS, SYSTEM):
            plane.create_namespace(name)
        api = Api(plane.login)
        with OperatorProcess.start(plane, records_namespace=RECORDS, namespace=SYSTEM) as operator:
            yield Team(plane, api, "shop", operator.wait_ready(), records_namespace=RECORDS, system_namespace=SYSTEM)
        api.close()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Where Anna sits: the folder with her programs, and with what she makes."""
    return put_age_programs(tmp_path)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def typed(team: Team, desk: Path, command: str) -> str:
    path = os.pathsep.join([str(desk), str(BIN), search_path(["kubectl"]), "/usr/bin:/bin"])
    environment = {"PATH": path, "KUBECONFIG": str(team.cluster.kubeconfig), "HOME": str(desk)}
    done = subprocess.run(["sh", "-c", command], cwd=desk, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def said_in_prose(command: str) -> str:
    """A command that a sentence of the page names."""
    assert f"`{command}`" in PAGE
    return command


def key_in(text: str) -> Token:
    token = parse_token(text.removesuffix("\n"))
    assert isinstance(token, Token), "standard output is a key and nothing else"
    return token


def is_sealed(team: Team, version: int) -> bool:
    return bool(team.status("anna").get("sealed", {}).get("version") == version)


def test_a_key_for_yourself_and_the_next_one_come_as_the_page_says(shop: Team, desk: Path) -> None:
    create, rotate, _ = blocks("sh")
    first = key_in(typed(shop, desk, create))
    assert shop.wait_ready("laptop")["keyID"] == first.key_id
    second = key_in(typed(shop, desk, rotate))
    assert shop.wait_ready("laptop", version=2)["keyID"] == second.key_id
    assert shop.accepted("laptop") == {first.key_id, second.key_id}


def test_anna_takes_her_key_and_the_next_one_as_the_page_says(shop: Team, desk: Path) -> None:
    decrypt, receive = blocks("sh")[-1].splitlines()
    (manifest,) = blocks("yaml")
    typed(shop, desk, said_in_prose("age-keygen -o anna.txt"))
    (recipient,) = re.findall(r"age1[0-9a-z]{58}", (desk / "anna.txt").read_text())
    shop.cluster.kubectl("apply", "-f", "-", input=re.sub(r"age1[0-9a-z]{58}", recipient, manifest))
    shop.wait_until(lambda: is_sealed(shop, 1), about="anna", what="the key is sealed")
    first = key_in(typed(shop, desk, decrypt))
    assert key_in(typed(shop, desk, decrypt)) == first, "until she says so it may be taken again"
    typed(shop, desk, receive)
    assert shop.wait_ready("anna")["keyID"] == first.key_id
    shop.wait_until(lambda: "sealed" not in shop.status("anna"), about="anna", what="the ciphertext is gone")

    typed(shop, desk, said_in_prose("keyturn rotate anna -n shop"))
    shop.wait_until(lambda: is_sealed(shop, 2), about="anna", what="the next key is sealed")
    second = key_in(typed(shop, desk, decrypt))
    typed(shop, desk, receive)
    assert shop.wait_ready("anna", version=2)["keyID"] == second.key_id
    assert shop.accepted("anna") == {first.key_id, second.key_id}


def test_the_condition_of_a_waiting_key_is_the_line_to_type(shop: Team, desk: Path) -> None:
    typed(shop, desk, "age-keygen -o anna.txt")
    (recipient,) = re.findall(r"age1[0-9a-z]{58}", (desk / "anna.txt").read_text())
    shop.apply_apikey("bela", {"delivery": "Sealed", "sealed": {"recipient": recipient}})
    message = shop.wait_says("bela", "Ready", "False", "AwaitingReceipt")["message"]
    typed(shop, desk, message[message.index("kubectl ") :])
    shop.wait_ready("bela")
