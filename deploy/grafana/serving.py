"""Which model version serves, and how attempts to serve another ended."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import GREEN, RED, YELLOW, Limits, Panel, Target, bad_above_none
from deploy.grafana.promql import (
    ANSWERED,
    PREDICTION,
    events,
    increase,
    largest,
    metric,
    quantile,
    total,
)

SERVING = Row(
    "What serves",
    (
        Panel(
            title="Version",
            description="The version that serves, by name of the model. Bad: another than the one "
            "that was meant to.",
            kind="stat",
            unit="none",
            targets=(
                Target(total(metric("model_info"), "name", "version"), "{{name}} {{version}}"),
            ),
            by_name=True,
            width=6,
        ),
        Panel(
            title="Versions at once",
            description="How many versions serve in the selected instances. Bad: more than one for "
            "longer than a switch takes.",
            kind="stat",
            unit="none",
            targets=(Target(f"count({total(metric('model_info'), 'version')})", "versions"),),
            limits=Limits(GREEN, ((2, YELLOW),)),
            width=6,
        ),
        Panel(
            title="Failed switches",
            description="Attempts to serve another version that ended with the old one, in the "
            "time shown. Bad: any: somebody wanted another version and did not get it.",
            kind="stat",
            unit="none",
            decimals=0,
            targets=(Target(total(increase("model_swap_total", 'result=~"failed_.*"')), "failed"),),
            limits=bad_above_none(),
            width=6,
        ),
        Panel(
            title="Loaded within",
            description="Seconds to verify, load, warm up and prove the model that serves; the "
            "slowest instance. Bad: many times what it was; a start takes as long.",
            kind="stat",
            unit="s",
            decimals=2,
            targets=(Target(largest(metric("model_load_seconds")), "seconds"),),
            width=6,
        ),
        Panel(
            title="Instances by version",
            description="How many instances say they serve each version, one upon the other. Bad: "
            "two versions side by side for long; fewer instances than there should be.",
            unit="short",
            decimals=0,
            targets=(
                Target(
                    total(metric("model_info"), "version", "provider"),
                    "version {{version}} on {{provider}}",
                ),
            ),
            stacked="normal",
            width=12,
        ),
        Panel(
            title="Switches by result",
            description="Attempts to serve another version; each worker's counts. swapped: it "
            "serves. failed_*: the gate it did not pass, while the old one goes on. Bad: any "
            "failed_*, above all one that is tried again and again.",
            unit="short",
            targets=(Target(events("model_swap_total", by="result"), "{{result}}"),),
            bars=True,
            stacked="normal",
            colours={"^swapped$": GREEN, "^failed_": RED},
            width=12,
        ),
        *(
            Panel(
                title=f"Duration of prediction requests by version, {name}",
                description="From a request's head to its answer's end, of those that this version "
                "answered; of the last four versions of each process. Bad: a new version that is "
                "slower than the one it is to take the place of, at the same traffic.",
                unit="s",
                targets=(
                    Target(
                        quantile(
                            part,
                            "http_request_duration_seconds",
                            PREDICTION,
                            ANSWERED,
                            by=("version",),
                        ),
                        "version {{version}}",
                    ),
                ),
                scale="log",
                width=12,
            )
            for part, name in ((0.5, "p50"), (0.99, "p99"))
        ),
    ),
)
