"""Files that a process takes up while it runs: only whole, only once they lie still (V9)."""

from __future__ import annotations

from collections.abc import Callable

from connectors import Unreachable
from postroom.composition import DISCOVER_EVERY_S
from postroom.errors import UserError
from postroom.watched import Watched


class Files:
    """Files as a text, and the time."""

    def __init__(self) -> None:
        self.text, self.now_s, self.reads = "old", 0.0, 0
        self.error: Exception | None = None
        self.while_read: Callable[[], None] = lambda: None
        self.compared_with: list[str | None] = []

    def read(self, in_force: str | None) -> str:
        """Read them, unless something is wrong."""
        self.reads += 1
        self.compared_with.append(in_force)
        self.while_read()
        if self.error is not None:
            raise self.error
        return self.text.upper()

    def watched(self) -> Watched[str]:
        """A watch on them."""
        return Watched(lambda: self.text, self.read, lambda: self.now_s)

    def look(self, watched: Watched[str]) -> bool:
        """Look a moment later."""
        self.now_s += DISCOVER_EVERY_S
        return watched.is_renewed()


def test_what_changed_is_taken_up_once_it_lies_still():
    """Not at the first look, and once only."""
    files = Files()
    watched = files.watched()
    assert watched.current == "OLD"
    assert not files.look(watched)
    files.text = "new"
    assert [files.look(watched) for _ in range(4)] == [False, True, False, False]
    assert (watched.current, files.reads) == ("NEW", 2)


def test_it_is_not_looked_at_all_the_time():
    """Whoever asks, the files are read every few seconds."""
    files = Files()
    watched = files.watched()
    files.text = "new"
    assert not any(watched.is_renewed() for _ in range(50))


def test_what_cannot_be_used_leaves_the_old_in_force():
    """Until it can be, without a further change of the files."""
    files = Files()
    watched = files.watched()
    files.text = "new"
    for error in (UserError("wrong"), Unreachable("away"), FileNotFoundError()):
        files.error = error
        assert not files.look(watched)
        assert not files.look(watched)
        assert watched.current == "OLD"
    files.error = None
    assert files.look(watched)
    assert watched.current == "NEW"


def test_files_that_change_while_they_are_read_are_read_again():
    """Nobody gets a mixture."""
    files = Files()
    watched = files.watched()
    files.text = "new"
    files.look(watched)
    files.while_read = lambda: setattr(files, "text", "newer")
    assert not files.look(watched)
    files.while_read = lambda: None
    assert [files.look(watched) for _ in range(3)] == [False, True, False]
    assert watched.current == "NEWER"
    assert files.compared_with == [None, "OLD", "OLD"], (
        "what never came into force is nothing to compare with"
    )
