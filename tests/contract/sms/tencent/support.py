"""What the tests of the Tencent Cloud provider share."""

import json

from local.sandbox.tencent import TencentSandbox
from shared.model.clock import Clock
from shared.model.outcome import Outcome
from shared.providers.base import Provider
from shared.providers.registry import build_provider
from tests.contract.sms.support import Recorded, message, tools
from tests.fakes import FakeClock

SECRET_ID = "AKIDcontract"
SECRET_KEY = "contract-secret-key"
APP = "1400006666"
ONE = "+8613812345678"
TWO = "+8613912345678"
ABROAD = "+14254147755"


class Sandbox(Recorded, TencentSandbox):
    """The sandbox, with its requests kept."""

    @property
    def bodies(self) -> list[dict[str, object]]:
        """The requests' bodies."""
        return [json.loads(request.body) for request in self.requests]


def provider_at(
    url: str, *, key: str = SECRET_KEY, secret_id: str = SECRET_ID, clock: Clock | None = None, **settings: object
) -> Provider:
    """A provider of the sandbox's account; its clock stands still if none is given."""
    values = {"provider": "tencent", "sdk_app_id": APP, "sign_name": "微推", "endpoint": url, **settings}
    return build_provider(values, {"secret_id": secret_id, "secret_key": key}, tools(clock or FakeClock()))


def send_one(provider: Provider, to: str = ONE) -> Outcome:
    """What became of one message."""
    (outcome,) = provider.send([message(to)])
    assert outcome is not None
    return outcome
