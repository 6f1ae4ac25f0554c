"""The fence around one scene's operator: the policy of deploy/ with the names of the scene, and the canary on which it is tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gen.fence import ACCOUNT, MASTERS, SECRETS
from gen.installed import log_in
from gen.team import MERGE, Api
from testbed.cluster import ApiFailed, Cluster, wait_until
from testbed.plane import Plane

POLICY: Final = Path(__file__).parents[2] / "deploy" / "policies" / "operator-secrets.yaml"


@contextmanager
def fenced(plane: Cluster, *, namespace: str, records_namespace: str) -> Iterator[str]:
    """The account, of all rights, that the policy keeps from foreign Secrets. It is in force when this begins."""
    account = f"system:serviceaccount:{namespace}:{ACCOUNT}"
    names = {
        "'system:serviceaccount:keyturn-system:keyturn-operator'": f"'{account}'",
        "'keyturn-system'": f"'{namespace}'",
        "'keyturn-verifiers'": f"'{records_namespace}'",
    }
    policy = POLICY.read_text()
    for usual, own in names.items():
        policy = policy.replace(usual, own)
    plane.create_namespace(namespace)
    plane.kubectl("-n", namespace, "create", "secret", "generic", "keyturn-canary")
    plane.kubectl("apply", "-f", "-", input=policy)
    api = Api(plane.login, user=account, group=MASTERS)
    wait_until(lambda: _is_refused(api, f"{SECRETS.format(namespace)}/keyturn-canary"), patience=20.0, what="the policy to be in force")
    api.close()
    yield account
    plane.kubectl("delete", "-f", "-", input=policy)


def log_in_fenced(plane: Plane, folder: Path, *, namespace: str) -> Path:
    """A kubeconfig of that account with a token, and with all rights: for where no proxy says who it is."""
    plane.kubectl("-n", namespace, "create", "serviceaccount", ACCOUNT)
    plane.kubectl("create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", f"--serviceaccount={namespace}:{ACCOUNT}")
    return log_in(plane, folder, namespace=namespace)


def _is_refused(api: Api, path: str) -> bool:
    try:
        api.ask("PATCH", path, {}, content_type=MERGE)
    except ApiFailed as refused:
        return "keyturn-operator-secrets" in str(refused)
    return False
