"""Kafka and the registry as jars: fetched once by Maven coordinate, checked, kept in the user's cache.

jgo fetches without Maven. What to fetch stands in `jars.yaml` with sizes and SHA-256, so nothing is resolved
at run time and nothing unexpected is started. The repositories are jgo's own, or those of its configuration
file (`[repositories]` in jgo.conf) on a network that has a mirror. Whoever the machine trusts is trusted, for
many networks of offices read what comes in, and answer by a certificate of their own.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.progress import Advance, Report
from connectors.state_files import locked, private_directory
from connectors.trouble import Trouble, Unreachable

LIST = Path(__file__).with_name("jars.yaml")
PARALLEL_DOWNLOADS = 6
ATTEMPTS = 4
TIMEOUT_SECONDS = 60
NOT_TRUSTED = "CERTIFICATE_VERIFY_FAILED"
"""What OpenSSL says of a certificate that nobody vouches for, and not of a line that broke."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of a Maven repository: `group:artifact:version[:classifier[:type]]`."""

    coordinate: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Program:
    """What belongs together: one directory of jars in the cache."""

    name: str
    title: str
    version: str
    jars: tuple[Jar, ...]

    @property
    def directory(self) -> str:
        """Name the directory by content, so that a changed list is fetched anew."""
        content = "".join(jar.sha256 for jar in self.jars).encode()
        return f"{self.name}-{self.version}-{hashlib.sha256(content).hexdigest()[:8]}"


def programs() -> dict[str, Program]:
    """Read `jars.yaml`."""
    import yaml

    listed: dict[str, Any] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return {
        name: Program(name, entry["title"], entry["version"], tuple(Jar(**jar) for jar in entry["jars"]))
        for name, entry in listed.items()
    }


def fetch(program: Program, cache: Path, report: Report) -> Path:
    """Return the directory that holds the program, after fetching what is missing.

    INVARIANT: the directory appears under its name by one rename, when every file in it has been checked;
    an interrupted download is never mistaken for a program. Two that fetch at once do it once.
    """
    home = cache / program.directory
    if home.is_dir():
        return home
    waiting = lambda: report.say(f"{program.title} is being fetched by another postroom; waiting")  # noqa: E731
    with locked(cache / f"{program.directory}.lock", waiting):
        if home.is_dir():
            return home
        started = time.monotonic()
        total_bytes = sum(jar.bytes for jar in program.jars)
        with (
            tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as staging,
            report.transfer(f"{program.title} {program.version}", total_bytes) as advance,
        ):
            whole = private_directory(Path(staging) / "whole")
            with _systems_trust(), ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
                context = _context(Path(staging) / "maven", advance)
                for path in pool.map(lambda jar: _checked(context, jar), program.jars):
                    _put(path, whole)
            whole.replace(home)
        report.say(
            f"fetched {program.title} {program.version}: {total_bytes / 1e6:.0f} MB in "
            f"{time.monotonic() - started:.1f} s, kept in {home}"
        )
    return home


def _put(path: Path, whole: Path) -> None:
    """Move a jar, or unpack an archive, into the program's directory."""
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            # Before 3.11.4 Python has no filters; the archive's bytes are those of its SHA-256 either way.
            filtered: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(whole, **filtered)  # noqa: S202 - pinned bytes, see above
        path.unlink()
    else:
        shutil.move(path, whole / path.name)


def _context(repository: Path, advance: Advance) -> Any:
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext, PythonResolver

    @contextmanager
    def progress(_filename: str, _total_bytes: int) -> Iterator[Callable[[int], None]]:
        yield advance

    configured: dict[str, str] = GlobalSettings.load().repositories
    return MavenContext(
        resolver=PythonResolver(progress_callback=progress),
        repo_cache=repository,
        remote_repos={**configured, "central": configured.get("central", MAVEN_CENTRAL_URL)},
        timeout=TIMEOUT_SECONDS,
    )


@contextmanager
def _systems_trust() -> Iterator[None]:
    """Believe whom the machine believes, beside requests' own list, as pip does.

    What is fetched is told by its SHA-256, so nobody who is believed can put in anything else.
    """
    import truststore

    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()


def _checked(context: Any, jar: Jar) -> Path:
    """Fetch one file, again after a passing fault, and compare its SHA-256 with the list."""
    group, artifact, version, classifier, kind = (*jar.coordinate.split(":"), "", "")[:5]
    wanted = context.project(group, artifact).at_version(version).artifact(classifier, kind or "jar")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            path = Path(wanted.resolve())
            break
        except Exception as error:  # jgo lets any fault of its network library through
            Path(wanted.cached_path).unlink(missing_ok=True)  # half a file would be taken for the whole
            if NOT_TRUSTED in str(error):  # trying again changes nothing
                raise Unreachable(
                    f"{jar.coordinate} could not be fetched",
                    why="whoever answered has a certificate that this machine does not trust",
                    mend="put your network's certificate authority into the machine's store, or name its "
                    "file: REQUESTS_CA_BUNDLE=FILE",
                ) from error
            if attempt == ATTEMPTS:
                raise Unreachable(
                    f"{jar.coordinate} could not be fetched",
                    why=f"{type(error).__name__} after {ATTEMPTS} attempts: {error}",
                    mend="check the network; a mirror goes under [repositories] in ~/.config/jgo.conf",
                ) from error
            time.sleep(2 ** (attempt - 1))
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if sha256 != jar.sha256:
        raise Trouble(
            f"{jar.coordinate} is not the file that was tested",
            why=f"SHA-256 {sha256}, expected {jar.sha256}",
            mend="ask who runs the Maven mirror; do not start it",
        )
    return path


def listing(title: str, version: str, roots: list[str], extra: list[str]) -> dict[str, Any]:
    """Resolve the roots with everything they need, and `extra` alone, for a new `jars.yaml`.

    `extra` is kept apart because jgo lets the parents of every root manage all versions: asked for log4j
    beside Kafka it takes log4j's older kafka-clients.
    """
    with tempfile.TemporaryDirectory() as directory:
        context = _context(Path(directory), lambda _: None)
        dependencies = [context.create_dependency(root) for root in roots]
        found, needed = context.resolver.resolve(dependencies) if dependencies else ([], [])
        artifacts = [dependency.artifact for dependency in found + needed]
        for coordinate in extra:
            group, artifact, number, classifier, kind = (*coordinate.split(":"), "", "")[:5]
            component = context.project(group, artifact).at_version(number)
            artifacts.append(component.artifact(classifier, kind or "jar"))
        return {"title": title, "version": version, "jars": [_listed(artifact) for artifact in artifacts]}


def _listed(artifact: Any) -> dict[str, Any]:
    path = Path(artifact.resolve())
    plain = artifact.packaging == "jar" and not artifact.classifier
    parts = [artifact.groupId, artifact.artifactId, artifact.version]
    parts += [] if plain else [artifact.classifier, artifact.packaging]
    content = path.read_bytes()
    return {
        "coordinate": ":".join(parts),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def write_listing() -> None:
    """Write `jars.yaml` anew (`python -m connectors.jars`), to be read in review like any other lock."""
    import yaml

    log4j = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"  # Kafka's own log binding, not in its POM
    registry = "io.apicurio:apicurio-registry-app:3.0.9:all:tar.gz"
    listed = {
        "kafka": listing("Apache Kafka", "4.1.1", ["org.apache.kafka:kafka_2.13:4.1.1"], [log4j]),
        "registry": listing("Apicurio Registry", "3.0.9", [], [registry]),
    }
    head = "# What the local stack starts. Written by `python -m connectors.jars`.\n"
    LIST.write_text(head + yaml.safe_dump(listed, sort_keys=False, width=200), encoding="utf-8")


if __name__ == "__main__":
    write_listing()
