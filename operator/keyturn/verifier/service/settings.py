"""The verifier's settings: one model, from which `keyturn verifier --help`, the environment and the docs are made, as the operator's."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from keyturn.base.settings import Address, Duration, LogFormat, OptionalAddress


class VerifierSettings(BaseModel):
    """What a platform team may set. The defaults are what production wants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = Field(
        "keyturn-system", min_length=1, description="Namespace of the operator, where it publishes the public keys of its signatures"
    )
    records_namespace: str = Field("keyturn-verifiers", min_length=1, description="Namespace of the verifier records")
    listen_address: Address = Field("0.0.0.0:8080", description="Where gateways ask over HTTP; port 0: any free one, named in the log")
    grpc_address: OptionalAddress = Field(
        "0.0.0.0:9090", description="Where Envoy asks over gRPC; port 0: any free one, named in the log; empty: nowhere"
    )
    tls_certificate: str = Field(
        "", description="Certificate (PEM, with its chain) for HTTP and gRPC, read anew when it changes; empty: no TLS"
    )
    tls_key: str = Field("", description="Its private key (PEM)")
    gateway_ca: str = Field(
        "", description="CA (PEM) that signs gateways' client certificates: only they may ask, and who gateway-accounts names; needs TLS"
    )
    gateway_accounts: str = Field(
        "",
        pattern=r"^([a-z0-9-]+/[a-z0-9.-]+(,[a-z0-9-]+/[a-z0-9.-]+)*)?$",
        description="Comma-separated ServiceAccounts (namespace/name) of gateways that may ask, by a token for the audience "
        "keyturn-verifier in the header x-keyturn-gateway-token; empty: no tokens",
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that answer, for as many cores; each is a whole verifier, with the memory and the Lease of one",
    )
    max_connections: int = Field(
        4096, ge=1, le=1_000_000, description="Connections a process may have open over HTTP; whoever comes after them is answered 503"
    )
    keep_alive: Duration = Field(
        timedelta(minutes=65),
        description="How long a connection may be idle over HTTP; longer than any gateway keeps one, so that it ends it, not we",
    )
    drain_delay: Duration = Field(
        timedelta(seconds=5), description="How long requests are still answered after SIGTERM: gateways need time to learn of it"
    )
    drain_timeout: Duration = Field(
        timedelta(seconds=10), description="Longest wait after that for gateways to finish what they ask and to go elsewhere"
    )
    key_headers: str = Field(
        "x-api-key",
        pattern=r"^([-_0-9A-Za-z]+( *, *[-_0-9A-Za-z]+)*)?$",
        description="Comma-separated headers that hold a key alone; Authorization: Bearer is always read",
    )
    client_address_header: str = Field(
        "x-forwarded-for",
        pattern=r"^[-_0-9A-Za-z]*$",
        description="Header in which the gateway says the client's address over HTTP; empty: keys bound to addresses are refused there",
    )
    trusted_hops: int = Field(
        1, ge=1, le=32, description="Which entry of that header is the client's, counted from the right: how many proxies wrote into it"
    )
    identity: str = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
        max_length=200,
        description="Name of this replica, for its Lease; empty: the host's name, which is a pod's",
    )
    lease_duration: Duration = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=5),
        description="How long the operator waits for this replica, before a new key is given out, once it fell silent",
    )
    use_report_pause: Duration = Field(
        timedelta(seconds=2), description="Least time between two reports of the use of versions on their way out"
    )
    use_day_pause: Duration = Field(timedelta(hours=1), description="How long the next day of use of a key in steady use may wait")
    snapshot: str = Field(
        "",
        description="File in which what is known is kept, to start from while the API server is away; empty: none. "
        "Several processes write one each, with .0, .1 … behind the name",
    )
    verification_keys_file: str = Field(
        "", description="The public keys as a file (the ConfigMap, mounted): they count until the API server was asked; a snapshot needs it"
    )
    app_folder: str = Field(
        "",
        description="Folder shared with an application in the same pod that checks keys itself: the snapshot and the public keys are kept "
        "there, instead of in the two files above, and its uses are read from there; empty: none. Needs --processes 1",
    )
    default_rate: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Requests a second of a key without a limit of its own; 0: as many as it likes"
    )
    default_burst: int = Field(100, ge=1, description="Requests at once of such a key, after a while without any")
    issuers: str = Field("", description="File (YAML or JSON) of issuers whose JSON Web Tokens are accepted beside keys; empty: none")
    issuer_refresh_interval: Duration = Field(timedelta(minutes=10), description="How often an issuer is asked for its public keys")
    issuer_refresh_spacing: Duration = Field(
        timedelta(seconds=10), description="Least time between two of these, also where tokens name keys that are not known"
    )
    request_timeout: Duration = Field(timedelta(seconds=10), description="Longest wait for one answer of the API server, or of an issuer")
    probe_address: Address = Field(
        "0.0.0.0:8081", description="Where /healthz, /readyz and /metrics are served; port 0: any free one, named in the log"
    )
    log_format: LogFormat = Field(LogFormat.CONSOLE, description="console for people, json for machines")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error")

    @field_validator("app_folder")
    @classmethod
    def _is_kept_by_one(cls, folder: str, info: ValidationInfo) -> str:
        if folder and info.data.get("processes", 1) > 1:
            raise ValueError("several processes cannot keep one folder: leave --processes at 1, one is enough for an application")
        return folder
