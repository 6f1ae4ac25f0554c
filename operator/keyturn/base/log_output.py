"""Log lines: a constant sentence and fields, for a console or as JSON; and a last net that no key gets through.

    log = get_logger(__name__)
    log.info("Rotated the key", namespace=key.namespace, name=key.name, key_id=entry.key_id)

Lines go to standard error; standard output belongs to the audit log. Everything else that logs in this process (Kopf, aiohttp)
passes through the same formatters.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from keyturn.base.clock import format_time
from keyturn.base.settings import LogFormat

_TOKEN: Final = re.compile(r"(?<=_)[0-9A-Za-z]{61,}")
"""The body of `<prefix>_<61 base62>`; anchored at `_`, so that a line without one costs nothing."""
_TOKEN_BYTES: Final = re.compile(rb"[a-z0-9_]{2,16}_[0-9A-Za-z]{61}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{86,}={0,2}")
"""Long enough to be a token as it stands in a Secret's `data`."""
_REDACTED: Final = "[redacted]"
_QUIET: Final = {"kopf": logging.WARNING, "aiohttp.access": logging.WARNING, "asyncio": logging.WARNING, "kubernetes": logging.WARNING}
_LINE_BREAKS: Final = str.maketrans({"\r": "\\r", "\n": "\\n", "\x1b": "\\x1b"})


class RedactionCount:
    """How often the net caught something. It should read 0 for ever: anything else is a bug to be found."""

    def __init__(self) -> None:
        self.caught = 0


redactions: Final = RedactionCount()


def redact(text: str) -> str:
    """The text without anything that looks like a key, plain or in base64."""
    clean, plain = _TOKEN.subn(_REDACTED, text)
    redactions.caught += plain
    return _BASE64.sub(_redact_base64, clean)


def _redact_base64(match: re.Match[str]) -> str:
    run = match[0].rstrip("=")
    run = run[:-1] if len(run) % 4 == 1 else run  # no such base64 exists: the last character is somebody else's
    decoded = base64.b64decode(run + "=" * (-len(run) % 4))
    if _TOKEN_BYTES.search(decoded) is None:
        return match[0]
    redactions.caught += 1
    return _REDACTED


class Log:
    """A logger whose messages are constants and whose facts are fields."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, sentence: str, /, **fields: object) -> None:
        """What only a developer wants to know."""
        self._write(logging.DEBUG, sentence, fields)

    def info(self, sentence: str, /, **fields: object) -> None:
        """What happened."""
        self._write(logging.INFO, sentence, fields)

    def warning(self, sentence: str, /, **fields: object) -> None:
        """What somebody should look at in working hours."""
        self._write(logging.WARNING, sentence, fields)

    def error(self, sentence: str, /, **fields: object) -> None:
        """What somebody should look at now."""
        self._write(logging.ERROR, sentence, fields)

    def exception(self, sentence: str, /, **fields: object) -> None:
        """A bug: with the traceback of the exception being handled, without the values of variables."""
        self._write(logging.ERROR, sentence, fields, traceback_of=True)

    def bug(self, sentence: str, /, *, of: BaseException, **fields: object) -> None:
        """Likewise with the traceback of `of`, which ended a task."""
        self._write(logging.ERROR, sentence, fields, traceback_of=of)

    def _write(self, level: int, sentence: str, fields: dict[str, object], *, traceback_of: BaseException | bool = False) -> None:
        self._logger.log(level, sentence, exc_info=traceback_of, extra={"fields": fields}, stacklevel=3)


def get_logger(name: str) -> Log:
    """The logger of a module."""
    return Log(logging.getLogger(name))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the fields; a traceback in `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": format_time(datetime.fromtimestamp(int(record.created * 1000) / 1000, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in _fields(record).items():
            line.setdefault(name, value if isinstance(value, bool | int | float) or value is None else str(value))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, ensure_ascii=False))


class ConsoleFormatter(logging.Formatter):
    """`09:14:03.120 INFO  Rotated the key  namespace=team-a name=billing`, then the traceback, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines if there is a traceback."""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        facts = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{moment} {record.levelname:<7} {record.getMessage().translate(_LINE_BREAKS)}{' ' if facts else ''}{facts}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return redact(line)


def configure_logging(*, log_format: LogFormat, level: str, always: Mapping[str, object] | None = None) -> None:
    """Send every log line of this process to standard error in one form. `level`: debug, info, warning, error. `always`: in every line."""

    def add(record: logging.LogRecord) -> bool:
        record.fields = {**_fields(record), **(always or {})}
        return True

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(add)
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else ConsoleFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _shown(value: object) -> str:
    text = str(value).translate(_LINE_BREAKS)
    return json.dumps(text) if not text or " " in text else text
