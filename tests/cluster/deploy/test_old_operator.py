"""The operator of an earlier commit and the one of this checkout take turns over the same keys: CRDs first, operator first, and back.

`make test-upgrade FROM=<commit or tag>` chooses the earlier one. It runs from the commit's own files, with the packages of this .venv.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from gen.operator_process import OperatorProcess
from gen.team import Api, Team
from testbed.cluster import wait_until
from testbed.plane import Plane, bare

ROOT = Path(__file__).parents[3]
RECORDS, SYSTEM = "keyturn-verifiers", "keyturn-system"


@dataclass(frozen=True, slots=True)
class Side:
    """Operator and CRDs of one commit."""

    files: Path

    @property
    def crds(self) -> Path:
        return self.files / "crds"

    @contextmanager
    def operator(self, plane: Plane) -> Iterator[OperatorProcess]:
        """Its operator on the plane, proven to be this side's."""
        program = (
            "import sys, keyturn; from keyturn.cli.main import main; "
            f"sys.exit(main() if keyturn.__file__.startswith({str(self.files)!r}) else keyturn.__file__)"
        )
        with OperatorProcess.start(
            plane,
            records_namespace=RECORDS,
            namespace=SYSTEM,
            settings={"lease_duration": "15s"},
            environment={"PYTHONPATH": str(self.files / "operator")},
            command=(sys.executable, "-c", program, "operator"),
        ) as operator:
            yield operator.wait_ready()
            operator.stop()


@pytest.fixture
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Side:
    commit = str(request.config.getoption("--upgrade-from"))
    archive = subprocess.run(["git", "archive", commit, "operator", "crds"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(tmp_path / "old", filter="data")
    return Side(tmp_path / "old")


@pytest.fixture
def new() -> Side:
    return Side(ROOT)


@pytest.fixture
def empty_plane() -> Iterator[Plane]:
    with Plane.start(bare()) as plane:
        plane.create_namespace("shop")
        yield plane


def install(plane: Plane, side: Side) -> None:
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(side.crds))
    wait_until(lambda: plane.answers("/apis/keyturn.dev/v1alpha1/apikeys"), patience=30.0, what="the CRDs to be served")


@dataclass(slots=True)
class Story:
    """One key, through turns of operators and CRDs."""

    plane: Plane
    api: Api
    version: int = 0
    token: str = ""
    fresh: int = 0

    def turn(self, side: Side, *, crds: Side) -> None:
        """One side's operator takes over on some side's CRDs: the key is left as it is, and can be rotated."""
        install(self.plane, crds)
        with side.operator(self.plane) as operator:
            team = Team(self.plane, self.api, "shop", operator, records_namespace=RECORDS, system_namespace=SYSTEM)
            self.fresh += 1
            team.issue(f"fresh-{self.fresh}")  # so it has had time to touch the other
            if self.version == 0:
                team.apply_apikey("billing", {"rotation": {"policy": "Manual", "gracePeriod": "1s"}})
            else:
                assert (team.secret("billing").version, team.secret("billing").token) == (self.version, self.token)
                team.request_rotation("billing", f"after version {self.version}")
            self.version += 1
            team.wait_ready("billing", version=self.version)
            secret = team.secret("billing")
            team.wait_until(lambda: team.accepted("billing") == {secret.key_id}, about="billing", what="only the new key is accepted")
            self.token = secret.token


@pytest.mark.slow
def test_old_and_new_operators_take_turns_and_no_key_is_lost_or_rotated_by_it(old: Side, new: Side, empty_plane: Plane) -> None:
    """Slow: six operators, one after the other."""
    api = Api(empty_plane.login)
    story = Story(empty_plane, api)
    story.turn(old, crds=old)
    story.turn(old, crds=new)  # CRDs first
    story.turn(new, crds=new)
    story.turn(old, crds=new)  # the operator back
    story.turn(old, crds=old)  # all the way back
    story.turn(new, crds=old)  # operator first
    api.close()
    assert story.version == 6
