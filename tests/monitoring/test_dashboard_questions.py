"""The queries of the dashboards, answered by a real Prometheus that scraped failing services."""

import math
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise

import pytest

from contract.store import Store
from contract.version import Version
from tests.fixtures import Judged
from tests.interop.programs import required
from tests.monitoring.dashboards import NAMES, Question, dashboard, marks, questions, spelled
from tests.monitoring.series import Series, label_values
from tests.monitoring.watched import Watched, watched
from tests.support.pictures import encoded
from tests.support.versions import publish

SECONDS = 20.0  # of failures
BELOW_ZERO = {"Error budget left"}  # where an objective is missed
# These stay 0 as long as machine and service are healthy.
CALM = {
    "Fallbacks", "Provider", "Instances down", "Unavailability",
    "Reads of the model store that hang", "Series without room", "Messages of native libraries",
    "Repeated requests", "Errors that clients got", "Burn rate of the last hour",
    "Error budget left",
}  # fmt: skip


@pytest.fixture(scope="module")
def seen(
    published: tuple[Store, Version],
    judged: Judged,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(published[0].folder, models / "digits")
    store = Store(models, "digits")
    for _ in range(2):
        publish(store, published[1])
    pictures = [encoded(pixels) for pixels in judged.pixels]
    with watched(store, pictures, tmp_path_factory.mktemp("prometheus"), SECONDS) as seen:
        yield seen


def numbers(answer: list[Series]) -> list[float]:
    return [value for series in answer for _, value in series.points]


@pytest.fixture
def question(request: pytest.FixtureRequest) -> Question:
    """A query of a panel; those of the balancer are skipped where HAProxy is not installed."""
    question: Question = request.param
    if "store_sync" in question.text or "store_last_sync" in question.text:
        pytest.skip("the store of these services is a folder, not a bucket")
    if "haproxy_" in question.text:
        required("haproxy")
    return question


@pytest.mark.parametrize("question", questions(), ids=str, indirect=True)
def test_each_panel_shows_data(question: Question, seen: Watched) -> None:
    answer = seen.answers(question)
    known = [value for value in numbers(answer) if math.isfinite(value)]
    assert known, question.text
    assert question.panel in CALM or max(known) > 0, question.text
    assert question.panel in BELOW_ZERO or min(known) >= 0, question.text


@pytest.mark.parametrize("question", questions(), ids=str, indirect=True)
def test_each_series_has_the_labels_of_its_legend(question: Question, seen: Watched) -> None:
    named = set(re.findall(r"{{(\w+)}}", question.legend)) - {"worker"}  # of several workers
    for series in seen.answers(question):
        assert named <= set(series.labels), question.text
    if not named:  # without labels, the legend cannot distinguish two series
        assert len(seen.answers(question)) == 1, question.text


@pytest.mark.parametrize(
    "question", [each for each in questions() if each.kind == "heatmap"], ids=str
)
def test_a_heat_map_has_cells_in_several_buckets(question: Question, seen: Watched) -> None:
    highest = {
        float(series.labels["le"]): max(value for _, value in series.points)
        for series in seen.answers(question)
    }
    counts = [highest[le] for le in sorted(highest)]
    assert math.inf in highest
    assert sum(more > less for less, more in pairwise(counts)) >= 2


def test_shares_are_between_0_and_1(seen: Watched) -> None:
    for question in questions():
        if re.match("Answered|Unavailability|Within|Share|Uncertain", question.panel):
            known = [value for value in numbers(seen.answers(question)) if math.isfinite(value)]
            assert 0 <= min(known) <= max(known) <= 1.0001, question.panel


def test_annotations_show_every_switch_and_the_failed_one(seen: Watched) -> None:
    for mark in marks():
        found = seen.answers(mark)
        if mark.panel == "Version serves":
            assert {"2", "3"} <= {series.labels["version"] for series in found}
        else:
            assert {series.labels["result"] for series in found} == {"failed_verify"}
            assert max(numbers(found)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_variables_offer_the_job_and_both_instances(name: str, seen: Watched) -> None:
    offered = {}
    for variable in dashboard(name)["templating"]["list"][1:]:  # the first is the data source
        question = spelled(variable["query"]["query"], shown=1)
        metric, label = question.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        offered[variable["name"]] = label_values(seen.prometheus, metric, label)
    assert offered["job"] == {"digitserve"}
    assert len(offered["instance"]) == 2
