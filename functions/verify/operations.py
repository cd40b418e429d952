"""The operations on verifications: a check reads the verification, compares, and makes one conditional write."""

from collections.abc import Mapping

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from msgspec import Struct

from shared.api.kit import Call, OperationFunction
from shared.api.verifications import WORDS, VerificationCheck, VerificationDetail, VerificationResult
from shared.aws.errors import AWS_ERRORS
from shared.aws.receipts import ReceiptQueue
from shared.base.logs import log_error
from shared.errors import ConflictError, NotFoundError, NotQueuedError
from shared.model.clock import Clock
from shared.model.ids import is_message_id, tag_of
from shared.model.receipts import Receipt, Waiting
from shared.model.verifications import Address, State, Verification
from shared.model.words import KeyKind, Stage
from shared.policy.verifying import Judged, Result, bound_to, judge, matches, played
from shared.store.catalog import Catalog
from shared.store.verifications import Verifications

logger = Logger(child=True)


class Verifying(Struct, frozen=True):
    """Checks, shows and cancels verifications."""

    catalog: Catalog
    verifications: Verifications
    queue: ReceiptQueue
    clock: Clock
    metrics: EphemeralMetrics

    def operations(self) -> Mapping[str, OperationFunction]:
        """By id."""
        return {
            "check_verification": self.check_verification,
            "get_verification": self.get_verification,
            "cancel_verification": self.cancel_verification,
        }

    def check_verification(self, call: Call) -> VerificationResult:
        """Check a code. Raises: NotFoundError, ForbiddenError."""
        body: VerificationCheck = call.body
        found, now = self._find(call), self.clock.now_ms()
        playing = played(found, body.code) if found.kind == KeyKind.TEST else None
        judged = playing or self._judge(call, found, body, now)
        if judged.result is Result.APPROVED:
            there = self.verifications.approve(
                call.caller.tenant, tag_of(found.id), found, now, lambda: self._uncounted(call.caller.tenant)
            )
        elif judged.result is Result.WRONG:
            there = self.verifications.count_wrong(call.caller.tenant, tag_of(found.id), found)
        else:
            there = None
        if there is not None and playing is None:
            # Others were faster: what counts is what they left.
            judged = judge(_again(there, found), right=False, now=now)
        if judged.result in (Result.APPROVED, Result.USED):
            self._tell(call.caller.tenant, found, now)
        left = judged.left if judged.result is Result.WRONG else 0
        return VerificationResult(id=found.id, result=judged.result, checks_left=left, detail=WORDS[judged.result])

    def get_verification(self, call: Call) -> VerificationDetail:
        """How far a verification is. Raises: NotFoundError, ForbiddenError."""
        found = self._find(call)
        if found.state is State.APPROVED:
            self._tell(call.caller.tenant, found, self.clock.now_ms())
        return VerificationDetail.of(found, self.clock.now_ms())

    def cancel_verification(self, call: Call) -> VerificationDetail:
        """Have a code count no more. Raises: NotFoundError, ForbiddenError, ConflictError once it was approved."""
        found, now = self._find(call), self.clock.now_ms()
        there = self.verifications.cancel(call.caller.tenant, tag_of(found.id), found, now)
        after = self._find(call) if there is None else _again(there, found)
        if after.state is State.APPROVED:
            raise ConflictError("It was approved before, so there is nothing to cancel.")
        return VerificationDetail.of(after, now)

    def _uncounted(self, tenant: str) -> None:
        """Tell that the guard against SMS pumping knows nothing of an approval."""
        logger.warning("approval not counted", tenant=tenant)
        self.metrics.add_metric(name="ApprovalsNotCounted", unit=MetricUnit.Count, value=1)
        self.metrics.flush_metrics()

    def _find(self, call: Call) -> Verification:
        id = call.path["id"].upper()
        kept = self.verifications.load(call.caller.tenant, tag_of(id)) if is_message_id(id) else Address()
        found = kept.find(id)
        if found is None:
            raise NotFoundError("There is no such verification: it was never started, or sent more than a day ago.")
        call.require(KeyKind(found.kind), "verification")
        return found

    def _judge(self, call: Call, found: Verification, body: VerificationCheck, now: int) -> Judged:
        tenant = self.catalog.tenant(call.caller.tenant)
        if tenant is None:
            raise NotFoundError("There is no such verification.")
        bind = None if body.bind is None else bound_to(tenant.salt, body.bind)
        return judge(found, matches(found, body.code, bind, tenant.salt), now)

    def _tell(self, tenant: str, found: Verification, now: int) -> None:
        """Have the timeline say that the recipient gave the code back; told twice, it is one event."""
        at = found.decided_at or now
        receipt = Receipt(
            stage=Stage.VERIFIED,
            at=at,
            tenant=tenant,
            message_id=found.messages[-1],
            carriers=found.messages,
        )
        try:
            self.queue.wait(Waiting(since=now, tries=0, waiting=[receipt]), 0)
        except (*AWS_ERRORS, NotQueuedError) as error:
            # Who entered the right code gets on; whoever looks at the verification next has it told.
            log_error(logger, "verification not told", error)


def _again(there: Address, found: Verification) -> Verification:
    """A verification as it is by now. Raises: NotFoundError if it was forgotten meanwhile."""
    again = there.find(found.id)
    if again is None:
        raise NotFoundError("There is no such verification any more.")
    return again
