"""Which model version serves, how switches ended, what it predicts and with which confidence."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from deploy.grafana.dashboard import Rows
from deploy.grafana.panel import (
    GREEN,
    LOG,
    RED,
    STACKED,
    YELLOW,
    ZERO_EXPECTED,
    bad_from,
    bargauge,
    bars,
    fixed,
    heatmap,
    limits,
    query,
    stat,
    timeseries,
)
from deploy.grafana.promql import (
    ANSWERED,
    PREDICTION,
    events,
    increase,
    largest,
    metric,
    quantile,
    rate,
    recorded,
    total,
)

_BY_LABEL = total(rate("predictions_total"), "label")
_UNCERTAIN = total(rate("predictions_uncertain_total"))
_ANSWERS = total(rate("predictions_total"))
_SHOWN_BY_LABEL = total(increase("predictions_total"), "label")
_SHOWN = total(increase("predictions_total"))
_FOUND, _EXPECTED = recorded("input_share:ratio_1h"), recorded("expected_share:ratio")

ROWS: Rows = {
    "What serves": (
        stat(
            "Version",
            "The version that serves, with the name of the model. Bad: another version than the "
            "intended one.",
            query(total(metric("model_info"), "name", "version"), "{{name}} {{version}}"),
            unit="none",
            width=6,
        ).text_mode(BigValueTextMode.NAME),
        stat(
            "Versions at once",
            "Number of versions that serve in the selected instances. Bad: more than one for "
            "longer than a switch takes.",
            query(f"count({total(metric('model_info'), 'version')})", "versions"),
            unit="none",
            width=6,
            thresholds=limits(GREEN, (2, YELLOW)),
        ),
        stat(
            "Failed switches",
            "Attempts to serve another version that failed in the time range shown; the old "
            "version serves on. Bad: any.",
            query(total(increase("model_swap_total", 'result=~"failed_.*"')), "failed"),
            unit="none",
            width=6,
            thresholds=ZERO_EXPECTED,
        ).decimals(0),
        stat(
            "Loaded within",
            "Time to verify, load, warm up and prove the model that serves, of the slowest "
            "instance. Bad: many times the usual; a start takes as long.",
            query(largest(metric("model_load_seconds")), "seconds"),
            unit="s",
            width=6,
        ).decimals(2),
        timeseries(
            "Instances by version",
            "Instances that report each version, stacked. Bad: two versions side by side for "
            "long; fewer instances than expected.",
            query(
                total(metric("model_info"), "version", "provider"),
                "version {{version}} on {{provider}}",
            ),
            unit="short",
        )
        .decimals(0)
        .stacking(STACKED),
        bars(
            timeseries(
                "Switches by result",
                "Attempts to serve another version; each worker counts its own. swapped: the new "
                "version serves. failed_*: the check that it did not pass; the old version serves "
                "on. Bad: any failed_*, above all one that is repeated.",
                query(events("model_swap_total", by="result"), "{{result}}"),
                unit="short",
            )
        )
        .stacking(STACKED)
        .override_by_regexp("^swapped$", fixed(GREEN))
        .override_by_regexp("^failed_", fixed(RED)),
        *(
            timeseries(
                f"Duration of prediction requests by version, {name}",
                "From a request's first byte to the end of its response, of the requests that this "
                "version answered; for the last four versions of each process. Bad: a new version "
                "that is slower than its predecessor at the same traffic.",
                query(
                    quantile(
                        part,
                        "http_request_duration_seconds",
                        PREDICTION,
                        ANSWERED,
                        by=("version",),
                    ),
                    "version {{version}}",
                ),
                unit="s",
                lowest=None,
            ).scale_distribution(LOG)
            for part, name in ((0.5, "p50"), (0.99, "p99"))
        ),
    ),
    "Predictions": (
        timeseries(
            "Predictions by label",
            "Images predicted per second, stacked by label. Bad: a label that stops, or one that "
            "replaces the others.",
            query(_BY_LABEL, "{{label}}"),
            unit="cps",
            width=8,
        ).stacking(STACKED),
        timeseries(
            "Share of each label",
            "Share of the predictions over time. Bad: a change after a switch of versions or with "
            "a new client: the input or the model has changed.",
            query(f"{_BY_LABEL} / scalar({_ANSWERS})", "{{label}}"),
            unit="percentunit",
            width=8,
        )
        .max(1)
        .stacking(STACKED),
        bargauge(
            "Share of each label, in the time range shown",
            "Share of all predictions in the time range shown. Everyday digits are distributed "
            "about evenly. Bad: a label that stands out or is missing.",
            query(f"{_SHOWN_BY_LABEL} / scalar({_SHOWN})", "{{label}}"),
            unit="percentunit",
            width=8,
        ).decimals(1),
    ),
    "Confidence of the predictions": (
        heatmap(
            "Confidence",
            "Probability of the predicted label: predictions per second in each bucket. A good "
            "model on its own kind of images is nearly always above 0.9. Bad: predictions that "
            "move down; the images differ from the training data.",
            total(rate("prediction_confidence_bucket"), "le"),
            unit="none",
        ),
        timeseries(
            "Confidence, quantiles",
            "One prediction in a hundred, in ten, in two has a lower confidence than these. Bad: "
            "p10 or p50 that falls after a switch. Interpolated inside a bucket, as all quantiles "
            "of histograms.",
            *(
                query(quantile(part, "prediction_confidence"), name)
                for part, name in ((0.5, "p50"), (0.1, "p10"), (0.01, "p1"))
            ),
            unit="percentunit",
            lowest=None,
        ).max(1),
        timeseries(
            "Uncertain predictions",
            "Share of the predictions below the threshold, which is the card's or the request's "
            "own. Bad: many times the share of the test set; a person may have to check them.",
            query(f"{_UNCERTAIN} / {_ANSWERS}", "uncertain"),
            unit="percentunit",
            width=24,
            thresholds=bad_from(0.1, 0.2),
        ),
    ),
    "Images of requests against the test images": (
        timeseries(
            "Input drift (PSI)",
            "Population stability index of each quantity on the version's card, over the last hour "
            "and all instances: 0 where images are distributed as the test images. With fewer than "
            "some hundred images in the hour it is high by chance. Bad: above 0.25; the accuracy "
            "on the test set may no longer hold.",
            query(recorded("input_psi:1h"), "{{quantity}}, version {{version}}"),
            unit="none",
            width=12,
            thresholds=bad_from(0.1, 0.25),
        ),
        bargauge(
            "Bins whose share has changed most",
            "Difference of a bin's share in the last hour from its share of the test images, up "
            "and down. Confidence and label are those of the predictions. Bad: one bin that "
            "has taken much from the others.",
            query(f"topk(5, {_FOUND} - {_EXPECTED} > 0)", "{{quantity}} {{bin}}: more"),
            query(f"topk(5, {_EXPECTED} - {_FOUND} > 0)", "{{quantity}} {{bin}}: less"),
            unit="percentunit",
        ).decimals(1),
    ),
}
