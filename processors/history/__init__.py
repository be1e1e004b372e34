"""The history checker: whether the promises V1 to V7 held over what the topics still show.

Pure: it takes records and returns findings. `postroom history verify` reads them from Kafka.
"""

from processors.history.extent import NOTHING_LEFT_MS, Extent, Stretch
from processors.history.findings import MEANING, Anomaly, Finding, Place
from processors.history.history import History, Verdict, groups_of, topics_of

__all__ = [
    "MEANING",
    "NOTHING_LEFT_MS",
    "Anomaly",
    "Extent",
    "Finding",
    "History",
    "Place",
    "Stretch",
    "Verdict",
    "groups_of",
    "topics_of",
]
