"""Tencent Cloud SMS, through its own SDK (API version 2021-01-11; Tencent Cloud docs: api/382/55981)."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, field_validator

from shared.model.accounts import ProviderSecret, ProviderSettings, bare_secret
from shared.model.content import RenderedSms
from shared.model.outcome import AccountDown, Outcome, Rejected, Report, Reported, Retry, Sent, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.net.hosts import Vendor, check_endpoint, endpoint_server, is_loopback, read_endpoint
from shared.net.network import Network
from shared.net.pools import guard
from shared.net.problems import causes
from shared.providers.base import Outgoing, Provider, PullError, Tools, Verification
from shared.providers.reaching import explained, outcome_of_reaching, report_of
from shared.providers.sms.tencent.codes import WORDS, outcome_of, request_outcome
from shared.providers.sms.tencent.receipts import REPLIES, REPORTS, reports_of, stops_of
from shared.providers.sms.tencent.records import OLDEST_MS, by_records, by_reports, records_query, reports_query

VERSION = "2021-01-11"
NUMBERS_PER_CALL = 200
CONNECT_SECONDS = 3.0
SECOND_CALL_WITHIN_S = 2.0
"""A look-up makes its second call only after so quick a first one that both end in the provider's worst case."""
MAINLAND = "+86"
ROWS_PER_PULL = 100
"""The most (api/382/55977, api/382/52077)."""


HOME = "https://sms.tencentcloudapi.com"
# Tencent Cloud docs, api/382/38766; the international site's, product/382/40465.
HOSTS = Vendor(
    re.compile(r"sms(\.(intl|internal|[a-z]{2,4}(-[a-z0-9]+)+(\.intl)?))?\.tencentcloudapi\.com"),
    "https://sms.intl.tencentcloudapi.com",
)


def _bare_name(name: str) -> str:
    bare = name.strip(_AROUND)
    if not bare.isprintable():
        raise ValueError("give the signature without line breaks and control characters")
    if bare != name:
        # Tencent Cloud puts the brackets there itself, and does not know a signature that has them.
        raise ValueError(f"give the signature's text alone: {bare}" if bare else "give the signature's text")
    return name


_AROUND = "【】[]［］〖〗「」 \t\r\n\u3000"
"""What stands around a signature in a text message, and is no part of it."""
SignName = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_bare_name)]


class Settings(ProviderSettings):
    """A Tencent Cloud SMS application."""

    keep_secret: ClassVar[frozenset[str]] = frozenset(
        {"sign_name", "sign_name_abroad", "sender_id", "timeout", "pull_receipts", "report_conversion"}
    )

    provider: Literal["tencent"]
    region: str = Field(default="ap-guangzhou", pattern=r"^[a-z]{2,4}-[a-z]+(-[0-9]+)?$")
    sdk_app_id: str = Field(pattern=r"^[0-9]{1,20}$")
    sign_name: SignName | None = None
    """The approved signature's text (not its id), without 【】; needed for mainland numbers."""
    sign_name_abroad: SignName | None = None
    """`sign_name_abroad` and `sender_id`: for other numbers, where approved there; a mainland signature is refused
    abroad."""
    sender_id: str | None = Field(default=None, min_length=1, max_length=50)
    endpoint: str | None = None
    """Only to leave the default, such as `https://sms.intl.tencentcloudapi.com`."""
    timeout: float = Field(default=10.0, gt=0, le=10)
    """Seconds for an answer."""
    pull_receipts: bool = False
    """Whether to ask every ten minutes for what no callback brought; Tencent Cloud's support must have allowed it."""

    report_conversion: bool = False
    """Whether Tencent Cloud is told of texts whose code was given back; its support must allow it (api/382/79152)."""

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, url: str | None) -> str | None:
        return None if url is None else check_endpoint(url, HOSTS)

    def server(self) -> tuple[str, str, int] | None:
        return endpoint_server(self.endpoint)


class Secret(ProviderSecret):
    """An API key: SecretId and SecretKey of the console's access management."""

    model_config = ConfigDict(hide_input_in_errors=True)

    secret_id: Annotated[SecretStr, AfterValidator(bare_secret)]
    secret_key: Annotated[SecretStr, AfterValidator(bare_secret)]


def build(settings: Settings, secret: Secret, tools: Tools) -> Provider:
    """Make the provider; nothing is connected or imported yet."""
    return TencentSms(settings, secret, tools)


class _VendorError(Exception):
    """Tencent Cloud answered with a code for the whole request: nothing was sent, unless the code says otherwise."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _TransportError(Exception):
    """No readable answer came."""

    def __init__(self, outcome: Retry | Unknown | AccountDown) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class TencentSms(Provider):
    """Sends up to 200 numbers of one text per call and reads the result of each.

    One SDK client serves all threads: a call keeps its state in objects of its own, and the connections below it are a
    pool of ten.
    """

    worst_case_seconds = 15.0
    looks_up = True

    def __init__(self, settings: Settings, secret: Secret, tools: Tools) -> None:
        self._settings = settings
        self._secret = secret
        self._clock = tools.clock
        self._network = tools.network
        self._lock = threading.Lock()
        self._client: Any = None

    def group(self, messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
        """Together what has the same template and parameters, at most 200, mainland or not, each number once."""
        groups: list[list[Outgoing]] = []
        filling: dict[object, tuple[list[Outgoing], set[str]]] = {}
        for message in messages:
            content = message.content
            what = (content.template_id, content.params) if isinstance(content, RenderedSms) else None
            key = (what, message.to.startswith(MAINLAND))
            group, numbers = filling.get(key, ([], set()))
            # Results are told apart by number, so a number that comes twice needs a second call.
            if not group or len(group) == NUMBERS_PER_CALL or message.to in numbers:
                group, numbers = filling[key] = ([], set())
                groups.append(group)
            group.append(message)
            numbers.add(message.to)
        return groups

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        if not group:
            return []
        content = group[0].content
        if not isinstance(content, RenderedSms) or content.template_id is None:
            return [Rejected(Reason.TEMPLATE_REFUSED, "no_tencent_template")] * len(group)
        if group[0].to.startswith(MAINLAND) and self._settings.sign_name is None:
            return [Rejected(Reason.SENDER_REFUSED, "no_sign_name")] * len(group)
        try:
            answer = self._call("SendSms", self._params(group, content))
        except _VendorError as error:
            return [request_outcome(error.code, len(group))] * len(group)
        except _TransportError as error:
            return [error.outcome] * len(group)
        return _outcomes(group, answer)

    def look_up(self, messages: Sequence[Outgoing], began: int, ended: int) -> list[Outcome]:
        return [self._look_up(message, began, ended) for message in messages]

    def pulled(self) -> Iterator[Sequence[str]]:
        # Each row is told once: whoever is told keeps it before more is asked for.
        failed: PullError | None = None
        for action, name, bodies_of in (
            ("PullSmsSendStatus", REPORTS, reports_of),
            ("PullSmsReplyStatus", REPLIES, stops_of),
        ):
            try:
                while True:
                    rows = self._pull(action, name)
                    yield bodies_of(rows)
                    if len(rows) < ROWS_PER_PULL:
                        break
            except PullError as error:
                failed = error
        if failed is not None:
            raise failed

    def report_conversion(self, provider_message_id: str, at: int) -> Report:
        params = {
            "SmsSdkAppId": self._settings.sdk_app_id,
            "SerialNo": provider_message_id,
            "ConversionTime": at // 1000,
        }
        try:
            answer = self._call("ReportConversion", params)
        except _VendorError as error:
            return report_of(outcome_of(error.code))
        except _TransportError as error:
            return error.outcome
        status = answer.get("ReportConversionStatus")
        code = str(status.get("Code") or "") if isinstance(status, dict) else ""
        # Its SDK says `ok`, its documentation `OK`.
        return Reported() if code.lower() == "ok" else Rejected(Reason.UNRESOLVED, code or "no_status")

    def _pull(self, action: str, name: str) -> list[Any]:
        """Rows that nobody has been told yet. Raises: PullError."""
        try:
            answer = self._call(action, {"Limit": ROWS_PER_PULL, "SmsSdkAppId": self._settings.sdk_app_id})
        except _VendorError as error:
            raise PullError(error.code) from None
        except _TransportError as error:
            raise PullError(error.outcome.raw_code) from None
        rows = answer.get(name)
        if rows is None and name in answer:
            return []
        if not isinstance(rows, list):
            raise PullError("no_rows")
        return rows

    def verify(self) -> Verification:
        """Ask for the last hour's statistics: that tries key, application and network, and sends nothing."""
        hour = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC) + timedelta(hours=8)  # the vendor's days
        params = {
            "BeginTime": (hour - timedelta(hours=1)).strftime("%Y%m%d%H"),
            "EndTime": hour.strftime("%Y%m%d%H"),
            "SmsSdkAppId": self._settings.sdk_app_id,
            "Limit": 0,
            "Offset": 0,
        }
        try:
            self._call("SendStatusStatistics", params)
        except _VendorError as error:
            return _explained(error.code)
        except _TransportError as error:
            known = explained(error.outcome.raw_code)
            if known is not None:
                return known
            summary, _ = EXPLANATIONS[error.outcome.reason]
            action = "Check the endpoint and the network, then verify again."
            return Verification(False, summary, action, error.outcome.raw_code)
        summary = "Tencent Cloud accepts the key and the SdkAppId."
        if self._settings.sign_name is None:
            return Verification(True, summary, "Set sign_name before you send to mainland numbers.")
        return Verification(True, summary, "The signature is first checked when a message is sent.")

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.request.conn._session.close()

    def _look_up(self, message: Outgoing, began: int, ended: int) -> Outcome:
        app, now = self._settings.sdk_app_id, self._clock.now_ms()
        if began < now - OLDEST_MS + 60_000:
            return Unknown(Reason.UNRESOLVED, "too_long_ago")
        started = time.monotonic()
        try:
            answer = self._call("DescribeSendRecordList", records_query(app, message.to, began))
            outcome = by_records(answer, began, ended, now)
            in_time = time.monotonic() - started < SECOND_CALL_WITHIN_S
            if not isinstance(outcome, Unknown) or outcome.raw_code == "not_listed" or not in_time:
                return outcome
            answer = self._call("PullSmsSendStatusByPhoneNumber", reports_query(app, message.to, began))
            return by_reports(answer, message) or outcome
        except _VendorError as error:
            return Unknown(Reason.UNRESOLVED, error.code)
        except _TransportError as error:
            return Unknown(Reason.UNRESOLVED, error.outcome.raw_code)

    def _params(self, group: Sequence[Outgoing], content: RenderedSms) -> dict[str, Any]:
        params: dict[str, Any] = {
            "PhoneNumberSet": [message.to for message in group],
            "SmsSdkAppId": self._settings.sdk_app_id,
            "TemplateId": content.template_id,
            "TemplateParamSet": list(content.params),
        }
        mainland = group[0].to.startswith(MAINLAND)
        sign_name = self._settings.sign_name if mainland else self._settings.sign_name_abroad
        if sign_name is not None:
            params["SignName"] = sign_name
        if self._settings.sender_id is not None and not mainland:
            params["SenderId"] = self._settings.sender_id
        if len(group) == 1:
            # One value per call, shared by its numbers, so it is of use with one number only.
            params["SessionContext"] = group[0].message_id
        return params

    def _call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        """Call once and return `Response`. Raises: _VendorError, _TransportError; never anything else."""
        try:
            # Not the SDK's own `SendSms`: with any content type but the bare `application/json` it takes an error for
            # success.
            response = self._connected().call_json(action, params)["Response"]
            error = response.get("Error")
            code = None if error is None else str(error["Code"])
        except Exception as error:  # the SDK and what lies below it raise errors of many kinds
            raise _failure(error) from error
        if code is not None:
            raise _VendorError(code)
        return dict(response)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _client(self._settings, self._secret, self._network)
            return self._client


def _client(settings: Settings, secret: Secret, network: Network) -> Any:
    """Make an SDK client. The SDK takes long to import, so it waits for the first call, and without its models of each
    call, which nothing here uses."""
    from tencentcloud.common.common_client import CommonClient
    from tencentcloud.common.credential import Credential
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.common.retry import NoopRetryer

    endpoint = read_endpoint(settings.endpoint or HOME)
    http = HttpProfile(
        protocol=endpoint.scheme,
        endpoint=endpoint.authority,
        # The SDK hands this to requests as it is, which takes (connect, read).
        reqTimeout=(CONNECT_SECONDS, settings.timeout),
        keepAlive=True,
    )
    # The SDK's StandardRetryer sends again even after a success.
    profile = ClientProfile(httpProfile=http, language="en-US", retryer=NoopRetryer())
    credential = Credential(secret.secret_id.get_secret_value(), secret.secret_key.get_secret_value())
    client = CommonClient("sms", VERSION, credential, settings.region, profile)
    session = client.request.conn._session
    session.max_redirects = 0  # a redirect would send the message a second time
    session.trust_env = False  # no .netrc in place of our signature; the SDK reads the proxy variables itself
    for adapter in session.adapters.values():
        guard(adapter.poolmanager, network)
    if is_loopback(endpoint.host):
        client.request.conn.proxy = None
    return client


def _outcomes(group: Sequence[Outgoing], answer: dict[str, Any]) -> list[Outcome]:
    """Read the result of each number, by number: the order is nowhere promised."""
    rows = answer.get("SendStatusSet")
    if not isinstance(rows, list):
        return [Unknown(Reason.UNRECOGNISED_ANSWER, "no_status_set")] * len(group)
    by_number = {row.get("PhoneNumber"): row for row in rows if isinstance(row, dict)}
    return [_row_outcome(by_number.get(message.to)) for message in group]


def _row_outcome(row: dict[str, Any] | None) -> Outcome:
    if row is None:
        return Unknown(Reason.UNRECOGNISED_ANSWER, "no_status")
    code = row.get("Code")
    if not isinstance(code, str) or not code:
        return Unknown(Reason.UNRECOGNISED_ANSWER, "no_code")
    return Sent(str(row.get("SerialNo") or "")) if code == "Ok" else outcome_of(code)


def _explained(code: str) -> Verification:
    outcome = outcome_of(code)
    reason = Reason.UNRECOGNISED_ANSWER if isinstance(outcome, Sent) else outcome.reason
    summary, action = WORDS.get(code) or EXPLANATIONS[reason]
    return Verification(False, summary, action, code)


def _failure(error: Exception) -> _VendorError | _TransportError:
    """Tell what failed when the SDK raised. It wraps what `requests` raised, which stays behind as the context."""
    from requests.exceptions import RequestException
    from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

    if isinstance(error, TencentCloudSDKException):
        code = str(error.get_code())
        if code == "ServerNetworkError":  # any HTTP status but 200; the SDK does not say which
            return _TransportError(Unknown(Reason.PROVIDER_ERROR, code))
        if code != "ClientNetworkError":
            return _VendorError(code)
        return _TransportError(_network_outcome(error.__context__ or error))
    if isinstance(error, RequestException):  # the connection broke while the body was read
        return _TransportError(_network_outcome(error))
    return _TransportError(Unknown(Reason.UNRECOGNISED_ANSWER, "bad_json"))


def _network_outcome(error: BaseException) -> Retry | Unknown | AccountDown:
    """Whether the request may have left: not when the connection was never made."""
    from requests.exceptions import Timeout, TooManyRedirects
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, ReadTimeoutError

    reaching = outcome_of_reaching(error)
    if reaching is not None:
        return reaching
    name = type(error).__name__
    found = list(causes(error))
    if any(isinstance(cause, ConnectTimeoutError | NewConnectionError | ProxyError) for cause in found):
        return Retry(Reason.CONNECTION_FAILED, name)
    if any(isinstance(cause, Timeout | ReadTimeoutError) for cause in found):
        return Unknown(Reason.TIMED_OUT, name)
    if isinstance(error, TooManyRedirects):
        return Unknown(Reason.UNRECOGNISED_ANSWER, "redirect")
    return Unknown(Reason.CONNECTION_LOST, name)
