"""Who we are to the API server: kubeconfig or in-cluster account, by way of kubernetes.aio, so that every kind of login works.

Tokens age: a projected service account token is replaced by the kubelet about every hour, an exec plugin's within minutes.
`fresh()` is asked before every request and reads them again once a minute; `renew()` is asked after a 401.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration

from keyturn.base.errors import KeyturnError
from keyturn.cluster.impersonation import Headers, headers_of

_REREAD_SECONDS: Final = 60.0


class NoClusterAccess(KeyturnError):
    """There is no usable kubeconfig and this is no pod, or the login plugin failed."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A login as it is now; without a repr, since it holds the token."""

    server: str
    ca_file: str | None
    certificate_file: str | None
    key_file: str | None
    insecure: bool
    scheme: str | None
    token: str | None
    proxy: str | None
    namespace: str


class Login:
    """The address of the API server, how to trust it, and the Authorization header of the moment."""

    def __init__(self, *, kubeconfig: str | None, context: str | None) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._configuration = Configuration()
        self._loader: kubernetes_config.kube_config.KubeConfigLoader | None = None
        self._authorization: str | None = None
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()
        self.namespace = "default"
        """The namespace of the kubeconfig's context, or of the pod."""
        self.impersonation: Headers = ()
        """What each request has to say about whom we act as."""

    @classmethod
    async def load(cls, *, kubeconfig: str | None = None, context: str | None = None) -> Login:
        """Find the configuration as kubectl does: the given file, $KUBECONFIG, the pod's own account, ~/.kube/config.

        Raises NoClusterAccess with a sentence for people.
        """
        login = cls(kubeconfig=kubeconfig or os.environ.get("KUBECONFIG") or None, context=context)
        await login.renew(since=time.monotonic())
        return login

    @property
    def server(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return str(self._configuration.host).rstrip("/")

    @property
    def proxy(self) -> str | None:
        """The proxy the kubeconfig names."""
        return self._configuration.proxy or None

    @property
    def server_name(self) -> str | None:
        """The name to expect in the server's certificate, where it is not the host's."""
        return self._configuration.tls_server_name or None

    def tls(self) -> ssl.SSLContext:
        """A context that trusts the cluster's own authority and presents the client certificate, if there is one."""
        settings = self._configuration
        context = ssl.create_default_context(cafile=settings.ssl_ca_cert or None)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, keyfile=settings.key_file)
        if not settings.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def credentials(self) -> Credentials:
        """The same login for a library that opens connections of its own."""
        settings = self._configuration
        scheme, _, token = (self._authorization or "").partition(" ")
        return Credentials(
            server=self.server,
            ca_file=settings.ssl_ca_cert or None,
            certificate_file=settings.cert_file or None,
            key_file=settings.key_file or None,
            insecure=not settings.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            proxy=self.proxy,
            namespace=self.namespace,
        )

    async def fresh(self) -> str | None:
        """The Authorization header's value, at most a minute old; None with a client certificate."""
        if time.monotonic() - self._read_at > _REREAD_SECONDS:
            async with self._lock:
                if time.monotonic() - self._read_at > _REREAD_SECONDS:
                    await self._reread()
        return self._authorization

    async def renew(self, *, since: float) -> None:
        """Read everything anew, past the login plugin's own cache, unless that has happened `since` (monotonic) the refused request.

        Many requests are refused at once when a token ends: one of them renews, the others take what it got.
        """
        async with self._lock:
            if self._read_at > since:
                return
            try:
                await self._load()
            except (kubernetes_config.ConfigException, OSError, ValueError, TypeError) as error:
                raise NoClusterAccess(f"No access to a cluster: {error}. Set KUBECONFIG or --kubeconfig") from None
            await self._remember()

    async def _load(self) -> None:
        configuration = Configuration()
        if self._kubeconfig is None and self._context is None and os.environ.get(kubernetes_config.incluster_config.SERVICE_HOST_ENV_NAME):
            kubernetes_config.load_incluster_config(client_configuration=configuration)
            self.namespace = _pod_namespace()
        else:
            files = _existing(self._kubeconfig or str(Path.home() / ".kube" / "config"))
            self._loader = await kubernetes_config.load_kube_config(
                config_file=files,
                context=self._context,
                client_configuration=configuration,
                persist_config=False,
            )
            context = self._loader.current_context["context"]
            self.namespace = context.get("namespace") or "default"
            self.impersonation = headers_of(_user(files, context.get("user")))
        self._configuration = configuration

    async def _reread(self) -> None:
        if self._loader is not None:
            # It keeps what has not expired, see its load_from_exec_plugin.
            await self._loader.load_and_set(self._configuration)
        await self._remember()

    async def _remember(self) -> None:
        self._authorization = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if self._authorization is not None:
            self._authorization = self._authorization.strip()  # a token file may end in a newline, which no header may hold
        self._read_at = time.monotonic()


def _existing(paths: str) -> str:
    if not any(Path(path).is_file() for path in paths.split(os.pathsep)):
        raise FileNotFoundError(f"{paths} does not exist")
    return paths


def _user(files: str, name: str | None) -> Mapping[str, object]:
    merged = kubernetes_config.kube_config.KubeConfigMerger(files).config
    if merged is None or name is None:
        return {}
    found = merged["users"].get_with_name(name, safe=True)
    user = found["user"].value if found is not None else {}
    return user if isinstance(user, dict) else {}


def _pod_namespace() -> str:
    try:
        return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"
