"""Files of a department's own format, mapped: each row one event of a contract (docs/files.md).

`reading` reads a mapping file, `mapping` makes a row an event by it, `rows` reads CSV and JSON Lines in
bounded memory, `sifting` judges a file, `clerk` publishes it. Nothing here knows where files lie.
"""

from producers.mapped.clerk import (
    Case,
    Clerk,
    Ended,
    Held,
    Interrupted,
    Outcome,
    Progress,
    Stop,
    Stopped,
    Tray,
)
from producers.mapped.forms import Fault, MappingForm, MappingWrong
from producers.mapped.mapping import Event, FileFacts, RowMapping
from producers.mapped.problem import RowProblem
from producers.mapped.reading import read_mapping
from producers.mapped.rows import START, FileWrong, Header, Place, Row, read_header, read_rows
from producers.mapped.sifting import Bad, Counts, Good, Repeated, Verdict, sift
from producers.reused import Seen

__all__ = [
    # a mapping
    "Event", "Fault", "FileFacts", "MappingForm", "MappingWrong", "RowMapping", "RowProblem", "read_mapping",
    # rows of a file
    "START", "FileWrong", "Header", "Place", "Row", "read_header", "read_rows",
    # judged
    "Bad", "Counts", "Good", "Repeated", "Seen", "Verdict", "sift",
    # published
    "Case", "Clerk", "Ended", "Held", "Interrupted", "Outcome", "Progress", "Stop", "Stopped", "Tray",
]  # fmt: skip
