"""The operator's settings: one model, from which `keyturn operator --help`, the environment and the docs are made.

Every field is an option `--kebab-case` and a variable `KEYTURN_UPPER_CASE`; durations are Go durations.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from keyturn.base.duration import format_duration, parse_duration


def _as_length(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(_as_length),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "format": "go-duration"}),
    Field(ge=timedelta(0)),
]


_HIGHEST_PORT: Final = 65_535


def _as_address(text: str) -> str:
    _, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdecimal() and int(port) <= _HIGHEST_PORT):
        raise ValueError(f"{text!r} is no address: write host:port, for example 0.0.0.0:8080 or [::]:8080")
    return text


def _as_address_or_nothing(text: str) -> str:
    return _as_address(text) if text else text


Address = Annotated[str, AfterValidator(_as_address)]
"""Where to listen: host:port."""
OptionalAddress = Annotated[str, AfterValidator(_as_address_or_nothing)]
"""Empty: nowhere."""


class LogFormat(StrEnum):
    """How a log line looks."""

    CONSOLE = "console"
    JSON = "json"


class SecretAccess(StrEnum):
    """What rights on Secrets the operator has where ApiKeys are."""

    GUARDED = "guarded"
    """To create and to patch: it reads by an empty patch, which the admission policies refuse it for all Secrets but Keyturn's."""
    WATCH = "watch"
    """To read them all besides: it watches the metadata of Keyturn's."""


class AdmissionPolicies(StrEnum):
    """Whether the fence of admission policies is to be there."""

    INSTALLED = "installed"
    """Each of them is looked at; one that is not in force is told of."""
    NONE = "none"
    """As somebody wanted it, who gave the right to read all Secrets: none is missed. Guarded, the one it rests on is tried all the same."""


class Settings(BaseModel):
    """What a platform team may set. The defaults are what production wants; floors may be lowered for tests and demos."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = Field("keyturn-system", min_length=1, description="Namespace of the operator: its root Secret, Lease and public keys")
    records_namespace: str = Field("keyturn-verifiers", min_length=1, description="Namespace of the verifier records, and of nothing else")
    watch_namespaces: str = Field("", description="Comma-separated namespaces whose ApiKeys are managed; empty: all")
    root_secret: str = Field("keyturn-root", min_length=1, description="Name of the root Secret, created once if it does not exist")
    key_prefix: str = Field(
        "kt",
        min_length=2,
        max_length=16,
        pattern=r"^[a-z0-9]+(_[a-z0-9]+)?$",
        description="Prefix of new keys: 2 to 16 of a-z and 0-9, one inner _ allowed",
    )
    rotation_interval: Duration = Field(timedelta(hours=2160), description="How often a key rotates that says nothing about it")
    minimum_interval: Duration = Field(timedelta(hours=1), description="Shortest rotation interval an ApiKey may ask for")
    minimum_grace_period: Duration = Field(timedelta(minutes=5), description="Shortest grace period an ApiKey may ask for")
    minimum_rotation_spacing: Duration = Field(timedelta(minutes=10), description="Least time between two rotations of one key")
    propagation_delay: Duration = Field(
        timedelta(seconds=5), description="How long a staged key waits before it is delivered, where no verifier acknowledges"
    )
    propagation_timeout: Duration = Field(
        timedelta(seconds=30),
        description="After how long a staged key that verifiers have not acknowledged is told of; it is never delivered",
    )
    settle: Duration = Field(
        timedelta(seconds=15), description="Pause between the switch of the Secret and the rollout (kubelets may still serve the old one)"
    )
    orphan_wait: Duration = Field(timedelta(seconds=30), description="How long a staged key that another process minted is waited for")
    sealed_wait: Duration = Field(
        timedelta(hours=1), description="How long a sealed key waits for its person before it is revoked, counted from when it was made"
    )
    replace_within: Duration = Field(timedelta(hours=1), description="How long a key ended by minVersion lives on while its consumers move")
    access_lost_delay: Duration = Field(
        timedelta(minutes=15),
        description="How long a key still works that its ApiProduct no longer admits, where the product does not say; a slip is no outage",
    )
    quiet_period: Duration = Field(
        timedelta(hours=1), description="How long an old key must be unused before it retires, where verifiers report use"
    )
    stall_timeout: Duration = Field(timedelta(minutes=10), description="After how long an unfinished rollout counts as stalled")
    rotation_rate: float = Field(2.0, gt=0, description="Scheduled rotations that may start a second, over all namespaces")
    rotation_burst: int = Field(20, ge=1, description="Scheduled rotations that may start at once")
    namespace_rotation_rate: float = Field(0.5, gt=0, description="Scheduled rotations that may start a second in one namespace")
    namespace_rotation_burst: int = Field(10, ge=1, description="Scheduled rotations that may start at once in one namespace")
    secret_access: SecretAccess = Field(
        SecretAccess.GUARDED,
        description="guarded: reads only Keyturn's own Secrets, by the right to patch them; watch: has the right to read all Secrets",
    )
    secret_look_rate: float = Field(
        3.2,
        gt=0,
        description="Credential Secrets looked at a second, at most, to find what others did to them; namespaces take turns (guarded)",
    )
    secret_look_interval: Duration = Field(
        timedelta(minutes=1), description="How often each credential Secret is looked at, where its namespace has few (guarded)"
    )
    admission_policies: AdmissionPolicies = Field(
        AdmissionPolicies.INSTALLED,
        description="installed: the admission policies are looked at, and a missing one is told of; none: there are none, by choice",
    )
    fence_check_interval: Duration = Field(
        timedelta(minutes=1), ge=timedelta(milliseconds=100), description="How often the admission policies are looked at and tried"
    )
    workers: int = Field(64, ge=1, le=1024, description="ApiKeys that are worked on at the same time")
    namespace_workers: int = Field(4, ge=1, le=1024, description="ApiKeys of one namespace that are worked on at the same time")
    sweep_interval: Duration = Field(
        timedelta(minutes=5), description="How often records are held against ApiKeys, to find missed deletions"
    )
    lease_duration: Duration = Field(
        timedelta(seconds=15), ge=timedelta(milliseconds=300), description="How long a leader that fell silent keeps the lead"
    )
    request_timeout: Duration = Field(timedelta(seconds=10), description="Longest wait for one answer of the API server")
    probe_address: Address = Field(
        "127.0.0.1:0", description="Where /healthz, /readyz and /metrics are served; port 0: any free one, named in the log"
    )
    audit_log: str = Field("-", description="File the audit lines are appended to; -: standard output; empty: none")
    log_format: LogFormat = Field(LogFormat.CONSOLE, description="console for people, json for machines")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error")
