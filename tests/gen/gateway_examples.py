"""The gateways of deploy/gateways as people copy them, on this machine: only their addresses and ports are others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed.gateways import Gateway
from testbed.layout import free_ports

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "gateways"
_API: Final = "orders-api.shop.svc.cluster.local"
_VERIFIER: Final = "keyturn-verifier.keyturn-system.svc.cluster.local"
_PODS: Final = "keyturn-verifier-pods.keyturn-system.svc.cluster.local"
_HOSTS: Final = {f"{_API}:8000": "127.0.0.1:<api>", f"{_VERIFIER}:8080": "127.0.0.1:<verifier>"}


@dataclass(frozen=True, slots=True)
class Example:
    """One configuration: files of a folder in deploy/gateways, the first of which the program is started with."""

    program: str
    files: tuple[str, ...]
    replaced: dict[str, str]
    """What stands in the files, and what stands there in a test, with <port>, <api>, <verifier> and <folder>."""
    asks_over_grpc: bool = False
    tells_loopback_addresses: bool = True
    """Whether the verifier learns 127.0.0.7. Envoy puts the machine's own address for what comes from the machine itself."""


_ENDPOINT: Final = "{ address: 127.0.0.1, port_value: %d }"
_MORE: Final = "\n              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %d } } }"
_ENVOYS: Final = {
    "{ address: 0.0.0.0, port_value: 8000 }": "{ address: 127.0.0.1, port_value: <port> }",
    f"{{ address: {_API}, port_value: 8000 }}": "{ address: 127.0.0.1, port_value: <api> }",
}

EXAMPLES: Final = {
    "envoy-http": Example(
        "envoy",
        ("envoy-http.yaml",),
        {**_ENVOYS, f"{{ address: {_PODS}, port_value: 8080 }}": "{ address: 127.0.0.1, port_value: <verifier> }"},
        tells_loopback_addresses=False,
    ),
    "envoy-grpc": Example(
        "envoy",
        ("envoy-grpc.yaml",),
        {**_ENVOYS, f"{{ address: {_PODS}, port_value: 9090 }}": "{ address: 127.0.0.1, port_value: <verifier> }"},
        asks_over_grpc=True,
        tells_loopback_addresses=False,
    ),
    "nginx": Example("nginx", ("keyturn.conf", "keyturn-pass-on.conf"), {"listen 8000;": "listen 127.0.0.1:<port>;", **_HOSTS}),
    "traefik": Example(
        "traefik",
        ("traefik.yml", "keyturn.yml"),
        {'address: ":8000"': 'address: "127.0.0.1:<port>"', "/etc/traefik/": "<folder>/", **_HOSTS},
    ),
    "haproxy": Example(
        "haproxy",
        ("haproxy.cfg", "keyturn.lua"),
        {"bind :8000": "bind 127.0.0.1:<port>", "/etc/haproxy/": "<folder>/", **_HOSTS},
    ),
    "caddy": Example(
        "caddy",
        ("Caddyfile",),
        {"http://:8000 {": "http://:<port> {\n\tbind 127.0.0.1", "# Caddy asks": "{\n\tadmin off\n}\n# Caddy asks", **_HOSTS},
    ),
}


def start_example(name: str, folder: Path, *, api: int, verifier: int, another: int | None = None) -> Gateway:
    """Start one of EXAMPLES on a free port, before the API and the verifier on these ports of the loopback. Its files go to `folder`.

    `another`: a second verifier, as Envoy finds it in DNS.
    """
    (port,) = free_ports(1)
    file = write_example(name, folder, port=port, api=api, verifier=verifier, another=another)
    return Gateway.start(EXAMPLES[name].program, file, port=port)


def write_example(name: str, folder: Path, *, port: int, api: int, verifier: int, another: int | None = None) -> Path:
    """Write the files of one of EXAMPLES and answer the one to start it with."""
    example = EXAMPLES[name]
    values = {"port": str(port), "api": str(api), "verifier": str(verifier), "folder": str(folder)}
    texts = {file: (FOLDER / example.program / file).read_text() for file in example.files}
    for old, new in example.replaced.items():
        if not any(old in text for text in texts.values()):
            raise LookupError(f"deploy/gateways/{example.program} no longer says {old!r}: say here what stands for it")
        filled = _filled(new, values)
        texts = {file: text.replace(old, filled) for file, text in texts.items()}
    for file, text in texts.items():
        (folder / file).write_text(text if another is None else text.replace(found := _ENDPOINT % verifier, found + _MORE % another))
    return folder / example.files[0]


def _filled(template: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"<{name}>", value)
    return template
