"""Somebody who calls the program against a real API server, as a person and as a script does."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gen.apikey_json import Json
from keyturn.cli.main import run_cli
from keyturn.keys.token_format import Token, parse_token
from testbed.binaries import search_path
from testbed.cluster import Cluster

BIN: Final = Path(sys.executable).parent
APIKEYS: Final = "/apis/keyturn.dev/v1alpha1/namespaces/{}/apikeys"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of the program gave back."""

    code: int
    out: str
    err: str

    @property
    def key(self) -> Token:
        """The key that was printed: standard output holds nothing else. Whether all went well says the code."""
        token = parse_token(self.out.removesuffix("\n"))
        assert isinstance(token, Token), self.err
        return token


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a terminal in one namespace."""

    plane: Cluster
    namespace: str
    kubeconfig: Path

    def runs(self, *arguments: str) -> Answer:
        """Call the program, with the namespace after the arguments; in this process, since loading it takes most of a call's time."""
        return self.runs_in(self.namespace, *arguments)

    def runs_in(self, namespace: str, *arguments: str) -> Answer:
        """The same for another namespace."""
        return self._runs(*arguments, "-n", namespace)

    def runs_anywhere(self, *arguments: str) -> Answer:
        """The same for what is in no namespace."""
        return self._runs(*arguments)

    def runs_everywhere(self, *arguments: str) -> Answer:
        """The same for all namespaces."""
        return self._runs(*arguments, "-A")

    def _runs(self, *arguments: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run_cli([*arguments, "--kubeconfig", str(self.kubeconfig)])
        return Answer(code, out.getvalue(), err.getvalue())

    def as_service_account(self, name: str, *, of: str, folder: Path) -> Person:
        """The same person with a ServiceAccount's rights, by a kubeconfig in a folder."""
        token = self.plane.kubectl("-n", of, "create", "token", name).strip()
        config = json.loads(self.plane.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
        config["users"] = [{"name": name, "user": {"token": token}}]
        for context in config["contexts"]:
            context["context"]["user"] = name
        file = folder / "kubeconfig"
        file.write_text(json.dumps(config))
        return replace(self, kubeconfig=file)

    def calls(self, *command: str) -> Answer:
        """Call a program as a shell does, with kubectl and keyturn on the PATH."""
        path = f"{BIN}{os.pathsep}{search_path(['kubectl'])}"
        environment = {"PATH": path, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return Answer(done.returncode, done.stdout, done.stderr)

    def launches(self, *arguments: str, folder: Path) -> subprocess.Popen[bytes]:
        """Call the program in a process of its own and do not wait for it; what it says goes into `out` and `err` of the folder."""
        environment = {"PATH": f"{BIN}{os.pathsep}/usr/bin", "KUBECONFIG": str(self.kubeconfig), "HOME": str(folder)}
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            words = [str(BIN / "keyturn"), *arguments, "-n", self.namespace]
            return subprocess.Popen(words, env=environment, stdout=out, stderr=err)

    def sets_status(self, name: str, status: Json) -> None:
        """Be the operator for a moment."""
        self.asks("PATCH", f"{APIKEYS.format(self.namespace)}/{name}/status", {"status": status})

    def reads(self, name: str) -> Any:  # noqa: ANN401 - any object
        """The stored object."""
        return self.asks("GET", f"{APIKEYS.format(self.namespace)}/{name}")

    def asks(self, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401 - any object
        """Past the program under test."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return json.loads(self.plane.login.ask(method, path, body=body, content_type=kind))
