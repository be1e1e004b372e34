"""Running counts between tasks: a loss is noticed, not assumed away (DESIGN §7).

Every record of an internal topic names its sender and carries a count that rises by one per destination
partition. Offsets cannot do this: transaction markers, aborted records and compaction leave gaps in them.
"""

from __future__ import annotations

from processors.engine.trouble import SenderGap
from processors.stage import Headers

SENDER = "postroom_sender"
COUNT = "postroom_count"


def counted(headers: Headers, sender: bytes, sent: dict[int, int], partition: int) -> Headers:
    """Return the headers with sender and the next count for this destination partition, which it takes."""
    count = sent.get(partition, 0) + 1
    sent[partition] = count
    return (*headers, (SENDER, sender), (COUNT, b"%d" % count))


def sender_of(headers: Headers) -> tuple[str, int] | None:
    """Return who wrote a record and its count, or None if none of our tasks did."""
    sender = count = None
    for name, value in headers:
        if name == SENDER:
            sender = value
        elif name == COUNT:
            count = value
    if not sender or not count or not count.isdigit():
        return None
    return sender.decode("utf-8", "replace"), int(count)


def check(topic: str, partition: int, seen: dict[str, int], sender: str, count: int) -> None:
    """Take the next count of a sender; SenderGap if it is not the one after the last."""
    last = seen.get(sender, 0)
    # INVARIANT: exactly one more. A repeat is as wrong as a gap: somebody's transaction was not one.
    if count != last + 1:
        what = "records are missing" if count > last else "records repeat"
        raise SenderGap(
            f"{topic}-{partition}: {what}: from {sender} number {count} came after number {last}; "
            "nothing has been skipped, the process stops before the first record in doubt"
        )
    seen[sender] = count
