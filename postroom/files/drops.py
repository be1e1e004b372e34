"""Drops of nightly files, put together: directories, mappings and contracts to rounds, and these to Kafka."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from connectors import Stack, Trouble
from connectors.files import metrics
from connectors.files.journal import Journal, State
from connectors.files.place import MAPPING, Seen, drops_in
from connectors.files.spool import Spool
from connectors.registry import registry_of
from connectors.state_files import locked
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.errors import UserError
from postroom.files.round import Bar, Office, Round, Ruled, Told, logged, tell_published
from postroom.files.waiting import Waiting, waiting_in
from postroom.first_series import begin, files_series
from postroom.inputs import producing, publisher_on
from postroom.lasting import Progress
from postroom.mappings import digest_of, mapping_at, unusable
from postroom.renewal import fingerprint
from postroom.watched import Watched
from processors.engine.journal import say
from producers import Publisher
from producers.mapped import MappingWrong
from schemas import Addressees, Contracts

LOOK_S = 1.0
MEND = "`postroom status` says what runs; the files wait where they are"


class Rules(NamedTuple):
    """The contracts in force, whom statements may name, and every drop under them."""

    contracts: Contracts
    addressees: Addressees
    drops: dict[str, Ruled]


def journal_of(settings: Settings) -> Journal:
    """Open the journal of this installation; Trouble."""
    return Journal(_place(settings) / "journal.db")


def _place(settings: Settings) -> Path:
    return settings.state_dir / "files"


def waiting(settings: Settings, complain: Callable[[Trouble], None]) -> list[Waiting]:
    """What lies in the drops and has not been taken, each with why; what cannot be looked at is complained
    of.
    """
    try:
        drops = drops_in(_drops(settings))
    except Trouble as trouble:
        complain(trouble)
        return []
    journal = journal_of(settings).all()
    return [each for drop in drops for each in waiting_in(drop, journal, complain)]


def _drops(settings: Settings) -> Path:
    found: Path = settings.values["drops"].value
    return found


def rules_of(settings: Settings) -> Rules:
    """Read contracts and mappings; UserError or Trouble with what is wrong."""
    contracts, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    rules, ruled = fingerprint(settings), {}
    for drop in drops_in(_drops(settings)):
        try:
            mapping = mapping_at(drop.mapping, contracts)
        except MappingWrong as wrong:
            raise unusable(drop.mapping, wrong) from wrong
        digest, written_ns = digest_of(drop.mapping, rules), drop.mapping.stat().st_mtime_ns
        ruled[drop.name] = Ruled(drop, mapping, digest, written_ns // 1_000_000)
    begin(files_series(ruled))
    return Rules(contracts, Addressees(agreements, contracts), ruled)


def _print(settings: Settings) -> str:
    """What is another when a rule is; OSError while a file is being written anew."""
    mappings = sorted(_drops(settings).glob(f"*/{MAPPING}"))
    return fingerprint(settings) + "".join(
        f"{path} {sha256(path.read_bytes()).hexdigest()} " for path in mappings
    )


class Files:
    """Every drop of an installation: as a command that goes on (`Lasting`), or once."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        self._settings, self._stack = settings, stack
        self._rules = Watched(lambda: _print(settings), lambda _: rules_of(settings))
        self._said: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The drops that there are."""
        return sorted(self._rules.current.drops)

    def waiting_for(self) -> list[str]:
        """Nothing: a drop that is held up is told by its metrics, and the others go on."""
        return []

    def look(self) -> None:
        """Tell what lies in the drops, whoever has the turn and whether Kafka is there or not."""
        for ruled in self._rules.current.drops.values():
            try:
                found = Counter(map(_kind, ruled.drop.incoming()))
            except (Trouble, OSError):
                continue  # whoever works says so
            for kind in (WHOLE, UNMARKED, ODD):
                metrics.WAITING.labels(ruled.drop.name, kind).set(found[kind])

    def work(self, stop: threading.Event, progress: Progress) -> None:
        """Publish what is handed in until told to stop; Trouble or UserError when something is away."""
        with self._offices(logged, stop.is_set) as office:
            say("files-watches", where=str(_drops(self._settings)))
            progress.under_way()
            rounds = self._rounds(office())
            while not stop.is_set():
                if self._rules.is_renewed():
                    rounds = self._rounds(office())
                worked = [self._round(each) for each in rounds]
                if not any(worked):
                    stop.wait(LOOK_S)

    def _round(self, each: Round) -> bool:
        """A round of one drop; what is wrong with its directories holds up no other one, and is said once."""
        try:
            worked = each.run(lies_still=True)
        except Trouble as trouble:
            if self._said.get(each.name) != str(trouble):
                where: dict[str, Any] = {"where": trouble.where, "why": trouble.why, "mend": trouble.mend}
                say("files-drop-waits", "warning", drop=each.name, what=trouble.what, **where)
            self._said[each.name] = str(trouble)
            return False
        self._said.pop(each.name, None)
        return worked

    def send(self, names: Iterable[str], bar: Bar, is_stopped: Callable[[], bool]) -> Told:
        """Publish what lies in some drops now, and return what became of it."""
        with self._offices(bar, is_stopped) as office:
            once = office()
            for each in self._rounds(once, list(names)):
                each.run(lies_still=False)
            return once.told

    def _rounds(self, office: Office, names: list[str] | None = None) -> list[Round]:
        drops = self._rules.current.drops
        unknown = sorted(set(names or ()) - drops.keys())
        if unknown:
            mend = f"there are {', '.join(sorted(drops))}"
            raise UserError("there is no such drop", where=", ".join(unknown), mend=mend)
        return [Round(drops[name], office) for name in names or sorted(drops)]

    @contextmanager
    def _offices(self, bar: Bar, is_stopped: Callable[[], bool]) -> Iterator[Callable[[], Office]]:
        """What rounds work with, made anew for newer rules. One process at a time: two would take one file
        twice.
        """
        with locked(_place(self._settings) / "working.lock", lambda: None, 0):
            registry = registry_of(self._stack)
            registry.ping()
            journal = journal_of(self._settings)
            try:
                with producing(self._stack, MEND) as producer:

                    def office() -> Office:
                        contracts, addressees, _ = self._rules.current
                        _tell_last(journal, self._rules.current)

                        def publisher(owner: str) -> Publisher:
                            return publisher_on(producer, self._stack, registry, contracts, owner)

                        spool = Spool(_place(self._settings))
                        return Office(
                            contracts, spool, journal, publisher, bar, is_stopped, Told(), addressees
                        )

                    yield office
            finally:
                journal.close()


WHOLE, UNMARKED, ODD = "whole", "unmarked", "odd"


def _kind(seen: Seen) -> str:
    if seen.odd is not None:
        return ODD
    return UNMARKED if seen.print is None else WHOLE


def _tell_last(journal: Journal, rules: Rules) -> None:
    """When each drop's last file was published, before this process: an alert asks for the age of it."""
    last_ms = dict.fromkeys(rules.drops, 0)
    for each in journal.all(State.PUBLISHED):
        if each.drop in last_ms:
            last_ms[each.drop] = max(last_ms[each.drop], each.since_ms)
    metrics.DUE.clear()  # of a drop that is gone, or from which nobody expects anything any more
    for name, at_ms in last_ms.items():
        tell_published(rules.drops[name], at_ms)
