"""docs/reference/verifier-http.yaml as a law: whether it allows an answer, read without any of the code that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reference" / "verifier-http.yaml"
HTTPS_OWN: Final = frozenset({"connection", "content-length", "content-type", "date", "server"})
"""Headers that OpenAPI or HTTP itself speaks of, and those of any server of aiohttp's."""


class HttpContract:
    """The document, and what it says of one answer."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    @classmethod
    def read(cls) -> HttpContract:
        """As it is published."""
        return cls(yaml.safe_load(DOCUMENT.read_text()))

    @property
    def paths(self) -> Mapping[str, Any]:
        return self.document["paths"]

    def response(self, path: str, status: int) -> dict[str, Any]:
        """What it says of a status there."""
        responses = self.paths[path]["get"]["responses"]
        assert str(status) in responses, f"{path} may not answer {status}"
        return self._resolved(responses[str(status)])

    def assert_allows(self, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Names of headers in lower case. Everything is looked at: a header that is not in the document is one too many."""
        response = self.response(path, status)
        documented = {name: self._resolved(header) for name, header in response.get("headers", {}).items()}
        extra = sorted(set(headers) - set(documented) - HTTPS_OWN)
        assert not extra, f"{path}, {status}: {extra} are not in the document"
        missing = sorted(name for name, header in documented.items() if header.get("required") and name not in headers)
        assert not missing, f"{path}, {status}: {missing} should be there"
        for name in documented.keys() & headers.keys():
            value = headers[name]
            self._assert_fits(int(value) if value.isdecimal() else value, documented[name]["schema"])
        content = response.get("content")
        if content is None:
            assert body == b"", f"{path}, {status}: there should be no body"
            return
        (media_type,) = content
        assert headers["content-type"] == media_type, f"{path}, {status}: {headers['content-type']} should be {media_type}"
        text = body.decode()
        self._assert_fits(json.loads(text) if media_type.endswith("json") else text, content[media_type]["schema"])

    def example(self, path: str, status: int, word: str) -> object:
        """The body it shows under a word."""
        (content,) = self.response(path, status)["content"].values()
        return content["examples"][word]["value"]

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        found: Any = self.document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return found

    def _assert_fits(self, value: object, schema: Mapping[str, Any]) -> None:
        validator = Draft202012Validator({**schema, "components": self.document["components"]})
        found = [error.message for error in validator.iter_errors(value)]
        assert not found, found
