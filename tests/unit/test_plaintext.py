"""Nothing that prints, copies or stores objects gets at a plaintext: only `reveal` does."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.plaintext import Plaintext, SecretBytes

WORD = "kt_correcthorsebatterystaple"
HIDDEN = (Plaintext("k1", WORD), SecretBytes("root secret", WORD.encode()))


WAYS_TO_SHOW: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "format width": "{:>60}".format,
    "format repr": "{!r}".format,
    "percent": "%s".__mod__,
    "pretty": pprint.pformat,
    "in a list": lambda value: f"{[value]}",
    "json default": lambda value: json.dumps(value, default=str),
}


WAYS_IN: dict[str, Callable[[Any], object]] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "json": json.dumps,
    "asdict": lambda value: dataclasses.asdict(Holder(value)),
    "reduce": lambda value: value.__reduce__(),
    "reduce_ex": lambda value: value.__reduce_ex__(4),
    "getstate": lambda value: value.__getstate__(),
    "vars": vars,
    "hash": hash,
    "set": lambda value: {value},
    "list": list,
    "len": len,
    "bytes": bytes,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    inside: object


@given(st.text(alphabet=st.characters(codec=None)), st.binary())
def test_reveal_gives_back_what_was_put_in(text: str, raw: bytes) -> None:
    assert Plaintext("k1", text).reveal() == text
    assert SecretBytes("x", raw).reveal() == raw


@pytest.mark.parametrize("hidden", HIDDEN, ids=repr)
@pytest.mark.parametrize("way", WAYS_TO_SHOW)
def test_however_it_is_shown_only_its_name_is_seen(hidden: object, way: str) -> None:
    shown = WAYS_TO_SHOW[way](hidden)
    assert "correct" not in shown
    assert repr(hidden) in shown


def test_the_names_shown_are_public_ones() -> None:
    assert [repr(hidden) for hidden in HIDDEN] == ["Plaintext(k1)", "SecretBytes(root secret)"]


@pytest.mark.parametrize("hidden", HIDDEN, ids=repr)
def test_a_dataclass_a_log_line_and_a_traceback_with_locals_do_not_show_it(hidden: object) -> None:
    line = logging.makeLogRecord({"msg": "Delivered %s", "args": (Holder(hidden),)}).getMessage()
    with pytest.raises(TypeError) as failure:
        len(hidden)  # type: ignore[arg-type]  # it has none: this is where the traceback comes from
    lines = "".join(traceback.TracebackException.from_exception(failure.value, capture_locals=True).format())
    assert repr(hidden) in line
    assert repr(hidden) in lines
    assert "correct" not in line + lines


@pytest.mark.parametrize("hidden", HIDDEN, ids=repr)
@pytest.mark.parametrize("way", WAYS_IN)
def test_nothing_that_stores_or_walks_objects_gets_in(hidden: object, way: str) -> None:
    with pytest.raises(TypeError) as refusal:
        WAYS_IN[way](hidden)
    assert "correct" not in str(refusal.value)


@pytest.mark.parametrize("hidden", HIDDEN, ids=repr)
def test_it_does_not_change(hidden: object) -> None:
    for name in ("_value", "_name", "key_id", "more"):
        with pytest.raises(AttributeError):
            setattr(hidden, name, "x")
        with pytest.raises(AttributeError):
            delattr(hidden, name)


def test_it_equals_only_the_same_kind_name_and_value() -> None:
    assert Plaintext("k1", "a") == Plaintext("k1", "a")
    assert Plaintext("k1", "a") != Plaintext("k1", "b")
    assert Plaintext("k1", "a") != Plaintext("k2", "a")
    assert Plaintext("k1", "a") != SecretBytes("k1", b"a")
    assert Plaintext("k1", "a") != "a"
    assert SecretBytes("k1", b"a") == SecretBytes("k1", b"a")


def test_an_empty_one_is_true_like_any_other() -> None:
    assert [bool(hidden) for hidden in (Plaintext("k1", ""), SecretBytes("x", b""))] == [True, True]
