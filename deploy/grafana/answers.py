"""What the model answers, and how sure it is."""

from deploy.grafana.dashboard import Row
from deploy.grafana.panel import Panel, Target, bad_from
from deploy.grafana.promql import increase, quantile, rate, total

_BY_LABEL = total(rate("predictions_total"), "label")
_UNCERTAIN = total(rate("predictions_uncertain_total"))
_ANSWERS = total(rate("predictions_total"))

ANSWERS = Row(
    "What it answers",
    (
        Panel(
            title="Answers by label",
            description="Pictures answered a second, one label upon the other. Bad: a label that "
            "stops, or one that swallows the others.",
            unit="cps",
            targets=(Target(_BY_LABEL, "{{label}}"),),
            stacked="normal",
            width=8,
        ),
        Panel(
            title="Share of each label",
            description="Of the answers in each moment. Bad: a change that follows a switch or a "
            "new client rather than the world: what is sent has changed, or the model has.",
            unit="percentunit",
            highest=1,
            targets=(Target(f"{_BY_LABEL} / scalar({_ANSWERS})", "{{label}}"),),
            stacked="normal",
            width=8,
        ),
        Panel(
            title="Share of each label, in the time shown",
            description="Of all answers in the time shown. Digits of everyday life are about even. "
            "Bad: one that stands out, or is missing.",
            kind="bargauge",
            unit="percentunit",
            decimals=1,
            targets=(
                Target(
                    f"{total(increase('predictions_total'), 'label')} / "
                    f"scalar({total(increase('predictions_total'))})",
                    "{{label}}",
                ),
            ),
            width=8,
        ),
    ),
)

CONFIDENCE = Row(
    "How sure it is",
    (
        Panel(
            title="Confidence",
            description="Probability of the answer given: how many answers a second fell into each "
            "bucket. A good model on its own kind of pictures is nearly always above 0.9. Bad: "
            "answers that move down; the pictures are not what it learned from.",
            kind="heatmap",
            unit="none",
            targets=(Target(total(rate("prediction_confidence_bucket"), "le"), "{{le}}"),),
            width=12,
        ),
        Panel(
            title="Confidence, quantiles",
            description="One answer in a hundred, in ten, in two is less sure than these. Bad: "
            "p10 or p50 that falls after a switch. Guessed inside a bucket, as all quantiles of "
            "histograms.",
            unit="percentunit",
            lowest=None,
            highest=1,
            targets=tuple(
                Target(quantile(part, "prediction_confidence"), name)
                for part, name in ((0.5, "p50"), (0.1, "p10"), (0.01, "p1"))
            ),
            width=12,
        ),
        Panel(
            title="Uncertain answers",
            description="Share of the answers below the threshold: the card's, or the request's "
            "own. Bad: many times what the test set had; somebody may have to look at them.",
            unit="percentunit",
            targets=(Target(f"{_UNCERTAIN} / {_ANSWERS}", "uncertain"),),
            limits=bad_from(0.1, 0.2),
            width=24,
        ),
    ),
)
