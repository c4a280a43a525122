"""Values that cannot work are refused before anything is installed, in a sentence."""

import pytest

from tests.helm.chart import CHART, Refused, helm, render


def test_a_chart_without_a_model_store_is_refused() -> None:
    with pytest.raises(Refused, match="set exactly one of models"):
        helm("template", "d", CHART)


@pytest.mark.parametrize(
    ("values", "override", "reason"),
    [
        ("claim", 'models.url="s3://b/p"', "the values name 2: set exactly one of models.url"),
        (
            "claim",
            'models.claim.accessMode="ReadWriteOnce"',
            "which one node can mount, and there are up to 3 replicas",
        ),
        (
            "claim-hpa",
            'models.claim.accessMode="ReadWriteOnce"',
            "which one node can mount, and there are up to 12 replicas",
        ),
        ("claim", "models.claim.readOnly=false", "ReadOnlyMany cannot be written to"),
        ("claim-hpa", "autoscaling.minReplicas=13", "larger than autoscaling.maxReplicas"),
        ("claim", "rollout.maxSurge=0", "both 0: no pod could ever be replaced"),
        ("claim-hpa", 'settings.ROOT_PATH="/digits"', "do not remove a prefix"),
        ("claim", "httpRoute.enabled=true", "httpRoute.parentRefs is empty: name the Gateway"),
        ("claim", 'resources.limits.cpu="2"', "resources.limits.cpu is 2 and differs"),
        ("retraining", 'secrets.jobs.name=""', "retraining.enabled needs secrets.jobs.name"),
        ("retraining", 'models.claim.accessMode="ReadOnlyMany"', "retraining publishes versions"),
        ("init-image", "retraining.enabled=true", "retraining.enabled needs secrets.jobs.name"),
        ("everything", 'resources.limits.memory="1.5Gi"', "write whole numbers of Ki, Mi, Gi"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    values: str, override: str, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        render(values, override)


def test_one_replica_may_use_a_volume_of_one_node() -> None:
    assert render("claim", 'models.claim.accessMode="ReadWriteOnce"', "replicas=1")


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ('replicas="two"', "/replicas"),
        ("replicas=0", "/replicas"),
        ('autoscaling.kind="vpa"', "/autoscaling/kind"),
        ("replicaCount=3", "replicaCount"),
        ("settings.MAX_BACH=64", "MAX_BACH"),
        ("settings.MAX_BATCH=0", "/settings/MAX_BATCH"),
        ('settings.ACCESS_LOG="some"', "/settings/ACCESS_LOG"),
        ('settings.ADMIN_TOKEN="0123456789abcdef"', "ADMIN_TOKEN"),
        ("settings.PORT=9000", "PORT"),
        ('models.url="s3://key:secret@host/models"', "/models/url"),
        ('models.url="file:///models"', "/models/url"),
        ('image.digest="sha256:abc"', "/image/digest"),
        ('gpu.resource="gpu"', "/gpu/resource"),
        ("retraining.replica=2", "replica"),
        ('tmpSize="256 MB"', "/tmpSize"),
    ],
)
def test_unknown_names_wrong_types_and_values_out_of_bounds_are_refused(
    override: str, place: str
) -> None:
    with pytest.raises(Refused, match=place):
        render("claim", override)
