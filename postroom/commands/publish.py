"""`postroom publish`: a file of CloudEvents to Kafka, as a department would do it."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_json, write_line, write_rows

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from postroom.interruption import Interruption
    from producers import Line, Refused, Seen
    from producers.publisher import Result
    from schemas import Addressees, Contracts, Warned

PANEL = "Events"
COLUMNS = ("type", "published", "refused")
ODD = "it goes all the same; look for a typing error"
NO_CONTRACT = "(no contract)"
ALIKE_TOLD = 5
"""Lines with the very same mistakes that a person is told one by one; the others are counted."""
ALIKE_KEPT_MAX = 1_000
PROBLEMS_TOLD = 12
"""Of one line; more are counted."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(publish)


def publish(
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl", help="one CloudEvent a line; - reads stdin")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every line, publish nothing.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Publish CloudEvents, one a line, to the topics of their types.

    A bad line is named with its number, the reason and what to do about it; the others go. Of two lines with
    the same source and id that differ the second is refused. Ctrl-C or SIGTERM: what is under way is waited
    for, and up to which line it went is said. Publishing a file again does no harm, and is not noticed: the
    same source and id are the same event. Exit 1 if a line was refused, 3 if Kafka or the registry is
    unreachable.

    Example: postroom publish docs/examples/first-event.jsonl
    """
    from connectors.files.seen import seen_ids
    from postroom.console import say
    from postroom.inputs import addressees_at, contracts_at
    from postroom.interruption import Interruption
    from postroom.settings import settings

    current = settings()
    contracts = contracts_at(current.contracts_dir)
    addressees = addressees_at(current.agreements_dir, contracts)
    tally, interruption = Tally(output, contracts), Interruption()
    with interruption.listening(), _opened(file) as stream, _progress(stream) as advance:
        lines = Lines(stream, advance, interruption)
        try:
            with interruption.gently(), seen_ids() as seen:
                if dry_run:
                    tally.take(_checked(lines, contracts, addressees, seen))
                else:
                    _publish(lines, contracts, addressees, current, tally, seen)
        except BaseException:
            if tally.published or tally.refused:  # what did go is said even when the rest did not
                tally.write(dry_run=dry_run)
            raise
        tally.write(dry_run=dry_run)
        if lines.stopped:
            say(lines.where_it_stopped(file, dry_run=dry_run))
        elif not tally.published and not tally.refused:
            say(f"no event stands in {'what came on stdin' if file == '-' else file}")
    if tally.refused:
        raise typer.Exit(Exit.FOUND)


@dataclass
class Tally:
    """What became of the lines: bad ones at once on stderr, counts at the end on stdout; never a value."""

    form: Form
    contracts: Contracts
    published: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    warned: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    alike: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The lines of which the very same was to be said: how many, and the last."""

    def take(self, results: Iterable[Result]) -> None:
        """Count each result and tell of each refusal."""
        from producers import Published, mend_of

        for result in results:
            if isinstance(result, Published):
                self.published[result.type] += 1
                if result.warnings:
                    self.warned += 1
                    problems = [each._asdict() for each in result.warnings]
                    row = {"line": result.number, "warning": ODD, "problems": problems}
                    self._tell(row, _of_warnings(result.warnings))
                continue
            number, refused = result
            # A type without a contract is the file's own text: it is not shown back as a row.
            known = refused.type is not None and refused.type in self.contracts.by_type
            self.refused[refused.type if known and refused.type else NO_CONTRACT] += 1
            row = {"line": number, "reason": refused.reason.value, "why": refused.why, "mend": refused.mend}
            problems = [each._asdict() | {"mend": mend_of(refused, each)} for each in refused.problems]
            self._tell(row | {"problems": problems}, _of_refused(refused))

    def _tell(self, row: dict[str, Any], told: str) -> None:
        from postroom.console import say

        if self.form is Form.TABLE:
            if self._is_new(told, row["line"]):
                say(f"line {row['line']}: {told}")
        elif self.form is Form.JSONL:
            write_line(row)
        else:
            self.rows.append(row)

    def _is_new(self, told: str, line: int) -> bool:
        """Whether a person has not yet read the same of several lines."""
        if told not in self.alike and len(self.alike) >= ALIKE_KEPT_MAX:
            return True
        count, _ = self.alike.get(told, (0, 0))
        self.alike[told] = (count + 1, line)
        return count < ALIKE_TOLD

    def write(self, *, dry_run: bool) -> None:
        """Write the counts in the form that was asked for."""
        from postroom.console import counted, say

        for told, (count, last) in self.alike.items():
            if count > ALIKE_TOLD:
                more = f"{counted(count - ALIKE_TOLD, 'more line')}, the last of them {last}"
                say(f"{more}: {told}\n  `-o jsonl` names each of them")
        counts: dict[str, Any] = {"published": self.published.total(), "refused": self.refused.total()}
        counts |= {"warned": self.warned} if self.warned else {}
        counts["dry_run"] = dry_run
        if self.form is Form.JSONL:
            write_line(counts)
        elif self.form is Form.JSON:
            write_json(counts | {"types": dict(sorted(self.published.items())), "lines": self.rows})
        elif types := sorted(self.published.keys() | self.refused.keys()):
            rows = [{"type": t, "published": self.published[t], "refused": self.refused[t]} for t in types]
            write_rows(rows, self.form, COLUMNS)
        verb = "would be published" if dry_run else "published"
        say(f"{counts['published']} {verb}, {counts['refused']} refused")


def _of_warnings(warnings: Iterable[Warned]) -> str:
    return f"warning; {ODD}" + "".join(f"\n  {path}: {problem}" for path, problem in warnings)


def _of_refused(refused: Refused) -> str:
    """Every reason of a line with what mends it, and below it where: one round should be enough."""
    from postroom.console import counted
    from producers import remedies

    told, left = list[str](), PROBLEMS_TOLD
    for remedy in remedies(refused):
        if not left:
            break
        why = "" if remedy.problems else f": {refused.why}"
        told.append(f"{'and ' if told else ''}{remedy.reason}{why}; {remedy.mend}")
        told += [f"  {each.path}: {each.problem}" for each in remedy.problems[:left]]
        left -= min(left, len(remedy.problems))
    if more := len(refused.problems) - PROBLEMS_TOLD + left:
        told.append(f"  and {counted(more, 'more problem')}; `-o jsonl` names each")
    return "\n".join(told)


def _publish(
    lines: Iterable[Line],
    contracts: Contracts,
    addressees: Addressees | None,
    current: Any,
    tally: Tally,
    seen: Seen,
) -> None:
    from connectors import find_stack
    from connectors.registry import registry_of
    from postroom.inputs import publishing

    stack = find_stack(current)
    registry = registry_of(stack)
    registry.ping()  # before the first line: a department should not publish half a file to learn this
    mend = "`postroom status` says what runs; then publish the file again, nothing counts twice"
    with publishing(stack, registry, contracts, mend, addressees) as publisher:
        tally.take(publisher.publish(lines, seen))


def _checked(
    lines: Iterable[Line], contracts: Contracts, addressees: Addressees | None, seen: Seen
) -> Iterator[Result]:
    """What would become of each line."""
    from producers import NotPublished, Published, Ready, make_ready, reused

    for line in lines:
        if line.blank:
            continue
        ready = make_ready(line.content, contracts, time.time_ns() // 1_000_000, addressees=addressees)
        refused = reused(ready, line.number, seen) if isinstance(ready, Ready) else ready
        if refused is not None:
            yield NotPublished(line.number, refused)
        elif isinstance(ready, Ready):
            yield Published(line.number, ready.contract.type, ready.warnings)


class Lines:
    """The lines of the file while the bar moves, until its end or until somebody asks to stop.

    Stopping is no error here: whoever reads finds an end, and waits for what is under way as at any end.
    """

    def __init__(self, stream: IO[bytes], advance: Callable[[int], None], interruption: Interruption) -> None:
        self._stream, self._advance, self._interruption = stream, advance, interruption
        self.stopped = False
        self._given = 0

    def __iter__(self) -> Iterator[Line]:
        """Give each line once."""
        from producers import read_lines

        lines = read_lines(self._stream)
        while True:
            try:
                with self._interruption.at_once():  # reading may wait for ever for who writes to a pipe
                    line = next(lines, None)
            except KeyboardInterrupt:
                self.stopped = True
                return
            if line is None:
                return
            self._advance(line.size_bytes)
            self._given = line.number
            yield line

    def where_it_stopped(self, file: str, *, dry_run: bool) -> str:
        """Up to which line something became of each, and how to go on."""
        done = "checked" if dry_run else "published"
        told = f"stopped behind line {self._given}: all before is counted above, nothing behind it was {done}"
        if dry_run or file == "-":
            return told if dry_run else f"{told}; send it all again, nothing counts twice"
        go_on = f"`tail -n +{self._given + 1} {shlex.quote(file)} | postroom publish -` goes on behind it"
        return f"{told}; publish the file again, nothing counts twice; or {go_on}"


def _opened(file: str) -> AbstractContextManager[IO[bytes]]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        why = error.strerror or type(error).__name__
        mend = "give a file with one CloudEvent a line, or - for stdin"
        raise UserError("the file cannot be read", where=file, why=why, mend=mend) from error


@contextmanager
def _progress(stream: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """A bar over the bytes of the file, when somebody is there to see it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    total = (
        Path(stream.name).stat().st_size
        if isinstance(stream.name, str) and stream.name != "<stdin>"
        else None
    )
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("publishing", total=total)
        yield lambda count: progress.advance(task, count)
