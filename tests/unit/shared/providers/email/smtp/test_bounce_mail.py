"""What mails in a bounce mailbox say: reports, complaints, notices in words, answers of machines, and what is none."""

import base64
import time
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from local.sandbox import returned
from shared.model.content import RenderedEmail
from shared.providers.email.mime import Assembler
from shared.providers.email.smtp.bounce_mail import Look, first_look, read_mail
from shared.providers.email.smtp.bounce_mail.kinds import REASONS, AutoReply, Bounce, Bounces, Complaint, Unreadable
from shared.providers.email.smtp.bounce_mail.parsing import MOST_BYTES, decoded, without_tags

ID = "01KBA5M0000000000000000000" + "A1B2C3D4E5F6G7H8"
TO, OWN = "bob@example.net", {"shop@example.com"}
SENT = Assembler("shop@example.com", "The Shop").assemble(
    ID,
    TO,
    RenderedEmail(subject="Sale", text="Everything must go.", html="<p>Everything must go.</p>"),
    1_764_500_000_000,
)
FOREIGN = SENT.replace(ID.encode(), b"other")
"""A mail of somebody else's from the same mailbox."""


def said(data: bytes) -> Bounce:
    """The only bounce of a mail."""
    found = read_mail(data, OWN)
    assert isinstance(found, Bounces), found
    (bounce,) = found.bounces
    return bounce


def mail(text: str, charset: str = "utf-8", **headers: str) -> bytes:
    """A mail of one part."""
    made = EmailMessage()
    kind = headers.pop("kind", "plain")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text, subtype=kind, charset=charset)
    return made.as_bytes()


def notice(text: str, **more: str) -> bytes:
    """A notice that a mail server writes."""
    return mail(text, **{"From": "MAILER-DAEMON@mx.example.net", "Subject": "Undelivered Mail", **more})


def report(fields: str, returned: str = "", kind: str = "message/delivery-status", head: str = "") -> bytes:
    """A report with these blocks of fields."""
    text = f"""From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: {kind}
{head}
{fields}
--b
{returned}
--b--
"""
    return text.replace("\n", "\r\n").encode()


FAILED = (
    "Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n"
)
HEADERS = (
    f"Content-Type: text/rfc822-headers\n\nFrom: shop@example.com\nTo: bob@example.net\nX-MePush-Message-Id: {ID}\n"
)


# Reports (RFC 3464)


@pytest.mark.parametrize("whole", [False, True])
def test_a_report_names_our_message_the_recipient_and_the_codes(whole: bool) -> None:
    data = returned.dsn(SENT, TO, whole=whole)
    assert said(data) == Bounce(
        action="failed", message_id=ID, address=TO, status="5.1.1", diagnostic="smtp; 550 5.1.1 no such user"
    )
    assert first_look(data) is Look.READ


@pytest.mark.parametrize("action", ["failed", "delayed", "delivered", "relayed", "expanded"])
def test_each_action_is_passed_on(action: str) -> None:
    assert said(returned.dsn(SENT, TO, action=action)).action == action


def test_a_folded_diagnostic_is_one_line_and_holds_no_address() -> None:
    data = report(
        FAILED + "Diagnostic-Code: smtp; 550 5.1.1\n <bob@example.net>: Recipient\n address rejected\n", HEADERS
    )
    assert said(data).diagnostic == "smtp; 550 5.1.1 <<address>>: Recipient address rejected"


def test_our_id_is_the_local_part_of_the_message_id_too() -> None:
    for header in (f"Message-ID: <{ID}@example.com>", f"X-MePush-Message-Id: {ID}"):
        returned_part = f"Content-Type: text/rfc822-headers\n\nFrom: shop@example.com\n{header}\n"
        assert said(report(FAILED, returned_part)).message_id == ID
    fields = FAILED.replace("Reporting-MTA", f"X-Original-Message-ID: <{ID}@example.com>\nReporting-MTA")
    assert said(report(fields, "Content-Type: text/plain\n\nnothing\n")).message_id == ID


def test_what_is_about_a_mail_of_somebody_else_is_nobodys_business() -> None:
    """People write from the same mailbox, to the same recipients."""
    for data in (returned.dsn(FOREIGN, TO), returned.netease_notice(FOREIGN, TO), returned.complaint(FOREIGN, TO)):
        assert read_mail(data, OWN) is None
    fields = FAILED.replace("Reporting-MTA", "X-Original-Message-ID: <other@example.com>\nReporting-MTA")
    assert read_mail(report(fields), OWN) is None


def test_a_report_that_returns_nothing_has_the_address_alone() -> None:
    assert said(report(FAILED)) == Bounce(action="failed", address=TO, status="5.1.1")


def test_a_mail_to_which_a_service_gave_another_message_id_is_found_by_ours() -> None:
    for header in (f"X-OQ-MSGID: <{ID}@example.com>", f"X-MePush-Message-Id: {ID}"):
        part = f"Content-Type: text/rfc822-headers\n\nMessage-ID: <tencent_1A2B@qq.com>\nFrom: a@qq.com\n{header}\n"
        assert said(report(FAILED, part)).message_id == ID


def test_several_recipients_are_a_bounce_each() -> None:
    blocks = "".join(
        f"\nFinal-Recipient: rfc822; {name}@example.net\nAction: {action}\nStatus: {status}\n"
        for name, action, status in (("a", "failed", "5.1.1"), ("b", "delayed", "4.4.1"), ("c", "delivered", "2.0.0"))
    )
    found = read_mail(report("Reporting-MTA: dns; mx.example.net\n" + blocks), OWN)
    assert isinstance(found, Bounces)
    assert [(each.address, each.action, each.status) for each in found.bounces] == [
        ("a@example.net", "failed", "5.1.1"),
        ("b@example.net", "delayed", "4.4.1"),
        ("c@example.net", "delivered", "2.0.0"),
    ]


def test_of_a_message_of_ours_that_was_led_on_the_block_for_its_recipient_counts() -> None:
    blocks = """Reporting-MTA: dns; mx.example.net

Original-Recipient: rfc822;other@example.net
Final-Recipient: rfc822; other@example.net
Action: failed
Status: 5.2.2

Original-Recipient: rfc822;bob@example.net
Final-Recipient: rfc822; robert@example.org
Action: failed
Status: 5.1.1
"""
    found = said(report(blocks, HEADERS))
    assert (found.message_id, found.address, found.status) == (ID, TO, "5.1.1")


def test_a_message_that_a_server_split_has_arrived_if_it_arrived_once() -> None:
    blocks = """Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; left@example.org
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; right@example.org
Action: delivered
Status: 2.0.0
"""
    assert said(report(blocks, HEADERS)).action == "delivered"


def test_a_report_that_names_the_sender_as_the_recipient_is_about_nobody() -> None:
    fields = FAILED.replace("bob@example.net", "shop@example.com")
    assert read_mail(report(fields), OWN) == Unreadable("report", "names_the_sender_alone")
    # With a message of ours it is clear who it was.
    assert said(report(fields, HEADERS)).address == TO


def test_an_action_that_nobody_knows_is_kept_as_unreadable() -> None:
    assert read_mail(report(FAILED.replace("failed", "vanished")), OWN) == Unreadable("report", "unknown_action")


def test_a_report_without_recipients_is_kept_as_unreadable() -> None:
    assert read_mail(report("Reporting-MTA: dns; mx.example.net\n"), OWN) == Unreadable("report", "no_recipient")


def test_a_report_need_not_say_of_which_kind_it_is() -> None:
    data = returned.dsn(SENT, TO).replace(b"multipart/report; report-type=delivery-status", b"multipart/mixed")
    assert said(data).message_id == ID


def test_a_report_in_utf_8_is_read() -> None:
    fields = FAILED.replace("rfc822; bob@example.net", "utf-8; bob@example.net")
    returned_part = HEADERS.replace("text/rfc822-headers", "message/global-headers")
    for kind in ("message/global-delivery-status", "message/delivery-status"):
        assert said(report(fields, returned_part, kind)).message_id == ID


def test_a_report_that_is_encoded_though_it_must_not_be_is_read() -> None:
    for kind in ("message/global-delivery-status", "message/delivery-status"):
        coded = base64.encodebytes(FAILED.encode()).decode()
        data = report(coded, HEADERS, kind, head="Content-Transfer-Encoding: base64\n")
        assert said(data).status == "5.1.1"


def test_a_returned_mail_may_be_an_attached_file() -> None:
    attached = f"""Content-Type: application/octet-stream
Content-Disposition: attachment; filename="mail.eml"
Content-Transfer-Encoding: base64

{base64.encodebytes(SENT).decode()}"""
    assert said(report(FAILED, attached)).message_id == ID


def test_a_vague_report_is_explained_by_its_words_for_people() -> None:
    fields = FAILED.replace("5.1.1", "5.0.0")
    words = "  bob@example.net\n    host mx.example.net [203.0.113.9]: 550 5.1.1 <bob@example.net>:\n    user unknown"
    data = report(fields, HEADERS).replace(b"Sorry.", words.replace("\n", "\r\n").encode())
    found = said(data)
    assert (found.status, found.diagnostic) == ("5.0.0", "550 5.1.1 <<address>>: user unknown")
    precise = report(FAILED, HEADERS).replace(b"Sorry.", words.encode())
    assert said(precise).diagnostic is None


def test_an_action_may_have_a_comment_behind_it() -> None:
    assert said(report(FAILED.replace("failed", "failed (Bad destination mailbox address)"))).action == "failed"


# Complaints (RFC 5965)


def test_a_complaint_names_our_message_though_the_recipient_is_taken_out() -> None:
    assert read_mail(returned.complaint(SENT, TO), OWN) == Complaint(kind="abuse", message_id=ID, address=TO)
    assert read_mail(returned.complaint(SENT, TO, "not-spam"), OWN) == Complaint(
        kind="not-spam", message_id=ID, address=TO
    )


def test_a_complaint_about_nobody_we_know_is_kept_as_unreadable() -> None:
    data = returned.complaint(b"From: shop@example.com\r\n\r\n", TO)
    assert read_mail(data, OWN) == Unreadable("complaint", "no_recipient")
    named = data.replace(b"<redacted>", b"<bob@example.net>")
    assert read_mail(named, OWN) == Complaint(kind="abuse", message_id=None, address=TO)


# Notices in words


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            returned.qq_notice(SENT, TO),
            Bounce(action="failed", address=TO, diagnostic="550 Mailbox not found. http://service.mail.qq.com/"),
        ),
        (
            returned.qq_notice(SENT, TO, "550 5.7.515 Access denied, sending domain does not\nmeet the level"),
            Bounce(
                action="failed",
                address=TO,
                status="5.7.515",
                diagnostic="550 5.7.515 Access denied, sending domain does not meet the level",
            ),
        ),
        (
            returned.netease_notice(SENT, TO),
            Bounce(action="failed", message_id=ID, address=TO, diagnostic="550 No such user here"),
        ),
        (
            notice(
                "收件人邮件地址（bob@example.net）不存在，邮件无法送达。",
                From="PostMaster@qq.com",
                Subject="来自qq.com的退信",
            ),
            Bounce(action="failed", address=TO, status="5.1.1"),
        ),
        (
            notice("退信原因 收件人空间不足 bob@example.net", From="postmaster@qq.com", Subject="退信"),
            Bounce(action="failed", address=TO, status="5.2.2"),
        ),
        (
            notice(
                "<p>远程响应 | the mta server of example.net — mx1.example.net(203.0.113.9) reply:550 User not found"
                "</p><p>无法投递 bob@example.net</p>",
                kind="html",
                Subject="退信",
            ),
            Bounce(action="failed", address=TO, diagnostic="550 User not found"),
        ),
    ],
    ids=["qq", "qq, the server's words", "netease", "qq, no such user", "full", "alibaba"],
)
def test_the_notices_of_chinese_services_are_read(data: bytes, expected: Bounce) -> None:
    assert said(data) == expected
    assert first_look(data) is Look.READ


@pytest.mark.parametrize("charset", ["gbk", "gb2312", "gb18030", "utf-8"])
def test_a_notice_is_read_in_whatever_charset_it_came(charset: str) -> None:
    data = mail("收件人邮件地址（bob@example.net）不存在", charset, From="postmaster@qq.com", Subject="退信")
    assert said(data).status == "5.1.1"


def test_a_notice_of_a_charset_that_nobody_knows_is_read_as_far_as_it_goes() -> None:
    data = notice("bob@example.net: 550 5.1.1 unknown").replace(b'charset="utf-8"', b'charset="x-unknown"')
    assert said(data).status == "5.1.1"


def test_a_qmail_notice_is_read() -> None:
    text = """Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<bob@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.
"""
    found = said(notice(text, Subject="failure notice"))
    assert (found.action, found.address, found.status) == ("failed", TO, "5.1.1")


def test_a_notice_of_a_small_server_in_plain_text_is_read() -> None:
    text = """Your message did not reach some or all of the intended recipients.

   Sent: Sat, 28 Jan 2023 21:23:29 -0500
   Subject: Test Campaign

The following recipient(s) could not be reached:

bob@example.net
   Error Type: SMTP
   Remote server (203.0.113.61) issued an error.
   hMailServer sent: RCPT TO:<bob@example.net>
   Remote server replied: 550 5.5.0 Requested action not taken: mailbox unavailable
"""
    found = said(notice(text, From="mailer-daemon@mx.example.net", Subject="Message undeliverable: Test Campaign"))
    assert (found.address, found.status) == (TO, "5.5.0")
    assert (found.diagnostic or "").startswith("550 5.5.0 Requested action not taken")


def test_a_notice_that_only_old_detectors_know_says_that_it_failed() -> None:
    text = "This message was created automatically by mail delivery software.\nA message that you sent could not be "
    text += "delivered to all of its recipients.\nThe following address(es) failed:\n\n  bob@example.net\n\n"
    found = said(notice(text + "----- This is a copy of your message.\n", Subject="Mail failure"))
    assert (found.action, found.address, found.status, found.diagnostic) == ("failed", TO, None, None)


def test_a_report_that_is_none_returns_the_mail_and_has_a_colon_behind_the_code() -> None:
    data = report("", "Content-Type: message/rfc822\n\n" + SENT.decode().replace("\r\n", "\n"), "text/plain").replace(
        b"Sorry.", b"<bob@example.net>:\r\n550: 5.1.1 <bob@example.net>: User unknown"
    )
    found = said(data)
    assert (found.message_id, found.status, found.diagnostic) == (ID, "5.1.1", "550 5.1.1 <<address>>: User unknown")


def test_a_notice_of_a_service_that_does_not_say_that_it_is_a_server_is_believed_if_it_returns_our_message() -> None:
    words = "Technical report:\n\nAction: failed\nDiagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: user unknown"
    parts = f"--b\nContent-Type: text/plain\n\n{words}\n--b\nContent-Type: message/rfc822\n\n".encode()
    head = b"Subject: Undelivered Mail Returned to Sender\nFrom: service.example\n"
    head += b"Content-Type: multipart/mixed; boundary=b\n\n"
    assert said(head + parts + SENT + b"\n--b--\n").message_id == ID
    assert read_mail(head + parts + FOREIGN + b"\n--b--\n", OWN) is None
    # Who answers may attach the message, too.
    answer = head.replace(b"Undelivered Mail Returned to Sender", b"Re: Sale")
    assert read_mail(answer + parts + SENT + b"\n--b--\n", OWN) is None


def test_a_notice_of_a_delay_is_none_of_a_failure() -> None:
    text = "Your message to <bob@example.net> has not yet been delivered. We will keep trying.."
    assert said(notice(text, Subject="Warning: message delayed")).action == "delayed"


def test_failed_recipients_in_the_headers_count_before_the_text() -> None:
    data = notice("I could not write to carol@example.org. 550 5.1.1 no", X_Failed_Recipients=TO)
    assert said(data).address == TO


def test_a_notice_that_may_be_about_several_is_believed_of_none() -> None:
    text = "Undelivered: bob@example.net and carol@example.net. 550 5.1.1 no such user"
    assert read_mail(notice(text), OWN) == Unreadable("notice", "several_recipients")


def test_a_notice_that_names_the_sender_alone_is_believed_of_nobody() -> None:
    assert read_mail(notice("Dear shop@example.com, 550 5.1.1 no"), OWN) == Unreadable(
        "notice", "names_the_sender_alone"
    )
    assert read_mail(notice("550 5.1.1 no such user"), OWN) == Unreadable("notice", "no_recipient")


def test_a_server_that_says_nothing_of_a_failure_is_believed_nothing() -> None:
    welcome = mail("Welcome to example.net, bob@example.net", From="postmaster@example.net", Subject="Welcome")
    assert read_mail(welcome, OWN) == Unreadable("notice", "no_failure_said")


def test_a_person_who_writes_of_bounces_is_believed_nothing() -> None:
    data = mail("bob@example.net: 550 5.1.1 no such user", From="eve@example.org", Subject="Undelivered mail")
    assert read_mail(data, OWN) is None


# Answers of machines


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; owner-email=x"},
        {"X_Autoreply": "yes"},
        {"Precedence": "auto_reply"},
        {"Precedence": "bulk"},
        {"Subject": "自动回复: Sale"},
        {"Subject": "Automatic reply: Sale"},
        {"Subject": "Out of the office"},
        {"Subject": "Abwesenheitsnotiz"},
        {"From": "postmaster@example.net", "Subject": "自动回复"},
    ],
    ids=str,
)
def test_an_answer_of_a_machine_is_no_bounce(headers: dict[str, str]) -> None:
    facts = {"From": TO, "Subject": "Re: Sale", "In_Reply_To": f"<{ID}@example.com>", **headers}
    data = mail("I am away until 5.1.1. Call 550 1234 or carol@example.net", **facts)
    assert read_mail(data, OWN) == AutoReply()
    assert first_look(data) in (Look.ANSWER, Look.READ)


def test_a_note_that_a_message_was_read_is_no_bounce() -> None:
    data = report("Final-Recipient: rfc822; bob@example.net\nDisposition: manual-action/MDN-sent-manually; displayed\n",
                  HEADERS, "message/disposition-notification")  # fmt: skip
    assert read_mail(data, OWN) == AutoReply()


def test_a_report_that_a_machine_wrote_is_a_bounce_all_the_same() -> None:
    assert b"Auto-Submitted: auto-replied" in returned.dsn(SENT, TO)
    assert said(returned.dsn(SENT, TO)).action == "failed"


def test_what_people_write_is_nobodys_business_and_not_even_asked_for() -> None:
    data = mail("Hello", From="bob@example.net", Subject="Re: Sale", Auto_Submitted="no")
    assert read_mail(data, OWN) is None
    assert first_look(data) is Look.OTHER


# Mails that are none


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\xff\xfe",
        b"no headers at all",
        b"Content-Type: multipart/report; boundary=\r\n\r\n--\r\n",
        b"From: =?utf-8?q?=ff=?=\r\nSubject: =?x?y?z?=\r\n\r\n",
        b"From: mailer-daemon@a.example\r\nSubject: =?gb2312?b?wLTX1HFx?= =?nope?b?xx?=\r\n\r\n550",
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: "
        b"message/delivery-status\r\n\r\n\xff\xfe: \x00\r\n--b--",
        returned.dsn(SENT, TO)[:700],
    ],
    ids=range(8),
)
def test_no_bytes_whatever_raise_anything(data: bytes) -> None:
    found = read_mail(data, OWN)
    assert found is None or isinstance(found, Unreadable | AutoReply | Bounces)
    assert first_look(data) in Look
    if isinstance(found, Unreadable):
        assert found.reason in REASONS


@pytest.mark.parametrize("step", range(0, 2400, 37))
def test_a_report_that_breaks_off_anywhere_raises_nothing_and_says_nothing_wrong(step: int) -> None:
    found = read_mail(returned.dsn(SENT, TO)[:step], OWN)
    if isinstance(found, Bounces):
        assert found.bounces[0].address in (TO, None)
        assert found.bounces[0].action == "failed"


def _nested(depth: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(depth))


BOMBS: dict[str, Callable[[], bytes]] = {
    "a thousand multiparts in one another": lambda: _nested(1_000),
    "twenty multiparts, and lines": lambda: _nested(24) + b"a\r\n" * 200_000,
    "messages in messages": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 10_000,
    "parts without end": lambda: b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 100_000,
    "dashes": lambda: b"From: postmaster@a.example\r\nSubject: undelivered\r\n\r\n" + b"\n--" * 200_000,
    "headers without end": lambda: b"From: postmaster@a.example\r\nSubject: undelivered\r\n" + b"a: b\r\n" * 100_000,
    "a header without end": lambda: b"From: postmaster@a.example\r\nSubject: " + b"=?utf-8?q?a?= " * 50_000,
    "a folded header": lambda: b"Content-Type: multipart/report;\r\n" + b" a=b;\r\n" * 80_000,
    "open tags": lambda: notice("<" * 500_000 + " bob@example.net 550 5.1.1", kind="html"),
    "styles": lambda: notice("<style>" * 80_000, kind="html"),
    "letters": lambda: notice("a" * 400_000),
    "blanks": lambda: notice(" " * 400_000 + "550"),
    "addresses": lambda: notice("a.b@c.d.e.f " * 40_000),
    "almost addresses": lambda: notice(("a." * 32 + "@" + "b." * 300) * 700),
    "digits": lambda: notice("550 5.1.1 " * 50_000),
    "newlines": lambda: notice("\n" * 500_000),
    "angles": lambda: notice(("<" * 200 + "\n") * 2_000),
    "blocks": lambda: report("a: b\n\n" * 60_000, HEADERS),
    "recipients": lambda: report("Action: failed\nFinal-Recipient: rfc822; a@b.example\n\n" * 8_000, HEADERS),
    "megabytes": lambda: returned.dsn(SENT, TO) + b"x" * 50_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_mail_takes_long(name: str) -> None:
    data = BOMBS[name]()
    began = time.process_time()
    read_mail(data[:MOST_BYTES], OWN)
    first_look(data[:MOST_BYTES])
    assert time.process_time() - began < 4


def test_more_than_is_asked_for_is_not_looked_at() -> None:
    head = b"From: postmaster@a.example\r\nSubject: undelivered\r\n\r\n"
    late = head + b" " * MOST_BYTES + b"bob@example.net 550 5.1.1 no such user"
    assert read_mail(late, OWN) == Unreadable("notice", "no_recipient")


def test_what_is_kept_of_an_unreadable_mail_is_a_word_of_ours() -> None:
    found = read_mail(notice("bob@example.net carol@example.net 550 secret text"), OWN)
    assert isinstance(found, Unreadable)
    assert set(REASONS) >= {found.reason}
    assert not any("@" in each or "secret" in each for each in (found.kind, found.reason))


def test_html_is_the_lines_that_a_person_sees() -> None:
    html = (
        "<head><title>x</title></head><style>a{}</style><p>one&nbsp;two</p><div>three<br>four</div><script>5</script>"
    )
    assert without_tags(html).split("\n") == ["one two", "three", "four"]


def test_encoded_words_are_text_and_broken_ones_stay() -> None:
    assert decoded("=?gb2312?B?z7XNs83L0MU=?=") == "系统退信"
    assert decoded("=?nope?B?z7XN?= tail").endswith("tail")
