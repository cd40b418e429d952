"""Email through the Amazon SES API v2, with the function's own role."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from botocore.exceptions import ClientError
from msgspec.structs import replace
from pydantic import Field, field_validator

from shared.model.accounts import FASTEST, SLOWEST, NoSecret, ProviderSettings, Rate
from shared.model.content import RenderedEmail
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.net.hosts import aws_vendor, check_endpoint, endpoint_server
from shared.net.pools import guard_botocore
from shared.providers.base import MAX_CALLS, ListedPage, Outgoing, Provider, Tools, Verification
from shared.providers.email.mime import Assembler, Mailbox, SenderName, mailbox_problem
from shared.providers.email.quoted import Own
from shared.providers.email.ses import insights, listed
from shared.providers.email.ses.bulk import MOST, Form, Parts, Shape, tags_of
from shared.providers.email.ses.codes import (
    TEMPLATE_GONE,
    TEMPLATES_GONE,
    is_no_right,
    may_be_of_some,
    outcome_of_error,
    outcome_of_failure,
    outcomes_of_entries,
    template_is_gone,
)
from shared.providers.email.ses.prepared import BODY, take_bodies
from shared.providers.email.ses.proof import Proof, trial
from shared.providers.reaching import explained

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sesv2.type_defs import GetAccountResponseTypeDef, SendEmailRequestTypeDef

    from shared.policy.landing.findings import Sender

logger = logging.getLogger(__name__)

HOSTS = aws_vendor("email", "https://email.eu-west-1.amazonaws.com")


class Settings(ProviderSettings):
    """An SES account in one region."""

    provider: Literal["ses"]
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    """The function's own if None."""
    from_address: Mailbox
    from_name: SenderName | None = None
    reply_to: Mailbox | None = None
    configuration_set: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Needed for receipts (bounces, complaints, opens)."""
    endpoint: str | None = None
    """Another address of SES, for example a private one."""
    reconcile: bool = False
    """Whether SES is asked at night what became of messages: needs its Virtual Deliverability Manager."""
    bulk: bool = True
    """Whether up to 50 messages go by one call, where a trial shows that SES leaves their content as it is."""
    connect_timeout_s: float = Field(default=3, gt=0, le=5)
    read_timeout_s: float = Field(default=10, gt=0, le=15)

    @field_validator("endpoint")
    @classmethod
    def _at_the_vendor(cls, url: str | None) -> str | None:
        return None if url is None else check_endpoint(url, HOSTS)

    def server(self) -> tuple[str, str, int] | None:
        return endpoint_server(self.endpoint)


Secret = NoSecret

_TRIAL_ACTION = (
    "Allow ses:SendBulkEmail, ses:CreateEmailTemplate and ses:TestRenderEmailTemplate for the templates mepush-raw-* "
    "to the functions' roles, and delete templates of that name that somebody has changed; or set `bulk` to false."
)


class SesProvider(Provider):
    """An SES account.

    Messages of the same shape go up to fifty by a call (`bulk.py`), as long as a trial shows that SES leaves them as
    they are (`proof.py`); a lone one, and what that form does not carry, goes by a call of its own.
    """

    threads: ClassVar[int] = 8
    """For messages that go alone; of the calls for many an envelope has few."""
    worst_case_seconds: ClassVar[float] = 25.0

    def __init__(self, settings: Settings, tools: Tools, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = tools.clock
        self._network = tools.network
        self._assembler = Assembler(settings.from_address, settings.from_name, settings.reply_to)
        self._tools = tools
        self._form = Form(
            *(settings.from_address, settings.from_name, settings.reply_to, settings.configuration_set, tools)
        )
        where = f"{settings.region or ''}:{settings.endpoint or ''}"
        self._proof = Proof(self._client, tools.tokens, tools.clock, f"ses-bulk:{tools.account_key}:{where}")
        self._most = MOST
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._made: SESV2Client | None = None

    def group(self, messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
        """Together what one call carries; asks SES for a trial where there is more than one and nothing is known."""
        if len(messages) < 2 or not self._settings.bulk:
            return [[message] for message in messages]
        return self._form.groups(messages, self._most, self._proof.holds)

    def send(self, group: Sequence[Outgoing]) -> Sequence[Outcome | None]:
        started = self._monotonic()
        request = self._form.request(group) if len(group) > 1 and self._settings.bulk else None
        if request is not None and self._proof.held(request[0].parts):
            outcomes = self._send_together(group, *request)
            if outcomes is not None:
                return outcomes
        return self._send_each(group, started)

    def verify(self) -> Verification:
        try:
            account = self._client().get_account()
            if "SendingEnabled" not in account:
                return _explain(Retry(Reason.UNRECOGNISED_ANSWER, "200"))
            found = _describe(account)
            if found.ok:
                found = self._unverified() or found
            return self._with_trial(found) if found.ok else found
        except ClientError as error:
            return _explain(outcome_of_error(error))
        except Exception as error:  # botocore's parser stumbles in many ways over what it does not expect
            return _explain(outcome_of_failure(error))

    def pulled(self) -> Iterator[Sequence[str]]:
        return insights.told(self._client(), self._network, self._clock.now_ms(), self._tools.deployment)

    def listed(self, cursor: str | None) -> ListedPage:
        return listed.page(self._client(), cursor)

    def release(self, address: str) -> bool:
        return listed.release(self._client(), address)

    def sender(self) -> "Sender":
        from shared.providers.email.ses import landing

        client = self._client()
        for identity in _vouching(self._settings.from_address)[1:]:
            try:
                found: Any = client.get_email_identity(EmailIdentity=identity)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NotFoundException":
                    raise
                continue
            return landing.sender(identity, found, client.meta.region_name)
        return landing.sender("", {}, client.meta.region_name)

    def close(self) -> None:
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _unverified(self) -> Verification | None:
        """Say that SES would not take the sender; None if it would. Raises: what asking SES raises."""
        address = self._settings.from_address
        unfinished = status = ""
        for identity in _vouching(address):
            try:
                found = self._client().get_email_identity(EmailIdentity=identity)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NotFoundException":
                    raise
                continue
            if found.get("VerifiedForSendingStatus"):
                return None
            if not unfinished:
                unfinished, status = identity, found.get("VerificationStatus", "")
        if unfinished:
            return Verification(
                False,
                f"SES has not verified {unfinished} yet, so it takes no mail from {address}.",
                "Finish it in the SES console: a domain by its DNS records, an address by the link in the mail of SES.",
                status,
            )
        return Verification(
            False,
            f"SES knows neither the sender {address} nor its domain in this region.",
            "Verify one of them in the SES console, in the account's region.",
            "NotFoundException",
        )

    def _with_trial(self, found: Verification) -> Verification:
        """Say in plain words whether up to fifty messages go by one call; the account is good either way."""
        if not self._settings.bulk:
            return found
        problem, lasting = trial(self._client, Parts.BOTH)
        if not problem:
            return replace(found, summary=f"{found.summary} Up to {MOST} messages go by one call.")
        words = f"{found.summary} Each message goes by a call of its own, since a trial of calls for {MOST} failed: "
        if not lasting:
            return replace(found, summary=f"{words}{problem}. The platform tries again by itself.")
        return replace(found, summary=f"{words}{problem}.", action=found.action or _TRIAL_ACTION)

    def _send_together(self, group: Sequence[Outgoing], shape: Shape, body: bytes) -> list[Outcome] | None:
        """Send messages by one call; None if it was refused and each may go alone."""
        parameters: Any = {**self._form.parameters(shape), "BulkEmailEntries": [], BODY: body}
        try:
            answer = self._client().send_bulk_email(**parameters)
        except ClientError as error:
            return self._refused(error, group, shape)
        except Exception as error:  # as below; they may have left
            return [outcome_of_failure(error)] * len(group)
        sender = self._settings.from_address
        outcomes = outcomes_of_entries(answer.get("BulkEmailEntryResults"), [Own(sender, m.to) for m in group])
        if any(isinstance(each, Retry) and each.raw_code in TEMPLATES_GONE for each in outcomes):
            self._proof.forget(shape.parts)
        elif self._most < MOST:
            self._most = min(2 * self._most, MOST)
        return outcomes

    def _refused(self, error: ClientError, group: Sequence[Outgoing], shape: Shape) -> list[Outcome] | None:
        """What it means for each message that SES refused the call for all of them; None if each may go alone."""
        if template_is_gone(error):
            self._proof.forget(shape.parts)
            return [Retry(Reason.ACCOUNT_MISCONFIGURED, TEMPLATE_GONE)] * len(group)
        if may_be_of_some(error):
            code = str(error.response.get("Error", {}).get("Code", ""))
            logger.warning("SES refused a call for many", extra={"raw_code": code})
            if is_no_right(error):
                self._proof.refuse()
            return None
        outcome = outcome_of_error(error, Own(self._settings.from_address))
        if isinstance(outcome, Retry) and outcome.reason is Reason.THROTTLED:
            # How many go by one call may be limited by the account's rate (SES API reference, SendBulkTemplatedEmail).
            self._most = max(2, len(group) // 2)
            if len(group) == 2:
                self._proof.refuse()
        return [outcome] * len(group)

    def _send_each(self, group: Sequence[Outgoing], started: float) -> Sequence[Outcome | None]:
        """Send messages one after the other, as long as they end in time even at their slowest."""
        slowest = self._settings.connect_timeout_s + self._settings.read_timeout_s
        outcomes: list[Outcome | None] = []
        for message in group:
            in_time = self._monotonic() - started + slowest <= self.worst_case_seconds
            outcomes.append(self._send(message) if in_time else None)
        if not any(outcomes):
            # Else it could go on like this for ever: of tries there is an end.
            return [Retry(Reason.TIMED_OUT, "not_begun")] * len(group)
        return outcomes

    def _send(self, message: Outgoing) -> Outcome:
        content = message.content
        if not isinstance(content, RenderedEmail):
            raise TypeError("an email provider takes emails")
        problem = mailbox_problem(message.to)
        if problem is not None:
            return Rejected(Reason.ADDRESS_INVALID, problem)
        wire = self._assembler.assemble(message.message_id, message.to, content, self._clock.now_ms())
        request: SendEmailRequestTypeDef = {
            "Destination": {"ToAddresses": [message.to]},
            "Content": {"Raw": {"Data": wire}},
            "EmailTags": tags_of(message, self._tools),
        }
        if self._settings.configuration_set is not None:
            request["ConfigurationSetName"] = self._settings.configuration_set
        try:
            ses_id = self._client().send_email(**request).get("MessageId")
        except ClientError as error:
            return outcome_of_error(error, Own(self._settings.from_address, message.to))
        except Exception as error:  # as above; the message may have left
            return outcome_of_failure(error)
        if not ses_id:
            # Answered with 200, so it may well have been taken.
            logger.warning("unrecognised SES answer", extra={"raw_code": "200"})
            return Unknown(Reason.UNRECOGNISED_ANSWER, "200")
        return Sent(ses_id)

    def _client(self) -> "SESV2Client":
        """Make the client on first use. Raises: BotoCoreError."""
        # They take half a second to import, and not every function that knows this provider's settings sends.
        import boto3
        from botocore import __version__
        from botocore.config import Config

        with self._lock:
            if self._made is None:
                config = Config(
                    # SES knows no idempotency key: a second try after a lost answer would send twice.
                    retries={"total_max_attempts": 1},
                    connect_timeout=self._settings.connect_timeout_s,
                    read_timeout=self._settings.read_timeout_s,
                    max_pool_connections=MAX_CALLS,
                    # AWS looks at the parameters itself, and what botocore says of itself it puts together anew each
                    # time.
                    parameter_validation=False,
                    user_agent=f"Botocore/{__version__} mePush",
                )
                # A session of its own: the default one may not be used by several threads at once.
                self._made = boto3.session.Session().client(
                    "sesv2", region_name=self._settings.region, endpoint_url=self._settings.endpoint, config=config
                )
                guard_botocore(self._made, self._network)
                take_bodies(self._made)
            return self._made


def _vouching(address: str) -> list[str]:
    """The identities of which one must be verified to send from an address. A domain vouches for its subdomains, too
    (SES Developer Guide, "Verified identities")."""
    labels = address.rpartition("@")[2].lower().split(".")
    return [address, *(".".join(labels[i:]) for i in range(max(len(labels) - 1, 1)))]


def _describe(account: "GetAccountResponseTypeDef") -> Verification:
    """Say in plain words what SES says of the account."""
    if not account["SendingEnabled"] or account.get("EnforcementStatus") == "SHUTDOWN":
        return Verification(
            False,
            "SES has paused sending from this account in this region.",
            "Open the SES console: it says why and how to ask for a review.",
            account.get("EnforcementStatus", ""),
        )
    quota = account.get("SendQuota", {})
    most, sent = quota.get("Max24HourSend", 0.0), quota.get("SentLast24Hours", 0.0)
    day = "without a daily limit" if most < 0 else f"up to {most:,.0f} a day ({sent:,.0f} in the last 24 hours)"
    quota_words = f"{day}, {quota.get('MaxSendRate', 0.0):g} a second"
    rate = _rate(quota.get("MaxSendRate", 0.0), most)
    if not account.get("ProductionAccessEnabled"):
        return Verification(
            True,
            f"SES takes messages, but the account is in the SES sandbox: only verified recipients, {quota_words}.",
            "Request production access in the SES console before you send to anyone else.",
            rate=rate,
        )
    return Verification(True, f"SES takes messages: {quota_words}.", rate=rate)


def _rate(per_second: float, per_day: float) -> Rate | None:
    """The rate that SES names. It takes short bursts beyond it (SES Developer Guide, "Sending quotas"), of which a
    second's worth is used. Its day is any 24 hours; ours is the one in UTC."""
    if per_second < SLOWEST:
        return None
    return Rate(
        per_second=min(per_second, FASTEST),
        burst=max(1, int(min(per_second, FASTEST))),
        per_day=int(per_day) if per_day >= 1 else None,
    )


def _explain(outcome: Outcome) -> Verification:
    if isinstance(outcome, Sent):
        raise TypeError("a failure cannot be a success")
    known = explained(outcome.raw_code)
    if known is not None:
        return known
    if outcome.reason is Reason.CREDENTIALS_REFUSED:
        return Verification(
            False,
            "AWS does not let the platform's role use SES here.",
            "Allow ses:SendEmail, ses:GetAccount and ses:GetEmailIdentity to the functions' roles; check the region.",
            outcome.raw_code,
        )
    summary, action = EXPLANATIONS[outcome.reason]
    return Verification(False, f"SES could not be asked ({outcome.raw_code}). {summary}", action, outcome.raw_code)


def build(settings: Settings, secret: NoSecret, tools: Tools) -> SesProvider:
    """Make the provider; its client is made on first use."""
    return SesProvider(settings, tools)
