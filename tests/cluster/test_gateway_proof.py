"""Gateways prove themselves: by certificates that are renewed under way, by tokens that a real API server signed."""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest

from gen import verifying as gen
from gen.operator_process import OperatorProcess
from gen.served_front import ServedFront
from gen.verifier_process import VerifierProcess
from keyturn.verifier.service.tls_files import Tls, TlsFiles, TlsUnusable
from testbed.certificates import Authority, Pair
from testbed.cluster import Cluster, wait_until


class Pki:
    """A CA, and where the verifier's files are."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, name="ca")
        self.files = TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")
        self.serve("first")

    def serve(self, name: str) -> None:
        """Swap the server's files, as cert-manager does."""
        pair = self.authority.issue_server(f"server-{name}", user=name, hosts=["127.0.0.1"])
        shutil.copy(pair.key, self.files.key)
        shutil.copy(pair.certificate, self.files.certificate)

    def trusting(self, client: Pair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.files.gateway_ca))
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def ask(port: int, context: ssl.SSLContext) -> tuple[int, bytes, str]:
    """Status, body, and the name in the server's certificate."""
    connection = HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    try:
        connection.request("GET", "/verify", headers={"Authorization": f"Bearer {gen.TOKEN}"})
        certificate = connection.sock.getpeercert()
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(part[0] for part in certificate["subject"])["commonName"]
    finally:
        connection.close()


def test_only_a_gateway_with_a_certificate_of_the_ca_may_ask(pki: Pki, tmp_path: Path) -> None:
    gateway = pki.authority.issue_client("gateway", user="gateway")
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", name="ca").issue_client("gateway", user="gateway")
    with ServedFront(gen.guard(gen.record()), tls=Tls(pki.files, protocol="http/1.1")) as front:
        assert ask(front.port, pki.trusting(gateway))[0] == 200
        status, body, _ = ask(front.port, pki.trusting())
        assert (status, b"client certificate" in body) == (403, True)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(front.port, pki.trusting(stranger))


def test_a_renewed_certificate_is_served_and_a_broken_one_is_not(pki: Pki) -> None:
    gateway = pki.trusting(pki.authority.issue_client("gateway", user="gateway"))
    tls = Tls(pki.files, protocol="http/1.1")
    with ServedFront(gen.guard(gen.record()), tls=tls) as front:
        assert ask(front.port, gateway)[2] == "first"
        pki.serve("second")
        tls.renew()
        assert ask(front.port, gateway)[2] == "second"
        pki.files.key.write_text("half written")
        tls.renew()
        assert ask(front.port, gateway)[2] == "second"
        pki.serve("third")
        tls.renew()
        assert ask(front.port, gateway)[2] == "third"


def test_a_new_ca_ends_the_old_ones_gateways(pki: Pki, tmp_path: Path) -> None:
    before = pki.trusting(pki.authority.issue_client("gateway", user="gateway"))
    (tmp_path / "new").mkdir()
    newer = Authority(tmp_path / "new", name="ca")
    new_gateway = newer.issue_client("gateway", user="gateway")
    tls = Tls(pki.files, protocol="http/1.1")
    with ServedFront(gen.guard(gen.record()), tls=tls) as front:
        assert ask(front.port, before)[0] == 200
        after = pki.trusting(new_gateway)
        shutil.copy(newer.pair.certificate, tmp_path / "ca.crt")
        tls.renew()
        assert ask(front.port, after)[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(front.port, before)


def test_files_that_make_no_tls_are_named(pki: Pki) -> None:
    pki.files.key.write_text("nothing")
    with pytest.raises(TlsUnusable, match=r"tls\.key"):
        Tls(pki.files, protocol="http/1.1")


@pytest.fixture(scope="module")
def guarded(plane: Cluster, shared_operator: OperatorProcess) -> Iterator[VerifierProcess]:
    records, system = shared_operator.setting("records_namespace"), shared_operator.setting("namespace")
    settings = {"gateway_accounts": "default/default,kube-system/default"}
    with VerifierProcess.start(plane, records_namespace=records, namespace=system, settings=settings) as verifier:
        yield verifier.wait_ready()


def token_of(plane: Cluster, namespace: str, audience: str) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [audience]}}
    answer = plane.login.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", body=body)
    return str(json.loads(answer)["status"]["token"])


def status_for(verifier: VerifierProcess, token: str | None) -> int:
    assert verifier.address is not None
    connection = HTTPConnection(verifier.address, timeout=20)
    try:
        connection.request("GET", "/verify", headers={} if token is None else {"x-keyturn-gateway-token": token})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_gateways_account_proves_itself_by_a_token_for_this_audience(plane: Cluster, namespace: str, guarded: VerifierProcess) -> None:
    wait_until(
        lambda: status_for(guarded, token_of(plane, "default", "keyturn-verifier")) == 401, patience=30, what="the API server's keys"
    )
    assert status_for(guarded, token_of(plane, namespace, "keyturn-verifier")) == 403
    assert status_for(guarded, token_of(plane, "default", "https://kubernetes.default.svc")) == 403
    assert status_for(guarded, None) == 403
