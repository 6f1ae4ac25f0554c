"""Rules of the house that ruff and the type checkers do not know. Each is tried on a sample that breaks it, then on the code."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from keyturn.base.settings import Settings

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "operator" / "keyturn"
TESTS: Final = ROOT / "tests"

REVEALS: Final = {
    "cli/apikeys/mint_command.py": 1,  # printed, as asked
    "cli/backups/restoring.py": 1,  # the root secret of a backup, into its Secret
    "cli/apikeys/taking.py": 2,  # decrypted, and printed, as asked
    "cluster/credential_secrets.py": 1,  # into the body of a Secret
    "controller/apikey/act.py": 1,  # hashed
    "controller/apikey/credential_writer.py": 1,  # hashed
    "controller/apikey/seal.py": 1,  # encrypted to its person
    "controller/apikey/secret_view.py": 2,  # hashed: the token, the previous token
    "controller/installation.py": 1,  # the root secret, into its Secret
    "keys/age_envelope.py": 1,  # the secret key of a backup or of a person, to decrypt with
    "keys/backup.py": 2,  # the root secret, to be encrypted; what was decrypted
    "keys/root_secret.py": 4,  # derived from, or read from where it is stored
    "lifecycle/credential_secret.py": 3,  # into the template's words, hashed
}
"""Where plaintext leaves its type, and how often. A new line here is a question for review: who sees it, and is it written down?"""

MAY_CATCH_ALL: Final = "controller/workqueue.py"
LONGEST_FUNCTION: Final = 40
LONGEST_MODULE: Final = 500
LOG_METHODS: Final = frozenset({"bug", "critical", "debug", "error", "exception", "info", "warning"})
LOGGERS: Final = frozenset({"log", "logger", "_log", "_logger", "LOG", "LOGGER", "_LOG", "_LOGGER"})
SAYS_NOTHING: Final = frozenset({"common", "helper", "helpers", "manager", "misc", "util", "utils"})
DECIDING: Final = ("api", "base", "keys", "lifecycle")
REASONED: Final = re.compile(r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|(?:type|pyright):\s*ignore\[[\w, -]+\])\W+.*\w{3,}")
IGNORE: Final = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)\b")

Rule = Callable[[ast.Module], Iterator[str]]


@cache
def parsed(source: str) -> ast.Module:
    """A file's tree, once for all rules."""
    return ast.parse(source)


@cache
def nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Every node of a file."""
    return tuple(ast.walk(tree))


def calls_of(tree: ast.Module, *methods: str) -> Iterator[ast.Call]:
    """Every call `something.method(…)` of one of these."""
    for node in nodes_of(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
            yield node


def broad_excepts(tree: ast.Module) -> Iterator[str]:
    """`except:`, `except Exception`, `except BaseException`, alone or in a tuple."""
    for node in nodes_of(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if any(kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}) for kind in caught):
            yield f"line {node.lineno}: catches everything"


def built_log_messages(tree: ast.Module) -> Iterator[str]:
    """Log calls whose message is not one constant sentence without a full stop; what varies goes into fields."""
    for call in calls_of(tree, *LOG_METHODS):
        logger = call.func.value if isinstance(call.func, ast.Attribute) else None
        name = logger.attr if isinstance(logger, ast.Attribute) else logger.id if isinstance(logger, ast.Name) else ""
        if name not in LOGGERS:
            continue
        message = call.args[0] if len(call.args) == 1 else None
        text = message.value if isinstance(message, ast.Constant) else None
        if not isinstance(text, str) or "%" in text or text.endswith("."):
            yield f"line {call.lineno}: a log message is one constant sentence, without a full stop"
        if any(isinstance(keyword.value, ast.JoinedStr) for keyword in call.keywords):
            yield f"line {call.lineno}: a field is a value, not a sentence"


def long_functions(tree: ast.Module) -> Iterator[str]:
    """Functions that do not fit a screen; the docstring does not count."""
    for node in nodes_of(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0]
        has_docstring = ast.get_docstring(node, clean=False) is not None
        documented = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
        length = (node.end_lineno or node.lineno) - node.lineno + 1 - documented
        if length > LONGEST_FUNCTION:
            yield f"line {node.lineno}: {node.name} has {length} lines"


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public functions, classes and methods without a docstring, and a module without one."""
    if ast.get_docstring(tree) is None:
        yield "the module"
    bodies: list[ast.Module | ast.ClassDef] = [tree]
    for body in bodies:
        for node in body.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            overloaded = any(isinstance(d, ast.Name) and d.id in {"overload", "override"} for d in node.decorator_list)
            if ast.get_docstring(node) is None and not overloaded:
                yield f"line {node.lineno}: {node.name}"
            if isinstance(node, ast.ClassDef):
                bodies.append(node)


def loose_dataclasses(tree: ast.Module) -> Iterator[str]:
    """Dataclasses that are not frozen and slotted: what passes between layers does not change under its reader."""
    for node in nodes_of(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            name = call.func if call else decorator
            if not (isinstance(name, ast.Name) and name.id == "dataclass"):
                continue
            true = {k.arg for k in call.keywords if isinstance(k.value, ast.Constant) and k.value.value is True} if call else set()
            generic = any(isinstance(base, ast.Subscript) for base in node.bases)  # slots and Generic do not go together on 3.11
            if not ({"frozen"} if generic else {"frozen", "slots"}) <= true:
                yield f"line {node.lineno}: {node.name}"


def skips(tree: ast.Module) -> Iterator[str]:
    """Anything that lets a test not run: skip, skipif, importorskip."""
    for node in nodes_of(tree):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in {"skip", "skipif", "skipIf", "skipUnless", "importorskip", "SkipTest"}:
            yield f"line {node.lineno}: {name}"


def unexplained_ignores(source: str) -> Iterator[str]:
    """Comments that silence a tool without naming the rule and the reason: `# noqa: S311  jitter is no secret`."""
    for number, line in enumerate(source.splitlines(), start=1):
        if IGNORE.search(line) and not REASONED.search(line):
            yield f"line {number}: {line.strip()}"


def bad_names(modules: list[str]) -> Iterator[str]:
    """Modules and packages that shadow the standard library (`kopf run` puts their folder first on sys.path) or say nothing."""
    for module in modules:
        for part in module.removesuffix(".py").split("/"):
            if part in sys.stdlib_module_names:
                yield f"{module}: {part} is the standard library's"
            if part in SAYS_NOTHING or part.split("_")[-1] in SAYS_NOTHING:
                yield f"{module}: {part} does not say what is in it"


def sources(folder: Path) -> dict[str, str]:
    """Every Python file below a folder, by its path from there."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.py"))}


def broken(rule: Rule, files: dict[str, str]) -> list[str]:
    """What a rule finds, as lines a developer can click."""
    return [f"{name}, {finding}" for name, source in files.items() for finding in rule(parsed(source))]


@pytest.fixture(scope="module")
def product() -> dict[str, str]:
    """The package's modules."""
    return sources(PACKAGE)


BAD: Final[tuple[tuple[Rule, str], ...]] = (
    (broad_excepts, "try:\n    x()\nexcept Exception:\n    pass"),
    (broad_excepts, "try:\n    x()\nexcept (OSError, BaseException):\n    pass"),
    (broad_excepts, "try:\n    x()\nexcept:\n    pass"),
    (built_log_messages, 'log.info(f"key {key} rotated")'),
    (built_log_messages, 'self.log.info("key %s rotated", key)'),
    (built_log_messages, 'log.warning("key {} rotated".format(key))'),
    (built_log_messages, "log.error(message)"),
    (built_log_messages, 'log.info("Rotated a key.")'),
    (built_log_messages, 'log.info("Rotated a key", name=f"{namespace}/{name}")'),
    (long_functions, "def f():\n" + "    x = 1\n" * 40),
    (undocumented, '"""Module."""\ndef f(): ...'),
    (undocumented, '"""Module."""\nclass C:\n    """A class."""\n    def method(self): ...'),
    (undocumented, "x = 1"),
    (loose_dataclasses, "@dataclass\nclass C: ..."),
    (loose_dataclasses, "@dataclass(frozen=True)\nclass C: ..."),
    (skips, "@pytest.mark.skipif(True)\ndef test_it(): ..."),
    (skips, "def test_it():\n    pytest.skip('later')"),
    (skips, "pytest.importorskip('docker')"),
)

GOOD: Final[tuple[tuple[Rule, str], ...]] = (
    (broad_excepts, "try:\n    x()\nexcept (OSError, ValueError):\n    pass"),
    (built_log_messages, 'log.info("Rotated a key", key_id=key_id)'),
    (built_log_messages, 'self.recorder.error("%s", 1)'),
    (long_functions, "def f():\n    '''One.\n\n    Two.\n    '''\n" + "    x = 1\n" * 39),
    (undocumented, '"""Module."""\ndef _f(): ...\n@overload\ndef g(): ...'),
    (loose_dataclasses, "@dataclass(frozen=True, slots=True, order=True)\nclass C: ..."),
    (loose_dataclasses, "@dataclass(frozen=True)\nclass C(Generic[T]): ..."),
    (skips, "def test_it():\n    assert plan.skipped == ()"),
)


@pytest.mark.parametrize(("rule", "sample"), BAD)
def test_a_rule_finds_a_sample_that_breaks_it(rule: Rule, sample: str) -> None:
    assert list(rule(ast.parse(sample)))


@pytest.mark.parametrize(("rule", "sample"), GOOD)
def test_a_rule_leaves_a_good_sample_alone(rule: Rule, sample: str) -> None:
    assert list(rule(ast.parse(sample))) == []


def test_plaintext_is_revealed_in_known_places_only(product: dict[str, str]) -> None:
    found = Counter({name: sum(1 for _ in calls_of(ast.parse(source), "reveal")) for name, source in product.items()})
    assert {name: count for name, count in found.items() if count} == REVEALS


def test_only_the_work_queue_catches_everything(product: dict[str, str]) -> None:
    others = {name: source for name, source in product.items() if name != MAY_CATCH_ALL}
    assert broken(broad_excepts, others) == []
    assert len(broken(broad_excepts, {MAY_CATCH_ALL: product[MAY_CATCH_ALL]})) == 1


def test_log_messages_are_constant_sentences(product: dict[str, str]) -> None:
    assert broken(built_log_messages, product) == []


def test_functions_fit_a_screen(product: dict[str, str]) -> None:
    assert broken(long_functions, product) == []


def test_modules_stay_short_enough_to_be_read(product: dict[str, str]) -> None:
    lengths = {name: source.count("\n") for name, source in (product | sources(TESTS)).items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_everything_public_says_what_it_is(product: dict[str, str]) -> None:
    assert broken(undocumented, product) == []


def test_what_passes_between_layers_is_frozen(product: dict[str, str]) -> None:
    deciding = {name: source for name, source in product.items() if name.startswith(DECIDING)}
    assert broken(loose_dataclasses, deciding) == []


def test_no_test_is_skipped() -> None:
    """A skipped test is a green light nobody looked at."""
    others = {name: source for name, source in sources(TESTS).items() if name != "unit/test_house_rules.py" and "skip" in source.lower()}
    assert broken(skips, others) == []


def test_no_module_has_a_misleading_name(product: dict[str, str]) -> None:
    assert list(bad_names(["keys/secrets.py", "queue/workers.py", "cluster/patch_utils.py"])) != []
    assert list(bad_names(list(product))) == []


def test_every_silenced_rule_has_a_name_and_a_reason(product: dict[str, str]) -> None:
    assert list(unexplained_ignores("x = 1  # noqa: S311\n")) != []
    assert list(unexplained_ignores("x = 1  # type: ignore[arg-type]  # kopf types it wrongly\n")) == []
    assert [f"{name}, {finding}" for name, source in product.items() for finding in unexplained_ignores(source)] == []


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
