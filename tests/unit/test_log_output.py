"""Log lines, and the net under them."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.log_output import ConsoleFormatter, JsonFormatter, configure_logging, get_logger, redact, redactions
from keyturn.base.settings import LogFormat

BODY = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy"
TOKEN = f"kt_{BODY}"
BASE62 = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=61, max_size=61)
PREFIX = st.from_regex(r"[a-z0-9]{2,8}(_[a-z0-9]{1,7})?", fullmatch=True)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    before, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = before
    logging.root.setLevel(level)


def record(sentence: str = "Rotated the key", *, error: BaseException | None = None, **fields: object) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("keyturn.test", logging.INFO, "x.py", 1, sentence, (), exc_info)
    made.created = 1795500843.12
    made.fields = fields
    return made


def test_a_json_line_has_the_sentence_and_the_fields() -> None:
    line = json.loads(JsonFormatter().format(record(namespace="team-a", version=2, ready=True, plan=None, cause=ValueError("x"))))
    assert line == {
        "time": "2026-11-24T06:14:03.120Z",
        "level": "info",
        "logger": "keyturn.test",
        "message": "Rotated the key",
        "namespace": "team-a",
        "version": 2,
        "ready": True,
        "plan": None,
        "cause": "x",
    }


def test_a_field_cannot_replace_what_the_line_is_made_of() -> None:
    assert json.loads(JsonFormatter().format(record(message="forged", level="debug")))["message"] == "Rotated the key"


def test_a_console_line_reads_from_left_to_right() -> None:
    line = ConsoleFormatter().format(record(namespace="team-a", reason="two words"))
    assert line == '06:14:03.120 INFO    Rotated the key  namespace=team-a reason="two words"'


def test_a_value_cannot_begin_a_line_of_its_own() -> None:
    """A user's text with a line break in it wrote a log line that nobody had logged."""
    line = ConsoleFormatter().format(record(message="a\n06:14:03.120 ERROR forged\x1b[2J"))
    assert "\n" not in line
    assert "\x1b" not in line


@given(PREFIX, BASE62, st.text(max_size=20), st.text(max_size=20))
def test_a_token_never_passes(prefix: str, body: str, before: str, after: str) -> None:
    assert body not in redact(f"{before}{prefix}_{body}{after}")


@given(PREFIX, BASE62)
def test_a_token_in_base64_never_passes(prefix: str, body: str) -> None:
    encoded = base64.b64encode(f"{prefix}_{body}".encode()).decode()
    assert encoded not in redact(json.dumps({"data": {"api-key": encoded}}))


def test_a_token_in_a_field_in_arguments_or_in_an_exception_is_kept_out_and_counted() -> None:
    before = redactions.caught
    for formatter in (JsonFormatter(), ConsoleFormatter()):
        assert BODY not in formatter.format(record(token=TOKEN))
        assert BODY not in formatter.format(record(error=ValueError(f"bad token {TOKEN}")))
        foreign = logging.LogRecord("kopf", logging.WARNING, "x.py", 1, "patched %s", ({"api-key": TOKEN},), None)
        assert BODY not in formatter.format(foreign)
    assert redactions.caught == before + 6


@pytest.mark.parametrize(
    "harmless",
    [
        "",
        "a_b",
        "uid 4d5c3a1e-8f3b-4d5c-9a1e-8f3b4d5c3a1e",
        "/apis/keyturn.dev/v1alpha1/namespaces/team-a/apikeys/" + "b" * 63,
        "A" * 400,
    ],
)
def test_what_is_no_token_stays_as_it_is(harmless: str) -> None:
    assert redact(harmless) == harmless


def test_a_bug_is_logged_with_its_traceback_and_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format=LogFormat.JSON, level="info")
    hidden = 0
    try:
        1 / hidden
    except ZeroDivisionError:
        get_logger("keyturn.test").exception("Reconcile failed with a bug", name="billing")
    line = json.loads(capsys.readouterr().err)
    assert "ZeroDivisionError" in line["exception"]
    assert "hidden = " not in line["exception"]
    assert line["name"] == "billing"


def test_chatter_below_a_warning_is_left_out_and_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(log_format=LogFormat.CONSOLE, level="debug")
    logging.getLogger("kopf.objects").info("Handler succeeded")
    logging.getLogger("kopf.objects").warning("Handler failed")
    captured = capsys.readouterr()
    assert "succeeded" not in captured.err
    assert "Handler failed" in captured.err
    assert captured.out == ""
