"""What the tests of Amazon SES share."""

import pytest

from tests.contract.email.ses.recorded import AWS_SECRET


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACONTRACT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
