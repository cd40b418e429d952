"""Every provider's table agrees with whose fault its reasons are."""

from collections.abc import Iterator

import pytest

from shared.model.outcome import AccountDown, Rejected, Retry, Unknown
from shared.model.reasons import Blame, Reason, blame_of
from shared.providers.email.ses import codes as ses_codes
from shared.providers.email.smtp.replies import REPLIES
from shared.providers.sms.aws import codes as aws_codes
from shared.providers.sms.tencent import codes as tencent_codes
from shared.providers.wecom import codes as wecom_codes

FITS: dict[type, set[Blame | None]] = {
    AccountDown: {Blame.ACCOUNT},
    # For a fault of the account that is about one recipient, another account is asked, and this one is not down.
    Rejected: {Blame.RECIPIENT, Blame.WISH, Blame.CONTENT, Blame.ACCOUNT},
    Retry: {Blame.RECIPIENT, Blame.PACE, Blame.POLICY, Blame.ACCOUNT, Blame.NETWORK},
    Unknown: {Blame.NETWORK},
}


def _mapped() -> Iterator[tuple[str, type, Reason]]:
    for entry in REPLIES:
        yield f"smtp {entry.name}", entry.kind, entry.reason
    for code, (kind, reason) in ses_codes.ERRORS.items():
        yield f"ses {code}", kind, reason
    for code, (kind, reason, _) in ses_codes.STATUSES.items():
        yield f"ses entry {code}", kind, reason
    for code, words, kind, reason in ses_codes._TEXTS:
        yield f"ses {code} {words}", kind, reason
    for code, (kind, reason) in (aws_codes.CODES | tencent_codes.CODES | tencent_codes.FAMILIES).items():
        yield f"sms {code}", kind, reason
    for number, (kind, reason, _) in wecom_codes._BY_CODE.items():
        yield f"wecom {number}", kind, reason


@pytest.mark.parametrize("kind", FITS, ids=lambda kind: kind.__name__)
def test_what_becomes_of_a_message_fits_whose_fault_it_is(kind: type) -> None:
    mapped = [(name, blame_of(reason)) for name, its_kind, reason in _mapped() if its_kind is kind]
    assert mapped and [each for each in mapped if each[1] not in FITS[kind]] == []
