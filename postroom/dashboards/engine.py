"""Inside the workers: tasks, transactions, state, restores, sweeps, and what they depend on."""

from __future__ import annotations

from postroom.dashboards.board import Board, Panel, Query, Row, line, quantiles

RATE = "[$__rate_interval]"

ENGINE = Board(
    "postroom-engine",
    "Postroom: engine",
    "Tasks, transactions, state and what the workers depend on.",
    (
        Row(
            "Processes",
            (
                line(
                    "Reachable",
                    "Whether Kafka and the registry answer each process.",
                    "min by (system, instance) (postroom_reachable)",
                    "{{system}} from {{instance}}",
                    red_below=1,
                ),
                line(
                    "Ends and their causes",
                    "A worker that does not know what happened ends itself, and is started again.",
                    "postroom:stops:increase15m",
                    "{{error}}",
                    red_from=3,
                ),
                line(
                    "Secrets",
                    "Fingerprints of the secret that persons are named by: one, or a worker has another.",
                    "group by (fingerprint, instance) (postroom_identity_key_info)",
                    "{{fingerprint}} {{instance}}",
                    kind="table",
                ),
                line(
                    "Releases",
                    "What runs where.",
                    "sum by (process, version, python) (postroom_build_info)",
                    "{{process}} {{version}}",
                    kind="table",
                ),
                line(
                    "Certificates",
                    "Days until each ends, as files and servers have them. From thirty on there is a ticket.",
                    "min by (certificate) (postroom_certificate_end_timestamp_seconds - time()) / 86400",
                    "{{certificate}}",
                    red_below=30,
                ),
                line(
                    "Free disk",
                    "Where each process keeps its state.",
                    "min by (instance) (postroom_disk_free_bytes)",
                    "{{instance}}",
                    "bytes",
                    red_below=1 << 30,
                ),
                line(
                    "Clocks",
                    "How far each machine's is ahead of the registry's, which tells whole seconds.",
                    "max by (instance) (postroom_clock_ahead_seconds)",
                    "{{instance}}",
                    "s",
                    red_from=3,
                ),
                line(
                    "Memory",
                    "Resident, by process.",
                    'process_resident_memory_bytes{job=~"postroom-.+"}',
                    "{{instance}}",
                    "bytes",
                    width=12,
                ),
                line(
                    "Processor",
                    "Cores that each process uses.",
                    f'rate(process_cpu_seconds_total{{job=~"postroom-.+"}}{RATE})',
                    "{{instance}}",
                    width=12,
                ),
            ),
        ),
        Row(
            "Transactions (V6)",
            (
                line(
                    "By how they ended",
                    "Aborted and fenced ones end the process and are told by its next life.",
                    f"sum by (stage, result) (rate(postroom_transactions_total{RATE}))",
                    "{{stage}} {{result}}",
                    "ops",
                ),
                quantiles("Commits", "Begin to commit.", "postroom_transaction_seconds", "stage"),
                quantiles("Steps", "The stage's own part.", "postroom_step_seconds", "stage"),
                line(
                    "Records in a step",
                    "The mean.",
                    f"sum by (stage) (rate(postroom_batch_records_sum{RATE}))"
                    f" / sum by (stage) (rate(postroom_batch_records_count{RATE}))",
                    "{{stage}}",
                    width=12,
                ),
                line(
                    "Foreign records",
                    "On internal topics, of no task's writing. Anything but nothing is a page.",
                    f"sum by (stage) (increase(postroom_foreign_records_total{RATE}))",
                    "{{stage}}",
                    width=12,
                    red_from=1,
                ),
            ),
        ),
        Row(
            "Tasks and state",
            (
                Panel(
                    "Tasks",
                    "By stage, how often they were assigned anew, and processes that have all open.",
                    (
                        Query("sum by (stage) (postroom_ready)", "{{stage}} ready"),
                        Query("sum by (stage) (postroom_tasks)", "{{stage}}"),
                        Query(
                            f"sum by (stage) (increase(postroom_rebalances_total{RATE}))",
                            "{{stage}} assigned anew",
                        ),
                    ),
                ),
                line("Keys", "In the states.", "sum by (stage) (postroom_state_keys)", "{{stage}}"),
                line(
                    "Bytes", "Of their values.", "sum by (stage) (postroom_state_bytes)", "{{stage}}", "bytes"
                ),
                line(
                    "Restores under way",
                    "How much of its changelog a task has replayed.",
                    "min by (stage, partition) (postroom_restore_progress_ratio)",
                    "{{stage}} {{partition}}",
                    "percentunit",
                ),
                Panel(
                    "Restores",
                    "How long one takes on average, and how many records a second it replays.",
                    (
                        Query(
                            f"sum by (stage) (increase(postroom_restore_seconds_sum{RATE}))"
                            f" / sum by (stage) (increase(postroom_restore_seconds_count{RATE}))",
                            "{{stage}} seconds",
                        ),
                        Query(
                            f"sum by (stage) (rate(postroom_restored_records_total{RATE}))",
                            "{{stage}} records a second",
                        ),
                    ),
                ),
                Panel(
                    "Sweeps (V9)",
                    "Tasks that sweep, and which share of their keys is done.",
                    (
                        Query("sum by (stage) (postroom_sweeping)", "{{stage}} under way"),
                        Query(
                            "sum by (stage) (postroom_sweep_keys_done)"
                            " / sum by (stage) (postroom_state_keys)",
                            "{{stage}} done",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "The canary",
            (
                line(
                    "Rounds",
                    "By what failed first.",
                    f"sum by (result) (rate(postroom_canary_rounds_total{RATE}))",
                    "{{result}}",
                    "ops",
                    width=24,
                ),
            ),
        ),
    ),
)
