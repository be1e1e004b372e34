"""The topics of views, read as a subscriber may see them (V1-V3): by the gateway, and to send by webhook."""

from connectors.view_topics.ports import Change, Expired, Page, Views
from connectors.view_topics.records import ViewRecords
from connectors.view_topics.shown import RETRACTED, SUPERSEDES, document
from connectors.view_topics.topic_views import TopicViews

__all__ = [
    "Change",
    "Expired",
    "Page",
    "RETRACTED",
    "SUPERSEDES",
    "TopicViews",
    "ViewRecords",
    "Views",
    "document",
]
