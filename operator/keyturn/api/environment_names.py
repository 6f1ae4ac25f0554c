"""Names that run code as environment variables: loaders, shells and language runtimes take them for orders.

A workload may take a whole credential Secret for its environment (`envFrom`), so whoever writes such a name into one runs code there.
The admission policy refuses them to the operator's token, `secretTemplate.data` to everybody: deploy/policies/operator-secrets.yaml has
the same pattern, and a test holds the two together. It lists what is known, so it proves nothing: an application may obey names of its own.
"""

from __future__ import annotations

import re
from typing import Final

_LOADERS: Final = ("LD_.*", "DYLD_.*", "GCONV_PATH", "LOCPATH", "GLIBC_TUNABLES", "OPENSSL_.*")
_SHELLS: Final = ("PATH", "HOME", "ENV", "IFS", "PS4", "SHELL", "SHELLOPTS", "BASH.*", "PROMPT_COMMAND", "ZDOTDIR")
_RUNTIMES: Final = (
    *("NODE_.*", "(NPM_CONFIG|npm_config)_.*", "PYTHON.*", "GUNICORN_CMD_ARGS", "DJANGO_SETTINGS_MODULE"),
    *("PERL.*", "RUBY.*", "GEM_.*", "BUNDLE_.*", "PHPRC", "PHP_INI_SCAN_DIR", "LUA_.*", "ERL_.*", "ELIXIR_ERL_OPTIONS"),
    *("(.*_)?JAVA_.*", "JDK_.*", "(.*_)?CLASSPATH", ".*_OPTS"),
    *("DOTNET_.*", "CORECLR_.*", "COMPlus_.*", "COR_.*", "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"),
)
_GIT: Final = "GIT_(CONFIG|SSH|EXEC_|ASKPASS|EDITOR|SEQUENCE_EDITOR|PAGER|PROXY_COMMAND|EXTERNAL_DIFF|TEMPLATE_DIR).*"
_TOOLS: Final = (
    *("EDITOR", "VISUAL", "PAGER", "BROWSER", "LESSOPEN", "LESSCLOSE", "MAKEFLAGS", "RUSTC_WRAPPER", "SSH_ASKPASS"),
    _GIT,
)

RUNS_CODE: Final = f"^({'|'.join((*_LOADERS, *_SHELLS, *_RUNTIMES, *_TOOLS))})$"
"""An RE2 that Python reads alike. As Linux spells them: `path` and `env` are nobody's orders there."""
_RUNS_CODE: Final = re.compile(RUNS_CODE)


def runs_code(name: str) -> bool:
    """Whether what stands under this name in an environment is likely to be run, or to say what is."""
    return _RUNS_CODE.search(name) is not None
