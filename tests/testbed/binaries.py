"""The programs of the testbed, built from pinned sources once and kept. `recipes.py` says how, `toolchain.py` with which Go."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from testbed import debian
from testbed.cache import Stopwatch, cache_folder, only_one, say
from testbed.recipes import GOMOD, Recipe, fingerprint, link_flags, recipe_of
from testbed.toolchain import Go, go_toolchain


def program(name: str) -> Path:
    """The path of one program, built if it is not there yet."""
    return programs(name)[name]


def programs(*names: str) -> dict[str, Path]:
    """The paths of several programs by name; those not there yet are built, which takes minutes the first time."""
    missing = [recipe for recipe in map(recipe_of, names) if not _path(recipe).is_file()]
    if missing:
        _build_all(missing)
    return {name: _path(recipe_of(name)) for name in names}


def search_path(names: Iterable[str]) -> str:
    """A PATH on which these programs stand before the machine's own."""
    folders = dict.fromkeys(str(path.parent) for path in programs(*names).values())
    return os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])


def kwok_stages() -> Path:
    """Kwok's configuration: how its nodes and pods come to life. Taken from the same source as kwok itself."""
    file = _stages_file()
    if not file.is_file():
        with only_one(_lock(recipe_of("kwok"))), go_toolchain() as go:
            _write_stages(go)
    return file


def go_module_folder(go: Go, module: str, path: str) -> str:
    """Where the sources of the Go module `path`, as pinned by gomod/<module>, lie; fetched if need be."""
    go.run("mod", "download", path, folder=GOMOD / module)
    return go.run("list", "-m", "-f", "{{.Dir}}", path, folder=GOMOD / module).strip()


def source_folders(name: str, path: str, *folders: str) -> Path:
    """A copy of these folders of the Go module `path` that the program `name` is built from, for example its manifests."""
    recipe = recipe_of(name)
    target = _path(recipe).with_name("sources")
    with only_one(_lock(recipe)):
        if not all((target / folder).is_dir() for folder in folders):
            with go_toolchain() as go:
                source = Path(go_module_folder(go, recipe.module, path))
                for folder in folders:
                    shutil.copytree(source / folder, target / folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return target


def _path(recipe: Recipe) -> Path:
    return cache_folder() / "bin" / f"{recipe.module}-{fingerprint(recipe)}" / recipe.name


def _lock(recipe: Recipe) -> str:
    return f"build-{recipe.module}-{fingerprint(recipe)}"


def _build_all(recipes: list[Recipe]) -> None:
    watch = Stopwatch()
    names = ", ".join(recipe.name for recipe in recipes)
    say(f"building {names} from source. Only the first time; later runs find them in {cache_folder()}")
    with go_toolchain() as go:
        for recipe in recipes:
            with only_one(_lock(recipe)):
                if not _path(recipe).is_file():  # another run may have built it while we waited
                    _build(recipe, go)
                if recipe.name == "kwok":
                    _write_stages(go)  # while its sources are here
    say(f"all built after {watch}")


def _build(recipe: Recipe, go: Go) -> None:
    watch, target = Stopwatch(), _path(recipe)
    say(f"  {recipe.name}: compiling (about {recipe.minutes} min on two cores if Go has not compiled it before)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="build-", dir=target.parent) as scratch:
        built = Path(scratch) / recipe.name
        flags = ["-trimpath", "-ldflags", link_flags(recipe.module), *(["-tags", recipe.tags] if recipe.tags else [])]
        go.run("build", *flags, "-o", str(built), recipe.package, folder=GOMOD / recipe.module, variables=_variables(recipe))
        built.rename(target)  # whoever looks sees the whole program or none
    say(f"  {recipe.name}: done after {watch} ({target.stat().st_size // 1_000_000} MB)")


def _variables(recipe: Recipe) -> dict[str, str]:
    if not recipe.cgo:
        return {"CGO_ENABLED": "0"}
    if shutil.which("gcc") is None:
        raise RuntimeError(f"{recipe.name} has parts in C: install gcc (Debian: apt-get install gcc libc6-dev)")
    root = debian.unpacked("libseccomp-dev", "libseccomp2")
    library = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    return {
        "CGO_ENABLED": "1",
        "CGO_CFLAGS": f"-I{root}/usr/include",
        "CGO_LDFLAGS": f"-L{library}",
        "PKG_CONFIG_PATH": str(library / "pkgconfig"),
    }


def _stages_file() -> Path:
    return _path(recipe_of("kwok")).with_name("stages.yaml")


def _write_stages(go: Go) -> None:
    file, module = _stages_file(), recipe_of("kwok").module
    stages = Path(go_module_folder(go, module, "sigs.k8s.io/kwok")) / "kustomize" / "stage"
    wanted = (
        "node/fast/node-initialize",
        "node/heartbeat-with-lease/node-heartbeat-with-lease",
        "pod/fast/pod-ready",
        "pod/fast/pod-complete",
    )
    text = "\n---\n".join((stages / f"{name}.yaml").read_text() for name in (*wanted, "pod/fast/pod-delete"))
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(f".{os.getpid()}")
    scratch.write_text(text)
    scratch.rename(file)
