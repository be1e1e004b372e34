"""That something outside is not there now, as those say it who are asked and answer in a moment.

A :class:`connectors.trouble.Trouble` ends what was begun and is told to a person; this is told to whoever
asks, who may ask again.
"""

from __future__ import annotations


class Away(Exception):  # noqa: N818 - it is away
    """What an answer needs cannot be had now; `retry_after_s` says when to ask again."""

    def __init__(self, why: str, retry_after_s: float = 5.0) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_s = retry_after_s


class Full(Away):
    """Too much is on its way already."""
