"""`make bench`: how fast one worker takes events to views, from empty, beside two yardsticks of the same run.

- *replay*: the same events through the same stages in one process without Kafka, store or wire, in one batch
  (so it writes each view once, where the worker writes it as often as it changes: see `view_writes`);
- *relay*: a plain aiokafka consumer and producer that copies the same records once, without a transaction
  or a thought: the floor of what Kafka costs from Python (the worker has each event three to five times);
- *worker*: `postroom run all`, exactly once, from the first assertion to the last record of the last view.

One run on whatever machine this is; numbers of different runs are comparable only as ratios. CPU is that of
the measured process alone, without the broker's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from connectors.kafka_topics import Topics, WantedTopic  # noqa: E402 - the repository is not installed
from postroom.config import load_settings  # noqa: E402
from postroom.output import Form, write_json, write_rows  # noqa: E402
from processors import ASSERTIONS_TOPIC, DISCLOSURES_TOPIC, view_topic  # noqa: E402
from producers import in_order_of_time, lives, to_lines  # noqa: E402
from tests.flow.spine import PARTITIONS, Installation, installed, now_ms  # noqa: E402

CONTRACTS, AGREEMENTS = ROOT / "schemas", ROOT / "schemas" / "agreements"
RELAY_TOPIC = "bench.relay"
EVENTS_PER_CITIZEN = 20
DAY_MS = 24 * 3600 * 1000
SETTLE_S = 180.0
IDLE_S = 5.0
COLUMNS = (
    "what",
    "events",
    "seconds",
    "events_per_s",
    "cpu_s_per_million",
    "speed_of_relay",
    "cpu_of_replay",
)
Row = dict[str, Any]


def main() -> int:
    """Measure all three and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000, help="how many; 10,000 unless given")
    parser.add_argument("--shell", choices=("faust", "plain"), default="faust")
    parser.add_argument("-o", "--output", choices=[form.value for form in Form], default="table")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)  # a yardstick in a process of its own
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part[0]](options.part[1:])))
        return 0
    rows = measure(options.events, options.shell)
    if options.output == "json":
        machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": sys.version.split()[0]}
        write_json({"rows": rows, "machine": machine})
    else:
        write_rows(rows, Form(options.output), COLUMNS)
    return 0


def measure(count: int, shell: str) -> list[Row]:
    """Publish once; let each take its turn over the same events."""
    events = in_order_of_time(lives(1, count // EVENTS_PER_CITIZEN + 20, now_ms() - DAY_MS))[:count]
    lines = [line.rstrip(b"\n") for line in to_lines(events)]
    cache = load_settings(os.environ, ROOT).cache_dir
    say(f"{len(lines)} events; starting a stack of its own")
    with installed(cache, CONTRACTS, AGREEMENTS) as own:
        started = time.monotonic()
        own.publish(lines)
        say(f"published in {time.monotonic() - started:.1f} s; replay")
        rows = [yardstick("replay", [write(own.place, lines)], own)]
        say("relay")
        Topics(own.stack.kafka).apply([WantedTopic(RELAY_TOPIC, PARTITIONS)])
        rows.append(yardstick("relay", [own.stack.kafka, *sorted(own.contracts.by_type)], own))
        say(f"worker ({shell})")
        rows.append(worker(own, shell, len(lines)))
    relay, replay = rows[1], rows[0]
    for row in rows:
        row["speed_of_relay"] = round(row["events_per_s"] / relay["events_per_s"], 3)
        row["cpu_of_replay"] = round(row["cpu_s_per_million"] / replay["cpu_s_per_million"], 2)
    return rows


def worker(own: Installation, shell: str, count: int) -> Row:
    """One worker from empty: time by the broker's clock, CPU by samples of the process."""
    import psutil

    own.start("one", shell)
    process = psutil.Process(own.workers["one"][0].pid)
    samples: list[tuple[int, float]] = []

    def sample() -> None:
        used = process.cpu_times()
        samples.append((now_ms(), used.user + used.system))

    own.settle(SETTLE_S, each=sample)
    if own.exits:
        raise SystemExit(f"the worker ended: {own.exits}\n{own.said('one')}")
    idle_s = sum(process.cpu_times()[:2])
    time.sleep(IDLE_S)
    idle = (sum(process.cpu_times()[:2]) - idle_s) / IDLE_S
    say(f"the worker, idle again, takes {idle:.1%} of a core")
    begun = min(record.timestamp_ms for record in own.read(ASSERTIONS_TOPIC))
    views = [view_topic(name) for name in own.agreements]
    written = own.read(*views)
    ended = max(record.timestamp_ms for record in (*written, *own.read(DISCLOSURES_TOPIC)))
    before = max((used for at, used in samples if at <= begun), default=0.0)
    after = min((used for at, used in samples if at >= ended), default=samples[-1][1])
    return row(f"worker, {shell}", count, len(written), (ended - begun) / 1000, after - before)


def yardstick(name: str, arguments: Sequence[str], own: Installation) -> Row:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--part", name, *arguments]
    done = subprocess.run(command, env=own.environment(), capture_output=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr.decode()}")
    measured = json.loads(done.stdout)
    return row(name, measured["events"], measured["writes"], measured["seconds"], measured["cpu_s"])


def replayed(arguments: Sequence[str]) -> Row:
    """The pure stages over the lines of a file."""
    from postroom.composition import load_rules_files
    from processors.replay import replay

    rules = load_rules_files(CONTRACTS, AGREEMENTS)
    lines = Path(arguments[0]).read_bytes().splitlines()
    gc.collect()
    gc.freeze()  # as the worker does
    watch = Watch()
    views = replay(lines, *rules, b"bench", now_ms())["views"]
    return watch.says(len(lines), sum(map(len, views.values())))


def relayed(arguments: Sequence[str]) -> Row:
    """Copy every record of the topics to one other topic."""
    return asyncio.run(_relay(arguments[0], arguments[1:]))


async def _relay(bootstrap: str, topics: Sequence[str]) -> Row:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", enable_auto_commit=False
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
    await consumer.start()
    await producer.start()
    count = 0
    try:
        # Topics assigned by hand are not in the metadata yet; asking for one brings it there.
        known = {topic: await producer.partitions_for(topic) for topic in topics}
        partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic]]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        watch = Watch()
        left = sum(ends.values())  # no transactions on these topics: every offset is a record
        while count < left:
            acks = []
            for records in (await consumer.getmany(timeout_ms=200, max_records=2000)).values():
                for each in records:
                    acks.append(
                        await producer.send(RELAY_TOPIC, each.value, each.key, headers=list(each.headers))
                    )
            await asyncio.gather(*acks)
            count += len(acks)
        return watch.says(count, 0)
    finally:
        await producer.stop()
        await consumer.stop()


class Watch:
    """The time and the CPU of this process since the watch was made."""

    def __init__(self) -> None:
        self.started, self.used = time.monotonic(), time.process_time()

    def says(self, events: int, writes: int) -> Row:
        """What that many events took."""
        seconds, cpu_s = time.monotonic() - self.started, time.process_time() - self.used
        return {"events": events, "writes": writes, "seconds": seconds, "cpu_s": cpu_s}


def row(what: str, count: int, writes: int, seconds: float, cpu_s: float) -> Row:
    """One line of the answer."""
    return {
        "what": what,
        "events": count,
        "view_writes": writes,
        "seconds": round(seconds, 2),
        "events_per_s": round(count / seconds),
        "cpu_s_per_million": round(cpu_s / count * 1_000_000),
    }


def write(place: Path, lines: Sequence[bytes]) -> str:
    with tempfile.NamedTemporaryFile(dir=place, suffix=".jsonl", delete=False) as file:
        file.write(b"\n".join(lines))
    return file.name


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr)


PARTS = {"replay": replayed, "relay": relayed}

if __name__ == "__main__":
    sys.exit(main())
