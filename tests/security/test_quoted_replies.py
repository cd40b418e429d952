"""Whoever chooses an address, a subject or a name cannot choose what a provider's answer is taken for.

Each kind of reply is read again with the words that replies are told apart by in every place where servers quote.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from shared.providers.email.quoted import Own, unquoted
from shared.providers.email.ses import codes as ses
from shared.providers.email.smtp.replies import REPLIES, Entry, Reply, Step, raw_code, read
from shared.providers.sms.aws import codes as aws
from shared.providers.sms.tencent import provider as tencent
from tests.security.attempts import Attempts

SENDER = "zz-shop@zz-shop.example"
HOSTS = ("smtp.zz-shop.example", "helo.zz-shop.example")


def _words() -> list[str]:
    """The words of all patterns, marks and published replies."""
    found = {
        word
        for entry in REPLIES
        for text in (entry.text.pattern if entry.text else "", entry.mark, entry.said)
        for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9-]{2,}", text.replace("\\d", ""))
    }
    return sorted(word.lower() for word in found)


def _phrases() -> list[str]:
    """Whole replies and marks, written as local parts."""
    found = set()
    for entry in REPLIES:
        for text in (unquoted(entry.sample().text, Own()), entry.mark):
            words = re.findall(r"[A-Za-z0-9-]+", text)[:6]
            found |= {sep.join(words)[:64].strip(".") for sep in "._-+=" if words}
    return sorted(found)


def _quoted(local: str, domain: str) -> Iterator[str]:
    """An address as servers quote it."""
    address = f"{local}@{domain}"
    yield from (address, f"<{address}>", f"({address})", f"'{address}'", f"<{address.upper()}>", address.upper())
    yield from (quote(address, safe=""), address.replace("@", "=40"), f"mailto:{address}", f"&lt;{address}&gt;")
    yield from (f"https://help.example/?to={address}", f"<{local}>", domain, f"rfc822;{address}")


def _places(text: str, address: str) -> Iterator[str]:
    """A reply's text with an address in front, behind, and on a line of its own."""
    enhanced = re.match(r"[245]\.\d+\.\d+ ?", text)
    code = enhanced[0] if enhanced else ""
    rest = text[len(code) :]
    yield f"{code}{rest} {address}"
    yield f"{code}{address}: {rest}"
    yield f"{code}{rest}\n{code}{address}"
    yield f"{code}{address}\n{code}{rest}"


LOCALS = [*_words(), *_phrases()]


def test_no_quoted_address_changes_what_a_reply_means(attempts: Attempts, whole: bool) -> None:
    for start, entry in enumerate(REPLIES):
        for local in LOCALS[start % 29 :: 29] if whole else LOCALS[start * 9 % 701 :: 701]:
            domain = f"{re.sub('[^a-z0-9-]', '-', local.lower()).strip('-')}.example"
            _quote_in(entry, local, domain, attempts)


def _quote_in(entry: Entry, local: str, domain: str, attempts: Attempts) -> None:
    to = f"{local}@{domain}"
    sample = entry.sample(to, SENDER)
    for quoted in _quoted(local, domain):
        for text in _places(sample.text, quoted):
            found = read(Reply(sample.step, sample.code, text), Own(SENDER, to, HOSTS))
            held = (found.kind, found.reason) == (entry.kind, entry.reason)
            attempts.check(f"{entry.name}: {text!r} is {found.name}", held=held)


def test_no_local_part_alone_is_taken_for_the_servers_words(attempts: Attempts, whole: bool) -> None:
    for step, code in product((Step.RCPT, Step.DOT), (550, 554, 553, 451)):
        plain = read(Reply(step, code, "No"), Own(SENDER))
        for local in LOCALS if whole else LOCALS[code % 11 :: 11]:
            for text in (f"{local}: No", f"No: {local}", f'"{local}" No', f"No ({local})", f"No, {local.upper()}"):
                found = read(Reply(step, code, text), Own(SENDER, f"{local}@example.com"))
                attempts.check(f"{step} {code} {text!r} is {found.name}", held=found is plain)


def test_no_local_part_is_taken_for_an_enhanced_code(attempts: Attempts) -> None:
    plain = {code: read(Reply(Step.RCPT, code, "No"), Own(SENDER)) for code in (550, 554, 451)}
    for local in ("5.1.1", "5.7.8", "5.2.2", "4.7.0", "5.4.5", "5.7.26", "5.1.90", "#5.1.0"):
        to = f"{local}@example.com"
        for code, quoted in product(
            plain, (to, f"<{to}>", f"{to}:", f"<{to}>:", to.upper(), f"{local}:", f"<{local}>")
        ):
            found = read(Reply(Step.RCPT, code, f"{quoted} No"), Own(SENDER, to))
            attempts.check(f"{code} {quoted!r} is {found.name}", held=found is plain[code])


def test_no_subject_changes_what_a_reply_means(attempts: Attempts) -> None:
    plain = read(Reply(Step.DOT, 554, "Message refused"), Own(SENDER))
    for entry in REPLIES:
        subject = unquoted(entry.sample("ada@example.net", SENDER).text, Own())
        own = Own(SENDER, "ada@example.net", HOSTS, (subject, "Shop"))
        for text in (f"Message refused ({subject})", f'Message refused, subject "{subject.upper()}"'):
            found = read(Reply(Step.DOT, 554, text), own)
            attempts.check(f"{text!r} is {found.name}", held=found is plain)


def test_a_raw_code_never_holds_what_a_server_wrote(attempts: Attempts) -> None:
    for entry in REPLIES:
        reply = entry.sample("zhang.san@example.com", SENDER)
        attempts.check(entry.name, held=re.fullmatch(r"-?\d+( [245]\.\d+\.\d+)?", raw_code(reply)) is not None)


SES_ANSWERS = {
    "MessageRejected": "Email address is not verified. The following identities failed the check in region X-1: {}",
    "BadRequestException": "Something is wrong with {}",
    "ThrottlingException": "Rate exceeded for {}",
    "LimitExceededException": "Too much for {}",
    "AccessDeniedException": "User is not authorized to send to {}",
    "MailFromDomainNotVerifiedException": "MAIL FROM domain not verified for {}",
}


def test_no_address_in_an_answer_of_ses_decides(attempts: Attempts) -> None:
    for code, message in SES_ANSWERS.items():

        def outcome(quoted: str, to: str, code: str = code, message: str = message) -> object:
            answer: Any = {"Error": {"Code": code, "Message": message.format(quoted)}}
            return ses.outcome_of_error(ClientError(answer, "SendEmail"), Own(SENDER, to))

        plain = outcome("ada@example.net", "ada@example.net")
        for local in LOCALS[::2]:
            to = f"{local}@example.net"
            attempts.check(f"{code} {to}", held=outcome(to, to) == plain)
            attempts.check(f"{code} <{to.upper()}>", held=outcome(f"<{to.upper()}>", to) == plain)


def test_no_text_of_the_other_providers_decides(attempts: Attempts) -> None:
    """Tencent Cloud, WeCom and AWS SMS are told apart by codes alone."""
    for local in LOCALS[::7]:
        for code in ("ThrottlingException", "ConflictException", "ValidationException"):
            answers = [
                {"Error": {"Code": code, "Message": text}, "message": text, "ResponseMetadata": {"HTTPStatusCode": 400}}
                for text in ("", f"{local} is not verified, daily quota exceeded, {local}@example.com")
            ]
            attempts.check(f"aws {local}", held=len({str(aws.outcome_of_answer(answer)) for answer in answers}) == 1)
        for number in ("Ok", "FailedOperation.ContainSensitiveWord", "LimitExceeded.DailyLimit"):
            rows = [{"Code": number, "Message": text, "SerialNo": "1"} for text in ("", local)]
            attempts.check(f"tencent {local}", held=len({str(tencent._row_outcome(row)) for row in rows}) == 1)
