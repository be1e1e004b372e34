"""How far consumer groups are behind, as the broker has it: also when nobody of the group lives."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.kafka_access import KafkaAccess
from connectors.kafka_admin import admin_of


def group_lags(access: KafkaAccess, groups: Iterable[str]) -> dict[str, int]:
    """Return by group the offsets between what it committed and its topics' ends; `Trouble`.

    Transactions' markers count too, so a group that has read all may be a few behind. A topic of which a
    group has committed nothing is not counted: it has not begun to read it.
    """
    from kafka.admin import OffsetSpec

    wanted = list(groups)
    with admin_of(access, "lag") as admin:
        committed = admin.list_group_offsets(dict.fromkeys(wanted))
        partitions = {tp for offsets in committed.values() for tp in offsets}
        if not partitions:
            return dict.fromkeys(wanted, 0)
        ends = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    return {
        group: sum(max(0, ends[tp].offset - at.offset) for tp, at in committed.get(group, {}).items())
        for group in wanted
    }
