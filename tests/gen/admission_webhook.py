"""An admission webhook that says no, as a real HTTPS server that the API server calls.

with denying_webhook(api, namespace, resource="secrets", scratch=tmp_path) as name:
    ...
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from gen.team import Api
from testbed.certificates import Authority

NAME: Final = "guard.example.com"
SAYS: Final = "the guard allows nothing"
_CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class _Denial(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": SAYS}}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def denying_webhook(api: Api, namespace: str, *, resource: str, scratch: Path) -> Iterator[str]:
    """Refuse every creation of a core resource in one namespace until the end; answers the webhook's name."""
    authority = Authority(scratch, name="webhook-ca")
    pair = authority.issue_server("webhook", user=NAME, hosts=["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Denial) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        certificate = base64.b64encode(authority.pair.certificate_pem).decode()
        url = f"https://127.0.0.1:{server.server_port}/"
        api.ask("POST", _CONFIGURATIONS, _configuration(namespace, resource, url=url, certificate=certificate))
        try:
            yield NAME
        finally:
            api.delete(f"{_CONFIGURATIONS}/{namespace}")
            server.shutdown()


def _configuration(namespace: str, resource: str, *, url: str, certificate: str) -> dict[str, object]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    webhook = {
        "name": NAME,
        "clientConfig": {"url": url, "caBundle": certificate},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return {"metadata": {"name": namespace}, "webhooks": [webhook]}
