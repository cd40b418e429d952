"""Services are described to botocore as botocore itself reads them."""

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader
from botocore.session import Session

from infra.specs import AWS_SERVICES
from shared.aws.descriptions import Descriptions


@pytest.mark.parametrize("service", AWS_SERVICES)
@pytest.mark.parametrize("kind", ["service-2", "paginators-1", "endpoint-rule-set-1"])
def test_a_service_is_described_as_botocore_reads_it(service: str, kind: str) -> None:
    ours, theirs = (loader.load_service_model(service, kind) for loader in (Descriptions(), Loader()))
    assert ours == theirs
    # Names of shapes and members keep their order.
    assert list(ours) == list(theirs)
    assert [list(shape) for shape in ours.get("shapes", {}).values()] == [
        list(shape) for shape in theirs.get("shapes", {}).values()
    ]


@pytest.mark.parametrize("name", ["endpoints", "partitions", "_retry"])
def test_what_all_services_share_is_as_botocore_reads_it(name: str) -> None:
    assert Descriptions().load_data(name) == Loader().load_data(name)


def test_a_service_that_there_is_not_is_unknown() -> None:
    session = Session()
    session.register_component("data_loader", Descriptions())
    with pytest.raises(UnknownServiceError):
        session.create_client("dynamodbx", region_name="us-east-1")
    with pytest.raises(DataNotFoundError):
        Descriptions().load_data("no-such-file")
