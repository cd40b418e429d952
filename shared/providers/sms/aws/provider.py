"""AWS End User Messaging SMS (boto3 `pinpoint-sms-voice-v2`, SendTextMessage): one recipient per call."""

import logging
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from shared.model.accounts import NoSecret, ProviderSettings
from shared.model.content import RenderedSms
from shared.model.outcome import Outcome, Rejected, Report, Reported, Sent, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.net.hosts import aws_vendor, check_endpoint, endpoint_server
from shared.net.network import Network
from shared.net.pools import guard_botocore
from shared.providers.base import MAX_CALLS, Outgoing, Provider, Tools, Verification
from shared.providers.reaching import explained, report_of
from shared.providers.sms.aws import context
from shared.providers.sms.aws.codes import WORDS, outcome_of_answer, outcome_of_failure, report_of_answer

if TYPE_CHECKING:
    from mypy_boto3_pinpoint_sms_voice_v2 import PinpointSMSVoiceV2Client

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
# A number of AWS's simulator (user guide, "SMS simulator"): no carrier, allowed in the SMS sandbox.
SIMULATOR = "+14254147755"

_ARN = re.compile(r"arn:aws[a-z-]*:sms-voice:(?P<region>[a-z0-9-]+):[0-9]{12}:[a-z-]+/[A-Za-z0-9_:/+-]+\Z")
# SendTextMessage, OriginationIdentity (AWS End User Messaging SMS API reference); a short code is a number, too.
_ORIGIN = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,6}|(phone|pool)-[A-Za-z0-9_-]{1,64}|[A-Za-z0-9_-]{1,11}")

# What a trial send to the simulator's country may stumble over though the account sends well elsewhere.
_OF_THE_COUNTRY = frozenset({Reason.REGION_NOT_ENABLED, Reason.SENDER_REFUSED, Reason.RECIPIENT_NOT_VERIFIED})


HOSTS = aws_vendor("sms-voice", "https://sms-voice.eu-west-1.amazonaws.com")


class Settings(ProviderSettings):
    """An origination identity (a phone number, sender id or pool, by name or ARN) in a region."""

    provider: Literal["aws"]
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    """Without it, the function's own."""
    origination_identity: str = Field(pattern=r"^[A-Za-z0-9_:/+-]{1,256}$")
    message_type: Literal["TRANSACTIONAL", "PROMOTIONAL"] = "TRANSACTIONAL"
    configuration_set: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_:/-]{1,256}$")
    protect_configuration: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_:/-]{1,256}$")
    max_price: str | None = Field(default=None, pattern=r"^[0-9]{0,2}\.[0-9]{1,5}$")
    """USD per message, such as `0.05`."""
    time_to_live: int | None = Field(default=None, ge=5, le=259_200)
    """Seconds, 5 to 259,200, that AWS goes on trying."""
    report_conversion: bool = True
    """Whether AWS is told of texts whose code was given back. It then takes verifications that it is not told of within
    an hour for failed (SendTextMessage, `MessageFeedbackEnabled`)."""
    endpoint: str | None = None
    timeout: float = Field(default=10.0, gt=0, le=10)
    """Seconds for an answer."""

    @field_validator("origination_identity", "configuration_set", "protect_configuration")
    @classmethod
    def _in_the_region(cls, name: str | None, info: ValidationInfo) -> str | None:
        """Refuse the ARN of another service or region, where AWS knows nothing of the name."""
        region = info.data.get("region")
        if name is not None and name.startswith("arn:"):
            found = _ARN.match(name)
            if found is None:
                raise ValueError("give a name, or an ARN of the service sms-voice")
            if region is not None and found["region"] != region:
                raise ValueError(f"the ARN is of the region {found['region']}, the account of {region}")
        return name

    @field_validator("origination_identity")
    @classmethod
    def _sendable(cls, name: str) -> str:
        if re.fullmatch(r"[0-9]{7,}", name):
            raise ValueError(f"begin a phone number with + and its country code, such as +{name}")
        if not name.startswith("arn:") and not _ORIGIN.fullmatch(name):
            raise ValueError(
                "give a phone number such as +12065550142, a sender id of at most 11 letters and digits, the id of a "
                "number or a pool (phone-..., pool-...), or its ARN"
            )
        return name

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, url: str | None) -> str | None:
        return None if url is None else check_endpoint(url, HOSTS)

    def server(self) -> tuple[str, str, int] | None:
        return endpoint_server(self.endpoint)


Secret = NoSecret


def build(settings: Settings, secret: NoSecret, tools: Tools) -> Provider:
    """Make the provider; nothing is connected yet."""
    return AwsSms(settings, tools.network, tools.tenant)


class AwsSms(Provider):
    """Sends one message per call, once: boto3's own retries would send again after a read time-out."""

    worst_case_seconds = 15.0
    # EventBridge has events of every text, but without what rides along.
    indexed = True

    def __init__(self, settings: Settings, network: Network, tenant: str) -> None:
        self._settings = settings
        self._tenant = tenant
        self._network = network
        self._lock = threading.Lock()
        self._client: PinpointSMSVoiceV2Client | None = None

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        return [self._send_one(message) for message in group]

    def verify(self) -> Verification:
        """Let AWS check a message to its simulator without sending it (DryRun: free, and no further permission)."""
        outcome = self._call(SIMULATOR, "mePush account check", DryRun=True)
        if isinstance(outcome, Sent):
            return Verification(True, "AWS accepts messages from this origination identity.")
        reached = "AWS knows the account and the identity, but would not send from it to the United States, where "
        if isinstance(outcome, Rejected) and outcome.reason in _OF_THE_COUNTRY:
            action = "Nothing, unless you send there; else enable the country or add a sender for it."
            return Verification(True, reached + "the trial message was for.", action, outcome.raw_code)
        known = explained(outcome.raw_code)
        if known is not None:
            return known
        summary, action = WORDS.get(outcome.raw_code.partition("/")[0]) or EXPLANATIONS[outcome.reason]
        if outcome.reason in {Reason.TIMED_OUT, Reason.CONNECTION_LOST, Reason.CONNECTION_FAILED}:
            action = "Check the region, the endpoint and the network, then verify again."
        return Verification(False, summary, action, outcome.raw_code)

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _send_one(self, message: Outgoing) -> Outcome:
        content = message.content
        if not isinstance(content, RenderedSms) or content.text is None:
            return Rejected(Reason.TEMPLATE_REFUSED, "no_text")
        along = {context.MESSAGE_ID: message.message_id, context.TENANT: self._tenant}
        more = {"MessageFeedbackEnabled": True} if message.checked and self._settings.report_conversion else {}
        return self._call(message.to, content.text, Context=along, **more)

    def report_conversion(self, provider_message_id: str, at: int) -> Report:
        from botocore.exceptions import ClientError

        try:
            answer = self._connected().put_message_feedback(
                MessageId=provider_message_id, MessageFeedbackStatus="RECEIVED"
            )
        except ClientError as error:
            return report_of_answer(error.response)
        except Exception as error:  # botocore's parser stumbles in many ways over what it does not expect
            return report_of(outcome_of_failure(error))
        # botocore takes a body that it cannot read for an answer without fields.
        if answer.get("MessageFeedbackStatus") != "RECEIVED":
            return Unknown(Reason.UNRECOGNISED_ANSWER, "no_status")
        return Reported()

    def _call(self, to: str, text: str, **more: Any) -> Outcome:
        from botocore.exceptions import ClientError

        s = self._settings
        params: dict[str, Any] = {
            "DestinationPhoneNumber": to,
            "OriginationIdentity": s.origination_identity,
            "MessageBody": text,
            "MessageType": s.message_type,
            "ConfigurationSetName": s.configuration_set,
            "ProtectConfigurationId": s.protect_configuration,
            "MaxPrice": s.max_price,
            "TimeToLive": s.time_to_live,
            **more,
        }
        try:
            answer = self._connected().send_text_message(**{k: v for k, v in params.items() if v is not None})
        except ClientError as error:
            return outcome_of_answer(error.response)
        except Exception as error:  # botocore's parser stumbles in many ways over what it does not expect
            return outcome_of_failure(error)
        message_id = answer.get("MessageId")
        return Sent(message_id) if message_id else Unknown(Reason.UNRECOGNISED_ANSWER, "no_message_id")

    def _connected(self) -> "PinpointSMSVoiceV2Client":
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> "PinpointSMSVoiceV2Client":
        import boto3
        from botocore import __version__
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=self._settings.timeout,
            retries={"total_max_attempts": 1},
            max_pool_connections=MAX_CALLS,
            # AWS looks at the parameters itself, and what botocore says of itself it puts together anew each time.
            parameter_validation=False,
            user_agent=f"Botocore/{__version__} mePush",
        )
        # A session of its own: the default one is not safe to use from several threads.
        client = boto3.session.Session().client(
            "pinpoint-sms-voice-v2",
            region_name=self._settings.region,
            endpoint_url=self._settings.endpoint,
            config=config,
        )
        guard_botocore(client, self._network)
        return client
