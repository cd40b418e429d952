"""What the tests of attacks share."""

from collections.abc import Iterator

import pytest

from tests.security.attempts import Attempts


@pytest.fixture
def attempts(request: pytest.FixtureRequest) -> Iterator[Attempts]:
    """Counts this test's attempts; the test fails if one of them got through, or none was made."""
    made = Attempts(request.node.nodeid.partition("::")[2])
    yield made
    made.close()
