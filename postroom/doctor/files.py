"""Checks of this machine: settings, rules, secrets, certificates, disk, local stores, the local stack."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from connectors import Trouble
from connectors.certificate_ends import End, ends_in
from postroom.composition import STAGES
from postroom.config import read_private
from postroom.console import counted
from postroom.doctor.cluster import shown
from postroom.doctor.finding import Finding, Severity, fault, note, warning
from postroom.doctor.ground import Ground
from postroom.doctor.room import too_little
from postroom.errors import UserError
from postroom.own_state import free_bytes
from processors import INSTALLATION_TOPIC, Keys
from processors.installation import is_its_secret

SECRET_BYTES_MIN = 32
SECRET_DISTINCT_MIN = 8
GUESSED = ("secret", "changeme", "change-me", "password", "postroom", "test", "default", "example")
DAY_MS = 86_400_000
SOON_MS = 30 * DAY_MS
PRIVATE: tuple[tuple[str, str], ...] = (
    ("kafka_password_file", "the Kafka password file"),
    ("kafka_key_file", "the key file for Kafka"),
    ("gateway_key_file", "the key file of cursors"),
    ("gateway_tls_key", "the gateway's TLS key"),
)
"""Settings that name a file which only its owner may read."""
CERTIFICATES: tuple[str, ...] = (
    "kafka_ca_file",
    "kafka_cert_file",
    "gateway_tls_certificate",
    "gateway_client_ca",
)


def settings(ground: Ground) -> Iterator[Finding]:
    """A variable that looks like ours and is not does nothing, silently."""
    for said in ground.settings.warnings:
        yield warning(
            said, "environment", "a misspelt setting is one that is not set", "`postroom config show`"
        )


def open_line(ground: Ground) -> Iterator[Finding]:
    """PLAINTEXT to another machine was written out by somebody; it stays worth saying."""
    access = None if ground.stack is None else ground.stack.access
    if access is not None and not access.encrypted and not access.local:
        yield warning(
            "the line to Kafka is open",
            access.bootstrap,
            "identifiers and views of citizens can be read on the way",
            "POSTROOM_KAFKA_SECURITY=SASL_SSL, see docs/security.md",
        )


def contracts(ground: Ground) -> Iterator[Finding]:
    """What the gate says of the files (E6)."""
    from schemas import check_directory

    directory = ground.settings.contracts_dir
    if ground.contracts is None or not directory.is_dir():
        return  # it was said when they could not be read
    _, problems = check_directory(directory)
    if problems:
        yield fault(
            f"the gate refuses {counted(len(problems), 'thing')} about the contracts",
            shown({str(problem.file) for problem in problems}),
            "nothing is registered past it, so no change of a contract can go out",
            "`postroom contract check`",
        )


def agreements(ground: Ground) -> Iterator[Finding]:
    """An agreement that has ended shares nothing; one that is about to end, soon."""
    ended = [name for name, each in ground.agreements.items() if each.valid_until <= ground.now_ms]
    if ended:
        yield note(
            f"{counted(len(ended), 'agreement has', 'agreements have')} ended",
            shown(ended),
            "their views are withdrawn and nothing is shared under them",
            "a new version of the file with a later end, or remove it when its obligations are settled",
        )
    ending = [
        name for name, each in ground.agreements.items() if 0 < each.valid_until - ground.now_ms < SOON_MS
    ]
    if ending:
        yield warning(
            f"{counted(len(ending), 'agreement ends', 'agreements end')} within thirty days",
            shown(ending),
            "every view under them is withdrawn at that moment (V8)",
            "agree on a new version, or let the subscriber know",
        )


def secret(ground: Ground) -> Iterator[Finding]:
    """Whoever guesses the identity key can name every citizen's person id (I4)."""
    try:
        key = ground.settings.secret_bytes()
    except UserError as error:
        yield Finding(Severity.FAULT, error.what, error.where, error.why, error.mend)
        return
    given = ground.settings.values["secret"].value is not None
    where = ground.settings.values["secret" if given else "secret_file"].source
    text = key.decode("utf-8", "replace").strip().lower()
    weak = (
        "it is a word that is tried first"
        if text in GUESSED
        else f"it has {len(key)} bytes, and {SECRET_BYTES_MIN} are wanted"
        if len(key) < SECRET_BYTES_MIN
        else "it repeats itself"
        if len(set(key)) < SECRET_DISTINCT_MIN
        else ""
    )
    if weak:
        yield fault(
            "the identity key can be guessed",
            where,
            f"{weak}; with it every citizen's person id can be computed (I4)",
            "before the first event only: `openssl rand -hex 32 > FILE; chmod 600 FILE`, "
            "POSTROOM_SECRET_FILE=FILE; later every person id would change",
        )
    if given and ground.settings.kafka is not None:
        yield warning(
            "the identity key is in the environment",
            where,
            "child processes and crash dumps show it",
            "POSTROOM_SECRET_FILE, a file of mode 600",
        )


def installation(ground: Ground) -> Iterator[Finding]:
    """The secret that is configured here is the one that the installation's persons are made of (C8)."""
    if ground.cluster is None:
        return
    if ground.recorded is None:
        yield note(
            "no worker has recorded the installation's secret",
            INSTALLATION_TOPIC,
            "the first worker to start does so; until then nothing refuses another one (C8)",
            "`postroom topics apply`, then start the worker whose secret is surely right first",
        )
        return
    try:
        keys = Keys(ground.settings.secret_bytes())
    except UserError:
        return  # `secret` says it
    if not is_its_secret(keys, ground.recorded):
        yield fault(
            "the secret that is configured here is not the installation's",
            ground.settings.secret_source,
            f"the installation's has the fingerprint {ground.recorded.short}; workers with this one refuse "
            "to start, because every citizen would be another person (C8)",
            "POSTROOM_SECRET_FILE with the file that the workers have; docs/runbooks/PostroomKeysDiffer.md",
        )


def private_files(ground: Ground) -> Iterator[Finding]:
    """Files that hold a secret are their owner's alone."""
    for name, what in PRIVATE:
        value = ground.settings.values[name]
        if value.value is not None:
            try:
                read_private(value.value, what, value.source)
            except UserError as error:
                yield Finding(Severity.FAULT, error.what, error.where, error.why, error.mend)
    directory = ground.settings.state_dir
    if directory.is_dir() and stat.S_IMODE(directory.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(directory.stat().st_mode)
        yield fault(
            "the state directory is open to others",
            str(directory),
            f"its mode is {mode:04o}, and citizens' data is inside",
            f"chmod 700 {directory}",
        )


def certificates(ground: Ground) -> Iterator[Finding]:
    """One that ends takes the line with it, at night."""
    files = [ground.settings.values[name].value for name in CERTIFICATES]
    files += sorted((ground.settings.state_dir / "security").glob("*.pem"))
    for file in files:
        if file is None:
            continue
        try:
            found = ends_in(Path(file))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not PEM, or broken"
            yield fault(
                "a certificate cannot be read",
                str(file),
                why or type(error).__name__,
                "put the right file there",
            )
            continue
        for end in found:
            yield from _expiry(ground, end)
    for end in ground.presented:
        yield from _expiry(ground, end)


def _expiry(ground: Ground, end: End) -> Iterator[Finding]:
    left_ms, where = end.ends_ms - ground.now_ms, f"{end.where}: {end.subject}"
    if left_ms <= 0:
        why = "nobody who checks it believes it: lines that are open go on, no new one is made"
        mend = "renew it, and have what serves it take it up (docs/runbooks/PostroomCertificateEnded.md)"
        yield fault(f"a certificate ended {counted(-left_ms // DAY_MS, 'day')} ago", where, why, mend)
    elif left_ms < SOON_MS:
        why = "then clients are refused, all at once"
        mend = "renew it (docs/runbooks/PostroomCertificateEnds.md)"
        yield warning(f"a certificate ends in {counted(left_ms // DAY_MS, 'day')}", where, why, mend)


def gateway(ground: Ground) -> Iterator[Finding]:
    """Who may use the gateway must be readable, and name owners and agreements that there are."""
    from connectors.callers import load_clients

    value = ground.settings.values["gateway_clients"]
    file = Path(value.value)
    if value.source == "default" and not file.exists():
        return  # nobody has set a gateway up
    try:
        load_clients(file, ground.agreements)
    except Trouble as error:
        yield Finding(Severity.FAULT, error.what, error.where, error.why, error.mend or "docs/gateway.md")


def disk(ground: Ground, look: Callable[[Path], int] = free_bytes) -> Iterator[Finding]:
    """A full disk stops the worker; nothing is lost, and nothing goes on."""
    directory = ground.settings.state_dir
    free = look(directory)
    if make := too_little(free):
        yield make(
            f"{free >> 20} MiB are free where the stores are",
            str(directory),
            "a worker that cannot write its store ends; the changelog has everything",
            "make room, or name another place with POSTROOM_STATE",
        )


def local_stack(ground: Ground) -> Iterator[Finding]:
    """A part that died leaves its pid and its lock behind."""
    for part in ground.parts:
        if part.state in ("dead", "silent"):
            yield fault(
                f"{part.part} is {part.state}", part.log or part.address, part.problem, "`postroom up`"
            )


def stores(ground: Ground) -> Iterator[Finding]:
    """A local store is a cache; one that is broken or foreign costs a rebuild when its worker starts."""
    workers = ground.settings.state_dir / "workers"
    for place in sorted(each for stage in STAGES for each in workers.glob(f"*/{stage}/[0-9]*")):
        if not (place / "CURRENT").is_file():
            if any(place.iterdir()):
                yield _broken(place, "it has no CURRENT file")
            continue
        why = _unreadable(place)
        if why:
            yield _broken(place, why)


def _unreadable(place: Path) -> str:
    """Open a store for reading, which takes no lock from a living worker; say why it cannot be."""
    import rocksdict

    try:
        options = rocksdict.Options(raw_mode=True)
        store = rocksdict.Rdict(str(place), options, access_type=rocksdict.AccessType.read_only())
    except Exception as error:  # rocksdict has one exception type, and it is Exception
        return str(error)[:200]
    store.close()
    return ""


def _broken(place: Path, why: str) -> Finding:
    return warning(
        "a local store cannot be opened",
        "/".join(place.parts[-3:]),
        f"{why}; its worker would rebuild it from the changelog, which takes a while at its next start",
        f"at a quiet time: end that worker, rm -r {place}, start it again",
    )
