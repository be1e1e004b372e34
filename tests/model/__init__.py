"""The slow and obvious model: DESIGN's rules as set functions, one function a rule, nothing incremental.

It shares no code with `schemas` or `processors`, so that an error has to be made twice to go unseen.
"""

from tests.model.answer import Answer, answer, replay
from tests.model.contracts import Rules, read_rules
from tests.model.identity import Limits

__all__ = ["Answer", "Limits", "Rules", "answer", "read_rules", "replay"]
