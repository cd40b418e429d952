"""The Tencent Cloud sandbox and a provider of its account; the tests of AWS have their own."""

from collections.abc import Iterator

import pytest

from shared.providers.base import Provider
from tests.contract.sms.tencent.support import APP, SECRET_ID, SECRET_KEY, Sandbox, provider_at


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    templates: dict[str, int | str] = {"1234": 0, "2": "您的验证码是{1}，{2}分钟内有效。"}
    with Sandbox(keys={SECRET_ID: SECRET_KEY}, sdk_app_id=APP, templates=templates, signs=frozenset({"微推"})) as found:
        yield found


@pytest.fixture
def provider(sandbox: Sandbox) -> Iterator[Provider]:
    found = provider_at(sandbox.url)
    yield found
    found.close()
