"""The house: who may import whom (DESIGN §9, STYLE 1 and 3)."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each package may import of ours.
MAY_IMPORT = {
    "schemas": {"schemas"},
    "producers": {"producers", "schemas"},
    "processors": {"processors", "schemas"},
    "connectors": {"connectors", "schemas"},
    "postroom": {"postroom", "schemas", "producers", "processors", "connectors"},
}
# What a pure core never touches: brokers, metrics, the clock, the environment, the log.
IMPURE = {
    *("kafka", "aiokafka", "confluent_kafka", "faust", "mode", "rocksdict"),
    *("prometheus_client", "logging", "structlog", "os", "time", "random", "httpx", "requests", "socket"),
    *("asyncio", "threading", "subprocess", "secrets"),
}
SHELLS = ("processors/engine",)  # the engine around the stages
# Reading contracts from a directory and compiling codecs need none of these either.
PURE = ("schemas", "processors")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and top-level name of every import of a file, those inside functions too."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            within = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            yield node.lineno, within[0] if within else (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package: str):
    """One way through: nobody calls back up the stream."""
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[package]
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(package)
        for line, name in imports(path)
        if name in forbidden or name == "tests"
    ]
    assert not found


def test_no_connector_reaches_into_another():
    """What two connectors need has a room of its own; of another's room only what its `__init__` shows."""
    files = {_dotted(path): path for path in modules("connectors")}
    rooms = {name for name, path in files.items() if path.name == "__init__.py" and name != "connectors"}
    found = [
        f"{name}: {inner}"
        for name, path in files.items()
        for inner in _named(path, files)
        if (room := inner.rpartition(".")[0]) in rooms and room != name and not name.startswith(f"{room}.")
    ]
    assert not found


def _named(path: Path, files: dict[str, Path]) -> Iterator[str]:
    """Every file of ours that an import of a file names itself, not what lies behind a face."""
    for module, name in _imports(path):
        yield from {module, f"{module}.{name}"} & files.keys()


def _imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """Every import of a file: the module, and the name that is taken from it, if one is."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join((*package, *filter(None, [node.module])))
            yield from ((module, alias.name) for alias in node.names)


@pytest.mark.parametrize("package", PURE)
def test_the_core_is_pure(package: str):
    """Stages take time, ids and secrets as arguments and return what to send."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(package)
        if not path.relative_to(ROOT).as_posix().startswith(SHELLS)
        for line, name in imports(path)
        if name in IMPURE
    ]
    assert not found


def test_every_import_is_declared():
    """What the code imports stands in pyproject.toml, with its reason."""
    import tomllib
    from importlib.metadata import packages_distributions

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        line
        for extra, lines in project["optional-dependencies"].items()
        if extra != "dev"  # nobody who runs it has those
        for line in lines
    ]
    declared = {
        line.partition("[")[0].split("=")[0].split(">")[0].split("<")[0].strip().lower().replace("_", "-")
        for line in [*project["dependencies"], *extras]
    }
    distributions = packages_distributions()
    ours = {*MAY_IMPORT, "tests"}
    missing = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for package in MAY_IMPORT
        for path in modules(package)
        for line, name in imports(path)
        if name not in ours and name not in sys.stdlib_module_names
        if not {found.lower().replace("_", "-") for found in distributions.get(name, ())} & declared
    }
    assert not missing


def test_what_is_declared_is_locked():
    """A fresh clone installs the lock and nothing else: what it lacks would be missed in silence."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = {_name(line) for lines in (project["dependencies"], *extras) for line in lines}
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {_name(line) for line in lines if line and not line.startswith("#")}
    assert not wanted - locked


def _name(requirement: str) -> str:
    """The distribution that a requirement is about, as indexes spell it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_no_file_is_named_for_what_it_is_not():
    """No `utils`: a name says what is inside (STYLE 6)."""
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    assert not [path for package in MAY_IMPORT for path in modules(package) if path.stem in vague]


def test_every_package_is_typed():
    """py.typed lets mypy believe the annotations of an installed package."""
    untyped = [package for package in MAY_IMPORT if not (ROOT / package / "py.typed").exists()]
    assert not untyped


def test_no_two_files_need_each_other():
    """A reader can begin at the bottom: imports make no circle, not by types or within functions either."""
    files = {_dotted(path): path for package in MAY_IMPORT for path in modules(package)}
    needs = {name: {each for each in _needed(path, files) if each != name} for name, path in files.items()}
    faces = {name for name, path in files.items() if path.name == "__init__.py"}
    TopologicalSorter({name: each - faces for name, each in needs.items() if name not in faces}).prepare()


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _needed(path: Path, files: dict[str, Path]) -> Iterator[str]:
    """Every file of ours that a file imports; what a package's face shows is taken from behind it."""
    for module, name in _imports(path):
        if module in files:
            yield module if name is None else _behind(module, name, files)


def _behind(module: str, name: str, files: dict[str, Path]) -> str:
    """The file that defines a name: a module of that name, or what a package's face has it from."""
    if f"{module}.{name}" in files:
        return f"{module}.{name}"
    face = files[module]
    if face.name == "__init__.py":
        for node in _tree(face).body:
            if isinstance(node, ast.ImportFrom) and any(name in (a.name, a.asname) for a in node.names):
                inner = f"{module}.{node.module}" if node.level else node.module or ""
                own = next(a.name for a in node.names if name in (a.name, a.asname))
                return _behind(inner, own, files) if inner in files else module
    return module


def test_the_door_of_the_connectors_brings_the_local_stack_only_when_it_is_asked_for():
    """Every command comes through that door; each name on it is still there, and no other."""
    program = (
        "import sys, connectors\n"
        "assert 'connectors.local_stack' not in sys.modules, 'imported before anyone asked'\n"
        "for name in connectors.__all__: getattr(connectors, name)\n"
        "assert 'connectors.local_stack' in sys.modules\n"
        "assert not hasattr(connectors, 'nonsense')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
