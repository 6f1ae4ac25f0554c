"""The command line: what is understood, what is refused, with which code; and that no key is ever echoed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import click
import pytest
import yaml

from keyturn.base.errors import KeyturnError, OutcomeUnknown, RetryLater
from keyturn.base.settings import Settings
from keyturn.cli.completion_command import script_for
from keyturn.cli.console import Console, wants_color
from keyturn.cli.crds_command import crds_yaml
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import Failure, failure_of, worst
from keyturn.cli.lazy_group import COMMANDS
from keyturn.cli.main import keyturn, run_cli
from keyturn.cli.references.cli_reference import cli_reference
from keyturn.cli.references.settings_reference import write_settings_reference
from keyturn.cli.setting_options import read_settings, setting_options
from keyturn.cluster.api_errors import AlreadyExists, Forbidden, Invalid, NotFound, Unauthorized
from keyturn.keys.digest import digest_token
from keyturn.keys.mint import mint
from keyturn.keys.token_format import Token, parse_token
from keyturn.verifier.service.settings import VerifierSettings

ROOT: Final = Path(__file__).parents[2]

USED_WRONGLY: Final = (
    (["rotat"], "There is no command 'rotat'. Did you mean rotate?"),
    (["get", "billing", "-A"], "A name means one namespace: give -n instead of -A"),
    (["get", "billing", "-l", "team=a"], "Names, -l and --key-id exclude each other: give one of them"),
    (["get", "-n", "team-a", "-A"], "-n and -A exclude each other: give one of them"),
    (["get", "pod/web"], "'pod/web' is no name of an ApiKey: write billing or apikey/billing; the namespace goes after -n"),
    (["get", "-o", "xml"], "'xml' is not one of 'json', 'yaml', 'wide', 'name'."),
    (["rotate"], "Say which keys: names, or -l SELECTOR, or --all; exactly one of the three"),
    (["rotate", "billing", "--all"], "Say which keys: names, or -l SELECTOR, or --all; exactly one of the three"),
    (["disable", "-l", "team=a", "--all"], "Say which keys: names, or -l SELECTOR, or --all; exactly one of the three"),
    (["enable", "billing", "-A"], "A name means one namespace: give -n instead of -A"),
    (["rotate", "billing", "--wait", "--dry-run"], "--wait and --dry-run exclude each other: a dry run rotates nothing"),
    (["rotate", "billing", "--timeout", "5"], "'5' is not a duration: write hours, minutes, seconds"),
    (["revoke", "--reason", "Leaked"], "Say which keys: names, or --key-id, or --all, --product and --minted-before"),
    (["revoke", "billing", "--key-id", "Qm8sT2fLx0Za", "--reason", "Leaked"], "exactly one of the three"),
    (["revoke", "billing", "-A", "--reason", "Leaked"], "A name means one namespace: give -n instead of -A"),
    (["revoke", "billing"], "Missing option '--reason'"),
    (["revoke-all", "--reason", "Leaked"], "Say what ends by --minted-before, or which revocation to look on at by --follow"),
    (["revoke-all", "--follow", "leak", "--minted-before", "2027-01-31T18:00:00Z"], "one of the two"),
    (["revoke-all", "--follow", "leak", "--dry-run"], "--follow and --dry-run exclude each other"),
    (["revoke-all", "--minted-before", "2027-01-31T18:00:00Z"], "Missing option '--reason'"),
    (["revoke", "billing", "--reason", "Leaked", "--wait", "--dry-run"], "--wait and --dry-run exclude each other: a dry run revokes"),
    (["create"], "Missing argument 'NAME'."),
    (["create", "billing", "--interval", "30d"], "spec.rotation.interval: must be a duration in h, m and s"),
    (["create", "billing", "--interval", "720h", "--schedule", "0 3 1 * *"], "spec.rotation: interval and schedule exclude each other"),
    (["create", "billing", "--secret-label", "keyturn.dev/apikey=x"], "spec.secretTemplate.labels: keyturn.dev/*"),
    (["create", "billing", "--label", "team"], "'team' is no pair: write KEY=VALUE"),
    (["create", "billing", "--expires", "tomorrow"], "'tomorrow' is no instant: write 2027-01-31T18:00:00Z"),
    (["create", "billing", "--expires", "2020-01-01T00:00:00Z"], "2020-01-01T00:00:00Z has passed: write a later instant"),
    (["create", "billing", "--plan", "basic"], "--plan and --scopes are a product's to give: name it with --product"),
    (["create", "billing", "--product", "a/b/c"], "'a/b/c' is no name of an ApiProduct: write invoices, or billing-api/invoices"),
    (["create", "billing", "--product", "invoices", "--scopes", ","], "it names nothing: write one name, or several as a,b"),
    (["approve"], "Missing argument 'NAME'."),
    (["approve", "billing", "--wait", "--dry-run"], "--wait excludes --dry-run and -o: they change nothing that could be waited for"),
    (["approve", "billing", "--wait", "-o", "yaml"], "--wait excludes --dry-run and -o"),
    (["approve", "billing", "--scopes", " "], "it names nothing: write one name, or several as a,b"),
    (["products", "-n", "team-a", "-A"], "-n and -A exclude each other: give one of them"),
    (["whocan"], "Missing argument 'PRODUCT'."),
    (["mint", "--prefix", "A"], "'A' is no key prefix: write 2 to 16 of a-z and 0-9"),
    (["operator", "--settle", "3"], "--settle (KEYTURN_SETTLE): '3' is not a duration"),
    (["operator", "--workers", "0"], "--workers (KEYTURN_WORKERS): Input should be greater than or equal to 1"),
    (["operator", "--probe-address", "here"], "--probe-address (KEYTURN_PROBE_ADDRESS): 'here' is no address: write host:port"),
    (["verifier", "--listen-address", "[::]:65536"], "--listen-address (KEYTURN_LISTEN_ADDRESS): '[::]:65536' is no address"),
    (["verifier", "--grpc-address", "9090"], "--grpc-address (KEYTURN_GRPC_ADDRESS): '9090' is no address: write host:port"),
    (["verifier", "--key-headers", "x-api-key x-key"], "--key-headers (KEYTURN_KEY_HEADERS): String should match pattern"),
    (["verifier", "--client-address-header", "é"], "--client-address-header (KEYTURN_CLIENT_ADDRESS_HEADER): String should match"),
    (["verifier", "--app-folder", "/x", "--processes", "2"], "--app-folder (KEYTURN_APP_FOLDER): several processes cannot keep one"),
    (["verifier", "--default-rate", "inf"], "--default-rate (KEYTURN_DEFAULT_RATE): Input should be a finite number"),
)


@pytest.fixture
def token() -> str:
    return mint("kt").plaintext.reveal()


def give(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.parametrize(("arguments", "complaint"), USED_WRONGLY, ids=[" ".join(arguments) for arguments, _ in USED_WRONGLY])
def test_a_wrong_command_line_ends_with_2_and_says_what_to_write(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_cli(arguments)
    answer = capsys.readouterr()
    assert (code, answer.out) == (ExitCode.USED_WRONGLY, "")
    assert complaint in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli([name, "--help"], program="kubectl keyturn") == ExitCode.FINE
    text = capsys.readouterr().out
    assert f"Usage: kubectl keyturn {name}" in text
    assert "Examples:\n  # " in text
    assert f"kubectl keyturn {name}" in text.partition("Examples:")[2]


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--help"]) == ExitCode.FINE
    text = capsys.readouterr().out
    assert [name for name, entry in COMMANDS.items() if f"  {name} " not in text or entry.summary not in text] == []


def test_help_and_completion_load_nothing_heavy() -> None:
    """`keyturn <Tab>` runs on each press: asyncio, pydantic or Kubernetes' client would make it slow."""
    code = (
        "import sys, os; from keyturn.cli.main import run_cli; run_cli(['--help']); run_cli(['__complete', '--', 'ge']);"
        "print([m for m in ('asyncio', 'pydantic', 'aiohttp', 'yaml', 'kubernetes', 'kopf', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-3:] == ["get\t" + COMMANDS["get"].summary, ":4", "[]"]


def test_commands_without_a_cluster_do_not_load_its_client() -> None:
    code = (
        "import sys; from keyturn.cli.main import run_cli; run_cli(['mint']); run_cli(['crds']); run_cli(['version']);"
        "print([m for m in ('aiohttp', 'kubernetes', 'kopf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_mint_prints_the_key_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["mint", "--prefix", "acme"]) == ExitCode.FINE
    answer = capsys.readouterr()
    parsed = parse_token(answer.out.removesuffix("\n"))
    assert isinstance(parsed, Token)
    assert parsed.prefix == "acme"
    assert answer.err == f"Key ID:  {parsed.key_id}\nDigest:  {digest_token(answer.out.strip())}\n"


def test_mint_as_json_says_all_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["mint", "-o", "json"]) == ExitCode.FINE
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"key": answer["key"], "keyID": answer["key"][3:15], "digest": digest_token(answer["key"])}


def test_inspect_shows_what_is_public(token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    give(monkeypatch, f"{token}\n".encode())
    assert run_cli(["inspect"]) == ExitCode.FINE
    answer = capsys.readouterr()
    assert answer.out == f"Prefix:    kt\nKey ID:    {token[3:15]}\nChecksum:  ok\nDigest:    {digest_token(token)}\n"
    assert token[15:-6] not in answer.out + answer.err


def test_inspect_as_json(token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    give(monkeypatch, token.encode())
    assert run_cli(["inspect", "-o", "json"]) == ExitCode.FINE
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"valid": True, "prefix": "kt", "keyID": token[3:15], "checksum": "ok", "digest": digest_token(token)}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda token: token[:-1] + ("a" if token[-1] != "a" else "b"), "The checksum is wrong"),
        (lambda token: token[:-1], "This is no key of Keyturn's"),
        (lambda _: "", "Nothing came in on standard input"),
        (lambda token: token + "\n" + token, "This is no key of Keyturn's"),
    ],
    ids=["typo", "cut", "nothing", "two"],
)
def test_inspect_of_a_spoilt_key_says_why_and_never_echoes_it(
    spoil: object, complaint: str, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(spoil)
    give(monkeypatch, spoil(token).encode())
    assert run_cli(["inspect"]) == ExitCode.FAILED
    answer = capsys.readouterr()
    assert complaint in answer.err
    assert token[:20] not in answer.out + answer.err


@pytest.mark.parametrize("before", [["inspect"], ["inspect", "--key"], ["mint"], ["version"], ["get", "--key-id"], ["completion"], []])
def test_a_key_on_the_command_line_is_refused_and_not_echoed(before: list[str], token: str, capsys: pytest.CaptureFixture[str]) -> None:
    """People paste; what is echoed stays in CI logs for years."""
    assert run_cli([*before, token]) == ExitCode.USED_WRONGLY
    answer = capsys.readouterr()
    assert token[20:] not in answer.out + answer.err


def test_create_as_a_file_for_git_asks_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "billing -n team-a --schedule 0_3_1_*_* --time-zone Europe/Berlin --grace-period 24h --secret-name key --label team=pay"
    words = [word.replace("_", " ") if "*" in word else word for word in arguments.split()]
    extra = ["--secret-data", "auth.ini=key=$(API_KEY)", "--secret-label", "a=b", "--keep-previous", "--expires", "2999-01-01T00:00:00Z"]
    assert run_cli(["create", *words, *extra, "--dry-run=client", "-o", "yaml"]) == ExitCode.FINE
    assert yaml.safe_load(capsys.readouterr().out) == {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ApiKey",
        "metadata": {"name": "billing", "namespace": "team-a", "labels": {"team": "pay"}},
        "spec": {
            "secretName": "key",
            "secretTemplate": {"labels": {"a": "b"}, "data": {"auth.ini": "key=$(API_KEY)"}, "keepPrevious": True},
            "rotation": {"schedule": "0 3 1 * *", "timeZone": "Europe/Berlin", "gracePeriod": "24h"},
            "expirationTime": "2999-01-01T00:00:00Z",
        },
    }


def test_an_option_with_an_optional_value_does_not_take_the_name_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["create", "--dry-run", "billing"]) == ExitCode.FINE
    assert capsys.readouterr().out == "apikey/billing created (dry run)\n"


def test_no_cluster_is_a_failure_that_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert run_cli(["get", "--kubeconfig", str(tmp_path / "none")]) == ExitCode.FAILED
    assert capsys.readouterr().err == f"Error: No access to a cluster: {tmp_path}/none does not exist. Set KUBECONFIG or --kubeconfig\n"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (
            Forbidden('patch apikeys a/b: 403 Forbidden: apikeys.keyturn.dev "b" is forbidden: User "u" cannot patch'),
            Failure(
                'Not allowed: apikeys.keyturn.dev "b" is forbidden: User "u" cannot patch. '
                "Ask for one of Keyturn's roles in this namespace",
                ExitCode.NOT_ALLOWED,
            ),
        ),
        (
            Unauthorized("list apikeys a: 401 Unauthorized"),
            Failure(
                "The cluster does not know you: list apikeys a: 401 Unauthorized. Log in again, or choose another --context",
                ExitCode.NOT_ALLOWED,
            ),
        ),
        (
            NotFound("list apikeys a: 404 NotFound: the server could not find the requested resource"),
            Failure(
                "This cluster has no ApiKeys. Install Keyturn, or the resource alone: keyturn crds | kubectl apply --server-side -f -",
                ExitCode.FAILED,
            ),
        ),
        (
            NotFound('get apikeys a/b: 404 NotFound: apikeys.keyturn.dev "b" not found'),
            Failure('apikeys.keyturn.dev "b" not found in namespace a. To see what there is: keyturn get -n a', ExitCode.FAILED),
        ),
        (
            NotFound('create apikeys a: 404 NotFound: namespaces "a" not found'),
            Failure('namespaces "a" not found. Make it, or name another one by -n', ExitCode.FAILED),
        ),
        (
            NotFound('get apikeyrevocations a: 404 NotFound: apikeyrevocations.keyturn.dev "a" not found'),
            Failure('apikeyrevocations.keyturn.dev "a" not found. To see what there is: kubectl get apikeyrevocations', ExitCode.FAILED),
        ),
        (
            AlreadyExists('create apikeys a: 409 AlreadyExists: apikeys.keyturn.dev "b" already exists'),
            Failure(
                'apikeys.keyturn.dev "b" already exists in namespace a. Choose another name, or look at it: keyturn describe b -n a',
                ExitCode.FAILED,
            ),
        ),
        (
            AlreadyExists('create apikeyrevocations: 409 AlreadyExists: apikeyrevocations.keyturn.dev "leaked-x" already exists'),
            Failure(
                'apikeyrevocations.keyturn.dev "leaked-x" already exists: somebody revoked the same a moment ago. '
                "To do it once more, try again",
                ExitCode.FAILED,
            ),
        ),
        (Invalid("create apikeys a: 422 Invalid: spec: no"), Failure("The API server refused it: spec: no", ExitCode.FAILED)),
        (
            OutcomeUnknown("patch apikeys a/b: no answer in 30 s"),
            Failure(
                "Nobody knows whether it worked: patch apikeys a/b: no answer in 30 s. Look with keyturn get, then try again",
                ExitCode.FAILED,
            ),
        ),
        (
            RetryLater("get apikeys a/b: connection failed"),
            Failure("The API server cannot be reached: get apikeys a/b: connection failed. Try: kubectl cluster-info", ExitCode.FAILED),
        ),
        (KeyturnError("anything"), Failure("anything", ExitCode.FAILED)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_says_how_to_mend_it(error: KeyturnError, failure: Failure) -> None:
    assert failure_of(error) == failure


def test_called_alone_it_shows_its_help_and_calls_nothing_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli([]) == ExitCode.USED_WRONGLY
    shown = capsys.readouterr()
    assert (shown.out, shown.err.split("\n")[0], "Error" in shown.err) == ("", "Usage: keyturn [OPTIONS] COMMAND [ARGS]...", False)
    assert "  rotate      Replace keys now" in shown.err


def test_not_being_allowed_outweighs_other_failures() -> None:
    assert worst([ExitCode.FAILED, ExitCode.NOT_ALLOWED, ExitCode.FAILED]) == ExitCode.NOT_ALLOWED
    assert worst([]) == ExitCode.FINE


def test_every_setting_is_an_option_with_its_variable_and_default() -> None:
    options = {option.field: option for option in setting_options(Settings)}
    assert list(options) == list(Settings.model_fields)
    settle = options["settle"]
    assert (settle.option, settle.variable, settle.metavar, settle.default) == ("--settle", "KEYTURN_SETTLE", "DURATION", "15s")
    assert options["log_format"].choices == ("console", "json")
    assert read_settings(Settings, {option.field: option.default for option in options.values()}) == Settings.model_validate({})


@pytest.mark.parametrize(
    "values",
    [
        {"listen_address": "[::]:8080", "grpc_address": "", "probe_address": "localhost:0"},
        {"listen_address": ":8080", "key_headers": "", "client_address_header": ""},
        {"key_headers": "x-api-key, X_Team_Key"},
    ],
)
def test_what_a_verifier_can_use_is_taken_as_it_stands(values: dict[str, str]) -> None:
    assert read_settings(VerifierSettings, values).model_dump(include=set(values)) == values


def test_the_environment_sets_what_no_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    command = keyturn.get_command(click.Context(keyturn), "operator")
    assert command is not None
    monkeypatch.setenv("KEYTURN_SETTLE", "2s")
    monkeypatch.setenv("KEYTURN_WORKERS", "3")
    given = command.make_context("operator", ["--workers", "5"]).params
    assert (given["settle"], given["workers"]) == ("2s", "5")


def test_an_empty_variable_counts_where_the_setting_knows_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that was not to be trusted any more went on being trusted, and who clears the port of gRPC has it served all the same."""
    command = keyturn.get_command(click.Context(keyturn), "verifier")
    assert command is not None
    for variable in ("CLIENT_ADDRESS_HEADER", "GRPC_ADDRESS", "DRAIN_DELAY", "NAMESPACE", "LOG_FORMAT"):
        monkeypatch.setenv(f"KEYTURN_{variable}", "")
    given = command.make_context("verifier", []).params
    assert (given["client_address_header"], given["grpc_address"]) == ("", "")
    assert (given["drain_delay"], given["namespace"], given["log_format"]) == ("5s", "keyturn-system", "console")


def test_the_crds_are_the_files_of_the_repository() -> None:
    files = {file.name: yaml.safe_load(file.read_text()) for file in (ROOT / "crds").glob("*.yaml")}
    printed = list(yaml.safe_load_all(crds_yaml()))
    assert {f"keyturn.dev_{crd['spec']['names']['plural']}.yaml": crd for crd in printed} == files


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "kubectl"])
def test_completion_scripts_call_this_program(shell: str) -> None:
    text = script_for(shell)
    assert "keyturn" in text
    assert ("__complete" in text) == (shell == "kubectl")


@pytest.mark.parametrize(
    ("words", "found"),
    [(["ro"], ["rotate"]), (["rotate", "--wai"], ["--wait"]), (["rotate", "--wait", "re"], ["retired"]), (["get", "-o", "w"], ["wide"])],
)
def test_completion_knows_commands_options_and_values(words: list[str], found: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["__complete", "--", *words]) == ExitCode.FINE
    *lines, directive = capsys.readouterr().out.splitlines()
    assert ([line.partition("\t")[0] for line in lines], directive) == (found, ":4")


def test_colors_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert (wants_color(Terminal()), wants_color(io.StringIO())) == (True, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())
    out = io.StringIO()
    Console(out, out, is_terminal=True).warn("careful")
    assert out.getvalue() == "Warning: careful\n"


def test_the_reference_pages_are_up_to_date(tmp_path: Path) -> None:
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == cli_reference(), "run make docs"
    for page in write_settings_reference(tmp_path):
        assert (ROOT / "docs" / "reference" / page.name).read_text() == page.read_text(), "run make docs"
