"""Reads the file that `--issuers` names. After it: `jwks_feed.py`."""

from __future__ import annotations

from pathlib import Path

import yaml

from keyturn.verifier.issuers import Issuer, IssuersInvalid, parse_issuers


def read_issuers(path: str) -> tuple[Issuer, ...]:
    """The trusted issuers, from YAML or JSON; an empty path names none. Raises IssuersInvalid, whose message starts with the path."""
    if not path:
        return ()
    try:
        return parse_issuers(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise IssuersInvalid(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise IssuersInvalid(f"{path} is neither YAML nor JSON: {error}") from error
    except IssuersInvalid as invalid:
        raise IssuersInvalid(f"{path}: {invalid}") from invalid
