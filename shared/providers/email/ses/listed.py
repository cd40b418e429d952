"""The suppression list that Amazon SES keeps itself, for the whole of an AWS account in a region.

SES adds addresses that bounced or complained, where that is switched on, and takes mails to them without sending any
(SES developer guide, "Using the Amazon SES account-level suppression list"). Its API wants an address in the letter
case in which SES has it, though sending ignores the case.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.providers.base import ListedAddress, ListedPage, ListError

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

PAGE = 100
NO_ANSWER = "no answer"


def page(client: "SESV2Client", cursor: str | None) -> ListedPage:
    """A page of the list. Raises: ListError."""
    asked: Any = {"PageSize": PAGE} | ({} if cursor is None else {"NextToken": cursor})
    try:
        answer = client.list_suppressed_destinations(**asked)
        return ListedPage(tuple(_listed(answer["SuppressedDestinationSummaries"])), answer.get("NextToken"))
    except Exception as error:  # botocore's parser stumbles in many ways over what it does not expect
        raise ListError(_code(error)) from None


def release(client: "SESV2Client", address: str) -> bool:
    """Take an address off, in the letter case in which it is listed; whether it was there. Raises: ListError."""
    try:
        client.delete_suppressed_destination(EmailAddress=address)
    except Exception as error:  # as above
        code = _code(error)
        if code == "NotFoundException":
            return False
        raise ListError(code) from None
    return True


def _listed(summaries: Any) -> Iterator[ListedAddress]:
    for each in summaries:
        at = int(each["LastUpdateTime"].timestamp() * 1000)
        yield ListedAddress(each["EmailAddress"], each["Reason"].lower(), at)


def _code(error: Exception) -> str:
    known = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return known or NO_ANSWER
