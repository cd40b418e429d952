"""Verifying events: with the library of the specification's authors on the other side."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from functions.webhooks.signing import new_secret, signed_headers
from mepush.client.webhooks import WebhookError, verify

SECRET, OTHER, THIRD = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 3))
NOW = 1_736_935_200
BODY = '{"type":"message.sent","data":{"name":"李雷 😀","n":1.0}}'.encode()


def _verify(body: bytes = BODY, secret: Any = SECRET, headers: Mapping[str, str] = MappingProxyType({})) -> Any:
    signed = signed_headers("msg_1", NOW, BODY, [SECRET]) | dict(headers)
    return verify(body, signed, secret, now=lambda: NOW)


def test_what_the_library_signs_is_verified() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    headers = {
        "Webhook-Id": "msg_1",
        "WEBHOOK-TIMESTAMP": str(NOW),
        "webhook-signature": Webhook(SECRET).sign("msg_1", at, BODY.decode()),
    }
    assert verify(BODY, headers, SECRET, now=lambda: NOW) == json.loads(BODY)


def test_what_we_sign_the_library_verifies() -> None:
    now = int(datetime.now(UTC).timestamp())
    both = signed_headers("msg_1", now, BODY, [OTHER, SECRET])
    assert Webhook(SECRET).verify(BODY, both) == Webhook(OTHER).verify(BODY, both) == json.loads(BODY)


def test_the_example_of_the_specification() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert verify(b'{"test": 2432232314}', headers, secret, now=lambda: 1614265330) == {"test": 2432232314}


def test_a_new_secret_is_as_the_specification_asks() -> None:
    key = base64.b64decode(new_secret().removeprefix("whsec_"), validate=True)
    assert 24 <= len(key) <= 64 and new_secret() != new_secret()


def test_during_a_rotation_either_side_may_have_two() -> None:
    both = signed_headers("msg_1", NOW, BODY, [OTHER, SECRET])
    assert verify(BODY, both, SECRET, now=lambda: NOW) == verify(BODY, both, [THIRD, OTHER], now=lambda: NOW)


def test_signatures_of_other_versions_and_nonsense_beside_a_good_one_are_passed_over() -> None:
    good = signed_headers("msg_1", NOW, BODY, [SECRET])["webhook-signature"]
    assert _verify(headers={"webhook-signature": f"v1a,abc v2,{good[3:]} v1,*** {good} v1, x"})


@pytest.mark.parametrize(
    ("body", "secret", "headers"),
    [
        (BODY + b" ", SECRET, {}),
        (json.dumps(json.loads(BODY)).encode(), SECRET, {}),
        (BODY, OTHER, {}),
        (BODY, [OTHER, THIRD], {}),
        (BODY, SECRET, {"webhook-id": "msg_2"}),
        (BODY, SECRET, {"webhook-id": ""}),
        (BODY, SECRET, {"webhook-timestamp": str(NOW + 1)}),
        (BODY, SECRET, {"webhook-timestamp": str(NOW - 301)}),
        (BODY, SECRET, {"webhook-timestamp": str(NOW + 301)}),
        (BODY, SECRET, {"webhook-timestamp": "soon"}),
        (BODY, SECRET, {"webhook-timestamp": f"{NOW}.0"}),
        (BODY, SECRET, {"webhook-timestamp": "1" * 400}),
        (BODY, SECRET, {"webhook-timestamp": "١٧٣٦٩٣٥٢٠٠"}),
        (BODY, SECRET, {"webhook-signature": ""}),
        (BODY, SECRET, {"webhook-signature": "v1,"}),
        (BODY, SECRET, {"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()}),
        (BODY, SECRET, {"webhook-signature": "nonsense"}),
    ],
)
def test_what_is_not_ours_or_not_of_now_is_refused(body: bytes, secret: Any, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookError) as error:
        _verify(body, secret, headers)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("body", [b"no json", b"[1]", b'"x"', b"\xff"])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookError):
        verify(body, signed_headers("msg_1", NOW, body, [SECRET]), SECRET, now=lambda: NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_a_secret_that_is_none_says_so(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        _verify(secret=secret)
