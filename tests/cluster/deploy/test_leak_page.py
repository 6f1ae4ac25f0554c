"""docs/how-to/a-key-leaked.md: typed at a terminal from top to bottom, with the rights that it names, every answer word for word.

What differs from run to run is a sample on the page: the key ID and version, days and times, how long it took. Lines that only tell how
far it is come and go.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from gen.installed import DEPLOY, EVERYWHERE, RECORDS, SYSTEM, Installed
from gen.operator_process import OperatorProcess
from gen.person import BIN, Person
from gen.team import Api, Team, workload
from gen.verifier_process import VerifierProcess
from keyturn.base.clock import SECOND, format_time, utc_now
from testbed.binaries import search_path
from testbed.plane import Plane

PAGE: Final = DEPLOY.parent / "docs" / "how-to" / "a-key-leaked.md"
SAMPLE: Final = "Qm8sT2fLx0Za"
TYPED_INLINE: Final = {
    "keyturn inspect < FILE": "keyturn inspect < found.txt",
    "keyturn describe billing -n shop": "keyturn describe billing -n shop",
    "keyturn revoke --key-id ID": "keyturn revoke --key-id Qm8sT2fLx0Za --reason Leaked --dry-run",
    "keyturn revoke NAME -n NAMESPACE": "keyturn revoke billing -n shop --reason Leaked --dry-run",
    "keyturn revoke --all -n NAMESPACE": "keyturn revoke --all -n shop --reason Leaked --dry-run",
    "keyturn revoke --product NAMESPACE/NAME": "keyturn revoke --product shop/none --reason Leaked --dry-run",
    "keyturn revoke-all --minted-before 2026-11-30T06:00:00Z": (
        "keyturn revoke-all --minted-before 2026-11-30T06:00:00Z --reason Leaked --dry-run"
    ),
    "keyturn revoke": "keyturn revoke --help",
    "keyturn leak": "keyturn leak --help",
    "kubectl get apikeyrevocations -o wide": "kubectl get apikeyrevocations -o wide",
}
"""Every command between two backticks, and how it is typed with names of this cluster, so that it changes nothing."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Teams with keys, a verifier, and who is on call in a folder of their own."""

    shop: Team
    verifier: VerifierProcess
    on_call: Person
    folder: Path

    def types(self, command: str, *, kubeconfig: Path | None = None) -> str:
        """What a terminal shows when it is typed; it must end well."""
        environment = {
            "PATH": f"{BIN}{os.pathsep}{search_path(['kubectl'])}{os.pathsep}/usr/bin:/bin",
            "KUBECONFIG": str(kubeconfig or self.on_call.kubeconfig),
            "HOME": str(self.folder),
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
        running = subprocess.Popen(["sh", "-c", command], cwd=self.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b"".join(iter(lambda: read_some(ours), b"")).decode().replace("\r\n", "\n")
        os.close(ours)
        assert running.wait(timeout=60) == 0, f"{command}\n{shown}"
        return shown

    def as_it_is(self, text: str) -> str:
        """The page's samples replaced by what is so now."""
        secret, minted_before = self.shop.secret("billing"), format_time(utc_now().replace(microsecond=0) + SECOND)
        own = {
            SAMPLE: secret.key_id,
            SAMPLE.lower(): secret.key_id.lower(),
            "billing   1 ": f"billing   {secret.version} ",
            "2026-11-30T06:00:00Z": minted_before,
        }
        for sample, now in own.items():
            text = text.replace(sample, now)
        return text


def read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side of the terminal is closed
        return b""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A cluster of this page's own: it names its namespaces, and counts every ApiKey there is."""
    with Plane.start() as plane:
        for name in ("shop", "bakery", "on-call"):
            plane.create_namespace(name)
        yield Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    with installed.start_operator() as operator:
        yield operator.wait_ready()
        operator.stop()


@pytest.fixture
def scene(installed: Installed, operator: OperatorProcess, tmp_path: Path) -> Iterator[Scene]:
    plane, api = installed.plane, Api(installed.plane.login)
    plane.kubectl("-n", "on-call", "create", "serviceaccount", "sam")
    on_call = Person(plane, "on-call", plane.kubeconfig).as_service_account("sam", of="on-call", folder=tmp_path)
    shop, bakery = (Team(plane, api, name, operator, records_namespace=RECORDS, system_namespace=SYSTEM) for name in ("shop", "bakery"))
    with installed.start_verifier(settings={"use_report_pause": "100ms", "use_day_pause": "1s"}) as verifier:
        for name in ("billing", "invoices", "reports"):
            shop.issue(name)
        bakery.issue("orders")
        shop.start(workload("Deployment", "web"))
        assert verifier.wait_ready().check(shop.secret("billing").token).status == 200
        shop.wait_until(lambda: shop.status("billing").get("lastUsedTime"), about="billing", what="its day of use")
        yield Scene(shop, verifier, on_call, tmp_path)
    api.close()


def blocks(page: str) -> list[tuple[str, str]]:
    """Each command behind a `$`, with the lines that it is said to answer."""
    consoles = [re.sub(r"(?m)^   ", "", block) for block in re.findall(r"```console\n(.*?) *```", page, re.DOTALL)]
    return [(command, answer) for block in consoles for command, answer in re.findall(r"(?m)^\$ (.*)\n((?:(?!\$ ).*\n)*)", block)]


def shape(answer: str) -> str:
    """A pattern of the answer: what a run has of its own is free, and so is the width of columns."""
    free = {r"\d{4}-\d\d-\d\d": r"\d{4}-\d\d-\d\d", r"\d{8}-\d{6}": r"\d{8}-\d{6}", r"\d+ms after": r"\d+m?s after", r" +": " +"}
    pattern = re.escape(answer).replace(r"\ ", " ").replace(r"\-", "-")
    for sample, own in free.items():
        pattern = re.sub(sample, own.replace("\\", "\\\\"), pattern)
    return pattern


def what_stays(shown: str) -> str:
    """Without what only tells how far it is; of a line that is written over and over, what stands there at last."""
    lines = [line.rpartition("\r\x1b[K")[2] for line in shown.split("\n")]
    return "\n".join(line for line in lines if not re.match(r"apikeyrevocation/[a-z0-9-]+: ", line))


def test_the_page_is_typed_at_a_terminal_and_answers_what_it_says(scene: Scene) -> None:
    page = PAGE.read_text()
    inline = [code for code in re.findall(r"`([^`\n]+)`", page) if code.split()[0] in {"keyturn", "kubectl"}]
    rights = [code for code in inline if code.startswith("kubectl create")]
    assert [code.split()[2] for code in rights] == ["clusterrolebinding", "rolebinding"]
    for code in rights:
        scene.types(code.replace("--group=on-call", "--group=system:serviceaccounts:on-call"), kubeconfig=scene.shop.cluster.kubeconfig)
    assert set(inline) - set(rights) == set(TYPED_INLINE), "what nobody types is not said"
    found = scene.folder / "found.txt"
    found.write_text(scene.shop.secret("billing").token)
    for typed in TYPED_INLINE.values():
        scene.types(scene.as_it_is(typed))
    # The backup first: what it says is dead counts what leaked before.
    for command, answer in sorted(blocks(page), key=lambda block: "revoke-all" not in block[0]):
        found.write_text(scene.shop.secret("billing").token)
        expected = shape(scene.as_it_is(answer))
        shown = what_stays(scene.types(scene.as_it_is(command)))
        assert re.fullmatch(expected, shown), f"{command}\n{shown}"
        if "--dry-run" not in command:
            assert scene.verifier.check(found.read_text()).status == 401
            scene.shop.wait_ready("billing", version=scene.shop.record("billing").highest)
