"""`pip install keyturn` without extras, in an environment of its own: an application checks keys with it, and gets nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from gen import asked_app, verifying
from gen.app_folder import VerifierBeside

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 240.0
BASE: Final = {"cryptography", "pydantic", "tzdata"}
THEIR_OWN: Final = {"annotated-types", "cffi", "pycparser", "pydantic-core", "typing-extensions", "typing-inspection"}
ABSENT: Final = ("kopf", "kubernetes", "aiohttp", "prometheus_client", "joserfc", "yaml", "uvloop", "click", "google.protobuf")

BEGIN: Final = """
import asyncio, json, sys
from keyturn.verifier.shared_folder import guard_from
guard = guard_from("keyturn", scopes=("orders:read",))
good, wrong = [(b"authorization", b"Bearer " + sys.argv[1].encode())], [(b"x-api-key", sys.argv[1].swapcase().encode())]
"""
SCRIPTS: Final = {
    "plain call": """
from keyturn.verifier.answers import answer_to
from keyturn.verifier.verdicts import Accepted, Refused
def status(headers):
    match guard.ask(headers):
        case Accepted() as accepted:
            assert str(accepted.key) == "team-a/billing"
            return 200
        case Refused() as refused:
            return int(answer_to(refused).status)
seen = [status(headers) for headers in (good, wrong, [])]
""",
    "asgi": """
from asked_app import ask_asgi
from keyturn.verifier.asgi import ApiKeyMiddleware
async def api(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope["state"]["keyturn"].key).encode()})
app = ApiKeyMiddleware(api, guard)
seen = [asyncio.run(ask_asgi(app, "/", headers=headers)).status for headers in (good, wrong, [])]
""",
    "wsgi": """
from asked_app import ask_wsgi
from keyturn.verifier.wsgi import ACCEPTED, ApiKeyMiddleware
def api(environ, start_response):
    start_response("200 OK", [])
    return [str(environ[ACCEPTED].key).encode()]
app = ApiKeyMiddleware(api, guard)
seen = [asyncio.run(ask_wsgi(app, "/", headers=headers)).status for headers in (good, wrong, [])]
""",
}
END: Final = """
print(json.dumps({"seen": seen, "loaded": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment into which this checkout's wheel was installed, with the locked versions and no extra."""
    folder = tmp_path_factory.mktemp("alone")
    source = folder / "source"
    shutil.copytree(ROOT / "operator", source / "operator", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    locked = folder / "locked.txt"
    locked.write_text(re.sub(r" \\\n( +--hash=\S+( \\)?\n)+", "\n", (ROOT / "requirements.lock").read_text()))
    run(sys.executable, "-m", "venv", str(folder / "venv"))
    python = folder / "venv" / "bin" / "python"
    run(str(python), "-m", "pip", "install", "--only-binary=:all:", "--constraint", str(locked), str(wheel))
    return python


def run(*command: str, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a verifier in the same pod keeps, and how a server asks an application."""
    (tmp_path / "keyturn").mkdir()
    VerifierBeside(tmp_path / "keyturn", now=datetime.now(UTC)).list(verifying.record(scopes=("orders:read",)))
    shutil.copy(asked_app.__file__, tmp_path)
    return tmp_path


def test_it_brings_what_it_needs_and_nothing_else(python: Path) -> None:
    installed = {each["name"].lower().replace("_", "-") for each in json.loads(run(str(python), "-m", "pip", "list", "--format=json"))}
    assert installed - {"pip", "setuptools", "wheel"} - THEIR_OWN == BASE | {"keyturn"}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_an_application_checks_keys_with_it(python: Path, folder: Path, kind: str) -> None:
    (folder / "script.py").write_text(BEGIN + SCRIPTS[kind] + END)
    told = json.loads(run(str(python), "-W", "error", "script.py", verifying.TOKEN, cwd=folder))
    assert told["seen"] == [200, 401, 401]
    assert "keyturn.verifier.guard" in told["loaded"]
    assert [
        name for name in told["loaded"] if name.startswith((*ABSENT, "keyturn.cluster", "keyturn.lifecycle", "keyturn.controller"))
    ] == []
