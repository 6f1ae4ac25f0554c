"""Which issuers of JSON Web Tokens are trusted beside our own keys, and what their tokens may do. After it: `json_web_tokens.py`."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from keyturn.base.errors import KeyturnError
from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.verifier.check import Asked

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
"""Signatures by key pairs only. Those by a shared secret (HS256) would let everyone who can verify a token make one."""

DISCOVERY: Final = "/.well-known/openid-configuration"


class IssuersInvalid(KeyturnError):
    """The file of issuers cannot be used. The message says where, and what to write."""


def as_secure_url(text: str) -> str:
    """An address that answers can be believed from. Raises ValueError otherwise."""
    url = urlsplit(text)
    if url.scheme == "https" and url.hostname:
        return text
    if url.scheme == "http" and url.hostname and _is_here(url.hostname):
        return text
    raise ValueError("write an https:// URL: who can change what comes from there can let anyone in (http:// only for this machine)")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _as_scope(text: str) -> str:
    Asked(scopes=(text,))
    return text


SecureUrl = Annotated[str, AfterValidator(as_secure_url)]
Scope = Annotated[str, AfterValidator(_as_scope)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)


class TokenLimit(_Part):
    """How often each subject may ask."""

    requests_per_second: int = Field(ge=1)
    burst: int = Field(ge=1)


class Issuer(_Part):
    """Who may issue tokens, for what, and where its public keys are."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    """What it is called here: APIs see `jwt:<name>/<subject>`."""
    issuer: str = Field(min_length=1)
    """The `iss` of its tokens, to the letter."""
    audiences: tuple[str, ...] = Field(min_length=1)
    """The `aud` of a token must name one of these: otherwise a token made for any other service would open this one."""
    routes: tuple[str, ...] = Field((DEFAULT_AUDIENCE,), min_length=1)
    """The audiences, as gateways ask for them, that its tokens open."""
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256"), min_length=1)
    jwks_url: SecureUrl | None = Field(None, alias="jwksURL")
    """Where its keys are; neither this nor a file: what its discovery document says."""
    jwks_file: Path | None = None
    ca_file: Path | None = None
    """Who signed its server's certificate; None: whom the system trusts."""
    token_file: Path | None = None
    """A bearer token to ask jwksURL with, read each time: the API server of Kubernetes wants one."""
    scope_claim: str | tuple[str, ...] = "scope"
    """A text with spaces, or a list; several names: a path into objects."""
    scopes: dict[str, tuple[Scope, ...]] | None = None
    """What its values mean here; what is not listed means nothing. None: they are scopes as they stand."""
    granted_scopes: tuple[Scope, ...] = ()
    """Every token of this issuer has these."""
    product: str | None = None
    plan: str | None = Field(None, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    limits: TokenLimit | None = None
    leeway_seconds: int = Field(30, ge=0, le=300)
    """By how much its clock may differ from ours."""

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("write jwksURL or jwksFile, not both")
        if self.token_file is not None and self.jwks_url is None:
            raise ValueError("tokenFile goes with jwksURL: it must not be sent where a discovery document says")
        if self.jwks_url is None and self.jwks_file is None:
            as_secure_url(self.issuer)  # where its discovery document would be
        return self


class _Issuers(_Part):
    issuers: tuple[Issuer, ...]

    @model_validator(mode="after")
    def _are_different(self) -> Self:
        for what in ("name", "issuer"):
            values = [getattr(issuer, what) for issuer in self.issuers]
            if len(set(values)) < len(values):
                raise ValueError(f"two issuers have the same {what}: give each its own")
        return self


def parse_issuers(document: object) -> tuple[Issuer, ...]:
    """Read what stands in a file of issuers, once YAML or JSON is taken apart. Raises IssuersInvalid, which names every fault."""
    try:
        return _Issuers.model_validate(document).issuers
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise IssuersInvalid("; ".join(faults)) from error
