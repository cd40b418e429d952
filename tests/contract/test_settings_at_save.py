"""What a provider would refuse for certain is refused when an account is saved, with the words to give instead."""

from typing import Any

import pytest
from pydantic import ValidationError

from functions.manage.account_input import read_secret, read_settings
from shared.errors import InvalidError
from shared.providers.registry import secret_model, settings_adapter

SMTP = {"provider": "smtp", "host": "smtp.qq.com", "port": 465, "security": "tls", "from_address": "12345@qq.com"}
TENCENT = {"provider": "tencent", "sdk_app_id": "1400006666"}
AWS = {"provider": "aws", "region": "eu-west-1"}
ARN = "arn:aws:sms-voice:{}:111122223333:phone-number/phone-0123456789abcdef"


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        (TENCENT | {"sign_name": "【蓝鲸商城】"}, "sign_name", "give the signature's text alone: 蓝鲸商城"),
        (TENCENT | {"sign_name": "[蓝鲸商城]"}, "sign_name", "give the signature's text alone: 蓝鲸商城"),
        (TENCENT | {"sign_name": "蓝鲸商城】"}, "sign_name", "give the signature's text alone: 蓝鲸商城"),
        (TENCENT | {"sign_name": " 蓝鲸商城\u3000"}, "sign_name", "give the signature's text alone: 蓝鲸商城"),
        (TENCENT | {"sign_name": "【】"}, "sign_name", "give the signature's text"),
        (TENCENT | {"sign_name": "蓝鲸\n商城"}, "sign_name", "without line breaks"),
        (TENCENT | {"sign_name_abroad": "【Bluewhale】"}, "sign_name_abroad", "text alone: Bluewhale"),
        (AWS | {"origination_identity": "12065550142"}, "origination_identity", "such as +12065550142"),
        (AWS | {"origination_identity": "+0206"}, "origination_identity", "give a phone number such as"),
        (AWS | {"origination_identity": "BLUEWHALESHOP"}, "origination_identity", "at most 11 letters"),
        (AWS | {"origination_identity": ARN.format("us-east-1")}, "origination_identity", "of the region us-east-1"),
        (AWS | {"origination_identity": "arn:aws:sns:eu-west-1:1:x"}, "origination_identity", "service sms-voice"),
        (
            AWS | {"origination_identity": "SHOP", "configuration_set": ARN.format("us-east-1")},
            "configuration_set",
            "of the region us-east-1",
        ),
        (SMTP, "username", "smtp.qq.com takes mail from its own users only"),
        (
            SMTP | {"username": "12345@qq.com", "from_address": "shop@shop.example"},
            "from_address",
            "sends only as who logs in; give 12345@qq.com",
        ),
        (
            SMTP | {"host": "smtp.163.com", "username": "shop", "from_address": "shop@qq.com"},
            "from_address",
            "give the login's own address",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_by_its_field(settings: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidError) as refused:
        read_settings(settings)
    [error] = refused.value.errors
    assert error.field == f"settings.{field}" and words in error.message


@pytest.mark.parametrize(
    "settings",
    [
        TENCENT | {"sign_name": "蓝鲸商城"},
        TENCENT | {"sign_name": "蓝鲸(中国)", "sign_name_abroad": "Blue Whale"},
        AWS | {"origination_identity": "+12065550142"},
        AWS | {"origination_identity": "12345"},
        AWS | {"origination_identity": "BLUEWHALE"},
        AWS | {"origination_identity": "pool-0123456789abcdef0123456789abcdef"},
        AWS | {"origination_identity": ARN.format("eu-west-1")},
        AWS | {"region": None, "origination_identity": ARN.format("us-east-1")},
        SMTP | {"username": "12345@qq.com"},
        SMTP | {"username": "12345@qq.com", "from_address": "shop@foxmail.com"},
        SMTP | {"username": "shop@shop.example", "from_address": "Shop@shop.example"},
        SMTP | {"host": "smtp.shop.example", "from_address": "other@shop.example"},
    ],
)
def test_what_may_be_right_is_taken(settings: dict[str, Any]) -> None:
    assert settings_adapter().validate_python(settings).provider == settings["provider"]


@pytest.mark.parametrize(
    ("provider", "given"),
    [
        ("smtp", {"password": "secret\n"}),
        ("app", {"corp_secret": "two words"}),
        ("app", {"corp_secret": " "}),
        ("tencent", {"secret_id": "AKID x", "secret_key": "0123456789"}),
        ("robot", {"key": "短"}),
    ],
)
def test_a_secret_that_was_copied_wrong_is_refused_without_being_shown(provider: str, given: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refused:
        secret_model(provider).model_validate(given)
    assert not any(value.strip() and value in str(refused.value) for value in given.values())


def test_blanks_around_a_secret_are_left_out() -> None:
    assert read_secret("app", {"corp_secret": " abc\n"}) == {"corp_secret": "abc"}
