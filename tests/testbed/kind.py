"""A kind cluster. Where a Docker engine answers it is plain kind; elsewhere engine and node image are made here, without a registry."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, Self, cast

from testbed import cgroups, images, kind_engine, kind_image
from testbed.binaries import program, programs
from testbed.cache import Stopwatch, say
from testbed.cluster import Cluster, read_kubeconfig, wait_until
from testbed.kind_engine import Engine, machine_engine, make_engine_cgroups, start_engine
from testbed.node import forward_into, what_is_missing
from testbed.processes import Group
from testbed.recipes import CONTROL_PLANE, NODE

_WITHOUT_REGISTRY: Final = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "networking": {"disableDefaultCNI": True, "kubeProxyMode": "nftables"},
    "kubeadmConfigPatches": ["kind: KubeletConfiguration\nfailCgroupV1: false\n"],
    "nodes": [{"role": "control-plane"}],
}


def prepare() -> None:
    """Make all that a first start would have to make: it takes minutes."""
    programs("kind", "kubectl")
    images.prepare()
    if machine_engine() is None and what_is_missing() is None:
        programs(*CONTROL_PLANE, *NODE, "kubeadm")
        kind_engine.prepare()
        kind_image.node_root()


class KindCluster(Cluster):
    """A running kind cluster. Made by `KindCluster.start`."""

    busybox = images.BUSYBOX

    def __init__(self, *, folder: Path, group: Group, accounts: Sequence[Path]) -> None:
        self.folder = folder
        self.name = f"keyturn-{secrets.token_hex(3)}"
        self.start_seconds = 0.0
        self._group, self._accounts = group, accounts
        self._engine: Engine | None = None

    @classmethod
    def start(cls) -> Self:
        """Create the cluster, wait until its node is Ready, and give it the testbed's images."""
        watch = Stopwatch()
        folder = Path(mkdtemp(prefix="keyturn-kind-")).resolve()
        engine = machine_engine()
        accounts = [] if engine else make_engine_cgroups(folder)
        cluster = cls(folder=folder, group=Group(folder, *accounts), accounts=accounts)
        try:
            cluster._come_up(engine)
        except BaseException:
            cluster._group.kill()
            cgroups.remove_cgroups(accounts)
            raise
        cluster.start_seconds = watch.seconds
        say(f"kind cluster {cluster.name} ready after {watch} at {cluster.url}")
        return cluster

    def load_image(self, archive: Path) -> None:
        """Make an image (an archive as `oci.write_image` or `docker save` write it) known to the node."""
        with archive.open("rb") as data:
            command = [
                "docker",
                "exec",
                "--interactive",
                f"{self.name}-control-plane",
                "ctr",
                "--namespace=k8s.io",
                "images",
                "import",
                "-",
            ]
            subprocess.run(command, stdin=data, env=self._environment(), capture_output=True, check=True)

    def stop(self) -> None:
        """Delete the cluster, and end the engine if it is our own."""
        if self._engine and self._engine.first_process is None:
            self._run(str(program("kind")), "delete", "cluster", f"--name={self.name}")
        self._group.kill()
        cgroups.remove_cgroups(self._accounts)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _come_up(self, engine: Engine | None) -> None:
        self._engine = engine or start_engine(self.folder, group=self._group)
        kubeconfig = self.folder / "kubeconfig"
        flags = [f"--name={self.name}", f"--kubeconfig={kubeconfig}", "--wait=180s"]
        if engine is None:
            settings = self.folder / "kind.json"
            settings.write_text(json.dumps(_WITHOUT_REGISTRY))
            changes = [word for setting in kind_image.SETTINGS for word in ("--change", setting)]
            self._run("docker", "import", *changes, str(kind_image.node_root()), kind_image.REFERENCE)
            say("the node image is imported")
            flags += [f"--image={kind_image.REFERENCE}", f"--config={settings}"]
        self._run(str(program("kind")), "create", "cluster", *flags)
        self._make_reachable(kubeconfig)
        super().__init__(kubeconfig=kubeconfig, login=read_kubeconfig(kubeconfig))
        wait_until(self.is_ready, patience=30, what="the API server of kind")
        for archive in (images.busybox(), images.python()):
            self.load_image(archive)

    def _make_reachable(self, kubeconfig: Path) -> None:
        """The API server's port of an engine of our own is in that engine's network: lead there."""
        if self._engine is None or self._engine.first_process is None:
            return
        view = self._run(str(program("kubectl")), f"--kubeconfig={kubeconfig}", "config", "view", "--raw", "--output=json")
        config = cast("dict[str, Any]", json.loads(view))
        cluster = config["clusters"][0]["cluster"]
        port = int(cluster["server"].rsplit(":", 1)[1])
        ours = forward_into(self._engine.first_process, "127.0.0.1", port, group=self._group, log=self.folder / "forward.log")
        cluster["server"] = f"https://127.0.0.1:{ours}"
        kubeconfig.write_text(json.dumps(config))

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} {command[1]} failed; its folder is {self.folder}:\n{done.stderr[-3000:]}")
        return done.stdout

    def _environment(self) -> dict[str, str] | None:
        return self._engine.environment if self._engine else None
