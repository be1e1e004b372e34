"""What a record between tasks says of itself: running counts, so that a loss is noticed, not assumed away
(DESIGN §7), and how long what it comes from has waited.

Every record of an internal topic names its sender, carries the count of its first message and how many it
frames; the count rises by one for each message to a destination partition. Offsets cannot do this:
transaction markers, aborted records and compaction leave gaps in them.
"""

from __future__ import annotations

from typing import NamedTuple

from processors.engine.trouble import SenderGap
from processors.stage import Headers

SENDER = "postroom_sender"
COUNT = "postroom_count"
MESSAGES = "postroom_messages"
SINCE = "postroom_since"


class Origin(NamedTuple):
    """Who wrote a record between stages, and the count of its first message.

    ``framed`` says how many messages it frames; None for a record that is a message itself, as they all were
    before frames (docs/adr/0006). ``since_ms`` is when the oldest event behind the step that wrote it was
    appended to a department's topic, UTC ms; None for a record from before that was said (docs/adr/0075).
    """

    sender: str
    first: int
    framed: int | None = None
    since_ms: int | None = None

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return 1 if self.framed is None else self.framed


def counted(sender: bytes, sent: dict[int, int], partition: int, messages: int, since_ms: int) -> Headers:
    """Return the headers of a frame of so many messages, which take the next counts of this partition."""
    last = sent.get(partition, 0)
    sent[partition] = last + messages
    return (
        (SENDER, sender),
        (COUNT, b"%d" % (last + 1)),
        (MESSAGES, b"%d" % messages),
        (SINCE, b"%d" % since_ms),
    )


def origin_of(headers: Headers) -> Origin | None:
    """Return who wrote a record and its count, or None if none of our tasks did."""
    found = dict(headers)
    sender, count, framed = found.get(SENDER), found.get(COUNT), found.get(MESSAGES, b"0")
    # INVARIANT: half a signature is none. If it was one of ours after all, the next count shows the gap.
    if not sender or not count or not count.isdigit() or framed is None or not framed.isdigit():
        return None
    since = found.get(SINCE)
    since_ms = int(since) if since is not None and since.isdigit() else None
    return Origin(sender.decode("utf-8", "replace"), int(count), int(framed) or None, since_ms)


def check(topic: str, partition: int, seen: dict[str, int], origin: Origin) -> None:
    """Take the next counts of a sender; SenderGap if they do not begin right after the last."""
    sender, first = origin.sender, origin.first
    last = seen.get(sender, 0)
    # INVARIANT: exactly one more. A repeat is as wrong as a gap: somebody's transaction was not one.
    if first != last + 1:
        what = "records are missing" if first > last else "records repeat"
        raise SenderGap(
            f"{topic}-{partition}: {what}: from {sender} number {first} came after number {last}; "
            "nothing has been skipped, the process stops before the first record in doubt"
        )
    seen[sender] = last + origin.messages
