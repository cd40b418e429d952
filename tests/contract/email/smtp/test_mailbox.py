"""Reading a bounce mailbox, against a server that behaves and one that does not."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from local.sandbox.imap import ImapSandbox
from local.sandbox.returned import dsn
from local.sandbox.smtp import SmtpSandbox
from local.sandbox.tls import make_identity
from shared.model.accounts import Account
from shared.model.inboxes import Place
from shared.model.words import Channel
from shared.net.network import Network
from shared.net.problems import WORDS
from shared.providers.email.smtp import imap, mailbox
from shared.providers.email.smtp.imap import _utf7
from shared.providers.email.smtp.mailbox import MOST_MAILS, look, where
from shared.providers.email.smtp.mailbox_visit import PROBLEMS
from shared.providers.email.smtp.provider import Secret, Settings
from shared.providers.mailboxes import Found
from tests.contract.email.support import closed_port

NOW = 1_764_500_000_000
DAY = 86_400_000
ID = "01KBA5M0000000000000000000A1B2C3D4E5F6G7H8"
SENT = f"From: shop@example.com\r\nTo: bob@example.net\r\nX-MePush-Message-Id: {ID}\r\n\r\nHello\r\n".encode()
BOUNCE = dsn(SENT, "bob@example.net")
LETTER = b"From: bob@example.net\r\nSubject: Re: Sale\r\n\r\nThank you.\r\n"
SECRET = {"mailbox_password": "imap-authorization-code"}
BASE = {
    "provider": "smtp",
    "host": "smtp.example.com",
    "port": 465,
    "security": "tls",
    "from_address": "shop@example.com",
}


@pytest.fixture
def server() -> Iterator[ImapSandbox]:
    made = ImapSandbox()
    yield made
    made.stop()


def account(server: ImapSandbox, **more: Any) -> Account:
    settings = Settings(**BASE, bounce_mailbox=server.settings() | more).model_dump(mode="json")
    return Account(
        id="mail",
        tenant="acme",
        name="Mail",
        channel=Channel.EMAIL,
        provider="smtp",
        settings=settings,
        secret_version=1,
        created_at=0,
        updated_at=0,
    )


def read(
    server: ImapSandbox,
    place: Place | None = None,
    secret: dict[str, Any] | None = None,
    network: Network | None = None,
    seconds: float = 30,
    **more: Any,
) -> Found:
    network = Network(loopback=True) if network is None else network
    return look(account(server, **more), SECRET if secret is None else secret, place or Place(), network, NOW, seconds)


def code(found: Found) -> str | None:
    return None if found.problem is None else found.problem.code


def test_new_mails_are_read_from_the_oldest_on_and_nothing_in_the_mailbox_changes(server: ImapSandbox) -> None:
    for data in (BOUNCE, LETTER, BOUNCE):
        server.folder.put(data, NOW - DAY)
    found = read(server)
    assert found.problem is None
    assert found.counts == {"bounces": 2, "others": 1}
    assert found.place == Place(validity=1_000, number=3)
    assert [(each.tenant, each.account, each.at, ID in each.body) for each in found.receipts] == [
        ("acme", "mail", NOW - DAY + 999, True)
    ] * 2
    # What people write is not even asked for; nothing is marked as seen: the sandbox knows no command that would.
    assert [each.partition(" ")[0] for each in server.commands] == [
        *("CAPABILITY", "LOGIN", "CAPABILITY", "ID", "EXAMINE", "UID", "UID", "UID", "UID", "LOGOUT"),
    ]
    assert [each for each in server.commands if each.endswith("BODY.PEEK[])")] == [
        "UID FETCH 1 (UID BODY.PEEK[])",
        "UID FETCH 3 (UID BODY.PEEK[])",
    ]


def test_it_goes_on_behind_the_last_mail(server: ImapSandbox) -> None:
    server.folder.put(BOUNCE, NOW - DAY)
    place = read(server).place
    again = read(server, place)
    assert (again.counts, again.place) == ({}, place)
    server.folder.put(BOUNCE, NOW)
    assert read(server, place).counts == {"bounces": 1}


def test_a_first_look_goes_back_a_week(server: ImapSandbox) -> None:
    for days in (30, 9, 6, 1):
        server.folder.put(BOUNCE, NOW - days * DAY)
    found = read(server)
    assert (found.counts["bounces"], found.place.number) == (2, 4)


def test_numbers_that_mean_something_else_begin_anew(server: ImapSandbox) -> None:
    server.folder.put(BOUNCE, NOW - 20 * DAY)
    server.folder.put(BOUNCE, NOW - DAY)
    place = read(server).place
    server.folder.remove(1)
    server.folder.renumber()
    found = read(server, place)
    assert found.counts == {"bounces": 1, "began_anew": 1}
    assert found.place == Place(validity=1_001, number=1)


def test_an_empty_mailbox_is_fine_and_its_place_is_kept(server: ImapSandbox) -> None:
    found = read(server)
    assert (found.problem, found.place) == (None, Place(validity=1_000, number=0))
    server.folder.put(BOUNCE, NOW)
    assert read(server, found.place).counts == {"bounces": 1}


def test_a_look_reads_so_many_mails_at_most(server: ImapSandbox) -> None:
    for _ in range(MOST_MAILS + 5):
        server.folder.put(LETTER, NOW - DAY)
    first = read(server)
    assert (first.counts["others"], first.place.number) == (MOST_MAILS, MOST_MAILS)
    assert read(server, first.place).counts["others"] == 5


def test_a_mail_that_people_deleted_meanwhile_is_no_problem(server: ImapSandbox) -> None:
    server.folder.put(BOUNCE, NOW - DAY)
    place = read(server).place
    server.folder.remove(1)
    server.folder.put(LETTER, NOW)
    server.folder.remove(2)
    assert read(server, place).problem is None


# Who they are


def test_a_server_that_names_id_is_told_who_asks(server: ImapSandbox) -> None:
    server.needs_id = True
    assert read(server).problem is None
    assert 'ID ("name" "mePush" "version" "1.0" "vendor" "mePush")' in server.commands


def test_a_server_that_does_not_name_id_is_not_told(server: ImapSandbox) -> None:
    server.names_id, server.breaks_on_id = False, True
    assert read(server).problem is None
    assert not any(each.startswith("ID") for each in server.commands)


def test_a_server_that_lets_nobody_in_says_so_in_words(server: ImapSandbox) -> None:
    server.names_id, server.needs_id = False, True
    found = read(server)
    assert code(found) == "login_unsafe"
    assert "Unsafe Login" in (found.problem.summary if found.problem else "")


# What goes wrong


def test_a_refused_login_is_tried_once(server: ImapSandbox) -> None:
    found = read(server, secret={"mailbox_password": "wrong"})
    assert (code(found), server.logins) == ("login_refused", 1)
    assert "authorization code" in (found.problem.action if found.problem else "")
    assert "wrong" not in str(found)


def test_the_accounts_own_password_is_used_unless_there_is_another(server: ImapSandbox) -> None:
    assert read(server, secret={"password": server.password}).problem is None
    assert code(read(server, secret={"password": server.password, "mailbox_password": "x"})) == "login_refused"
    assert code(read(server, secret={})) == "password_missing"


@pytest.mark.parametrize("password", ['quo"te\\back', "with blank", "a" * 200])
def test_any_password_of_ascii_can_be_written(server: ImapSandbox, password: str) -> None:
    server.password = password
    assert read(server, secret={"mailbox_password": password}).problem is None


def test_a_password_that_cannot_be_written_is_not_tried(server: ImapSandbox) -> None:
    for password in ("密码", "two\r\nlines"):
        assert code(read(server, secret={"mailbox_password": password})) == "login_not_writable"
    assert server.logins == 0


def test_a_folder_that_is_not_there(server: ImapSandbox) -> None:
    assert code(read(server, folder="退信")) == "folder_refused"
    assert 'EXAMINE "&kABP4Q-"' in server.commands


def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_password_leaves(server: ImapSandbox) -> None:
    assert code(read(server, ca_pem=make_identity().ca_pem)) == "certificate_authority_unknown"
    assert code(read(server, ca_pem=None)) in {"certificate_authority_unknown", "certificate_self_signed"}
    assert server.logins == 0


def test_a_mailbox_may_be_only_where_accounts_may_be(server: ImapSandbox) -> None:
    assert code(read(server, network=Network())) == "address_not_allowed"
    assert server.commands == []


def test_nobody_listens(server: ImapSandbox) -> None:
    assert code(read(server, port=closed_port())) == "connection_refused"


def test_a_server_that_takes_too_long_is_left(server: ImapSandbox) -> None:
    server.folder.put(BOUNCE, NOW)
    server.trickles = 0.4
    began = time.monotonic()
    found = read(server, seconds=1.2)
    assert (code(found), found.receipts) == ("timed_out", [])
    assert time.monotonic() - began < 5


def test_a_server_that_talks_without_end_is_left(server: ImapSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "MOST_BYTES", 100_000)
    server.babbles = 400_000
    assert code(read(server)) == "answers_too_large"


@pytest.mark.parametrize(
    "greeting",
    [b"", b"220 this is SMTP\r\n", b"* BYE no\r\n", b"\0\xff\r\n", b"* OK hi\r\n", b"* OK " + b"x" * 1_200_000],
    ids=["nothing", "smtp", "bye", "bytes", "only a greeting", "a line without end"],
)
def test_what_speaks_no_imap_is_a_problem_in_words(greeting: bytes) -> None:
    identity = make_identity()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        from local.sandbox.tls import server_context

        def serve() -> None:
            sock, _ = listening.accept()
            try:
                with server_context(identity).wrap_socket(sock, server_side=True) as talking:
                    talking.sendall(greeting)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        server = ImapSandbox()
        where = {"port": listening.getsockname()[1], "ca_pem": identity.ca_pem}
        found = read(server, seconds=5, **where)
        thread.join(5)
        server.stop()
    assert code(found) in {"connection_lost", "answers_too_large"}


def test_a_server_without_encryption_is_a_problem_in_words() -> None:
    server = ImapSandbox()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            sock, _ = listening.accept()
            with sock:
                sock.sendall(b"* OK IMAP4rev1\r\n")
                sock.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        found = read(server, seconds=5, port=listening.getsockname()[1])
        thread.join(5)
    server.stop()
    assert code(found) == "tls_failed"


def test_what_was_read_before_the_connection_was_lost_counts(server: ImapSandbox) -> None:
    for _ in range(3):
        server.folder.put(BOUNCE, NOW - DAY)
    server.drops_at = {3}
    found = read(server)
    assert (code(found), len(found.receipts)) == ("connection_lost", 2)
    assert found.place == Place(validity=1_000, number=2, stuck=3, stuck_times=1)


def test_a_mail_at_which_the_server_breaks_off_each_time_is_left_out(server: ImapSandbox) -> None:
    for _ in range(3):
        server.folder.put(BOUNCE, NOW - DAY)
    server.drops_at = {2}
    place = Place()
    for times in (1, 2, 3):
        found = read(server, place)
        place = found.place
        assert (code(found), place.stuck, place.stuck_times) == ("connection_lost", 2, times)
    found = read(server, place)
    assert (found.problem, found.counts, found.place.number) == (None, {"bounces": 1, "unreadable": 1}, 3)
    assert [(each.kind, each.reason) for each in found.unread] == [
        ("mail", "The server broke off each time that the mail was asked for.")
    ]


def test_of_a_huge_mail_the_beginning_is_asked_for(server: ImapSandbox) -> None:
    server.folder.put(BOUNCE + b"x" * 5_000_000, NOW - DAY)
    found = read(server)
    assert found.counts == {"bounces": 1}
    assert server.commands[-2] == f"UID FETCH 1 (UID BODY.PEEK[]<0.{512 * 1024}>)"


def test_a_huge_mail_that_comes_whole_all_the_same_holds_nobody_up(server: ImapSandbox) -> None:
    server.folder.put(BOUNCE + b"x" * 5_000_000, NOW - DAY)
    server.folder.put(BOUNCE, NOW - DAY)
    server.ignores_parts = True
    found = read(server)
    assert (code(found), found.place.number, found.counts) == ("answers_too_large", 1, {"unreadable": 1})
    assert read(server, found.place).counts == {"bounces": 1}


def test_a_mail_that_is_not_handed_over_is_told(server: ImapSandbox) -> None:
    server.folder.put(BOUNCE, NOW)
    server.withholds = "BODY"
    found = read(server)
    assert (found.problem, found.counts, found.place.number) == (None, {"unreadable": 1}, 1)
    server.withholds = "HEADER"
    # Then its content is looked at, whatever it is.
    assert read(server).counts == {"bounces": 1}


def test_what_cannot_be_read_is_told_without_its_text(server: ImapSandbox) -> None:
    server.folder.put(b"From: postmaster@example.net\r\nSubject: undelivered\r\n\r\nsecret a@b.cc c@d.ee 550\r\n", NOW)
    found = read(server)
    assert [(each.kind, each.at) for each in found.unread] == [("notice", NOW)]
    assert "secret" not in str(found.unread) and "@" not in str(found.unread)


def test_every_problem_has_words_and_something_to_do() -> None:
    for summary, action in (*PROBLEMS.values(), *WORDS.values()):
        assert summary.endswith((".", "').")) and action.endswith(".")


# Trying an account


def test_whoever_tries_an_account_hears_of_its_mailbox(server: ImapSandbox, smtp_provider: Any) -> None:
    server.folder.put(BOUNCE, NOW)
    with SmtpSandbox(username="shop@example.com", password=server.password) as sandbox:
        facts = {"username": "shop@example.com", "from_address": "shop@example.com"}
        made = smtp_provider(sandbox, server.password, bounce_mailbox=server.settings(), **facts)
        good = made.verify()
        assert (good.ok, good.action) == (True, "")
        assert good.summary.endswith("Its bounce mailbox can be read.")
        assert not any("FETCH" in each for each in server.commands)
        server.refusals = 1
        told = made.verify()
        # It can send all the same.
        assert (told.ok, told.raw_code) == (True, "login_refused")
        assert "cannot be read: The server refused the login." in told.summary
        assert "authorization code" in told.action


# Settings


def test_a_mailbox_is_named_in_the_settings_and_binds_the_secret() -> None:
    plain = Settings(**BASE, username="shop@example.com")
    assert plain.bounce_mailbox is None
    assert where(plain.model_dump(mode="json")) is None
    given = Settings(**BASE, username="shop@example.com", bounce_mailbox={"host": "imap.example.com"})
    assert given.bounce_mailbox is not None
    assert (given.bounce_mailbox.port, given.bounce_mailbox.folder) == (993, "INBOX")
    stored, other = given.model_dump(mode="json"), plain.model_dump(mode="json")
    assert Settings.binding_changes(other, stored) == ["bounce_mailbox"]
    moved = {**stored, "bounce_mailbox": {**stored["bounce_mailbox"], "host": "imap.evil.example"}}
    assert Settings.binding_changes(stored, moved) == ["bounce_mailbox"]
    assert given.servers() == [("host", "smtp.example.com", 465), ("bounce_mailbox.host", "imap.example.com", 993)]
    assert where(stored) != where(moved)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "imap.example.com"},
        {"host": "imap.example.com", "username": "a\r\nLOGOUT"},
        {"host": "not a host", "username": "u"},
        {"host": "imap.example.com", "username": "u", "folder": "a\nb"},
        {"host": "imap.example.com", "username": "u", "port": 0},
        {"host": "imap.example.com", "username": "u", "security": "none"},
        {"username": "u"},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**BASE, bounce_mailbox=wrong)


def test_a_mailbox_needs_a_password() -> None:
    without_login = Settings(**BASE, bounce_mailbox={"host": "imap.example.com", "username": "u"})
    assert (without_login.missing_secret(()) or ("",))[0] == "mailbox_password"
    assert without_login.missing_secret({"mailbox_password"}) is None
    assert without_login.missing_secret({"password"}) is None
    with pytest.raises(ValidationError):
        Secret(mailbox_password="two\nlines")


def test_settings_that_do_not_fit_any_more_are_a_problem_in_words(server: ImapSandbox) -> None:
    broken = account(server)
    broken.settings["bounce_mailbox"] = {"host": "imap.example.com", "nonsense": 1}
    assert code(look(broken, SECRET, Place(), Network(loopback=True), NOW, 5)) == "settings_unfit"


def test_names_of_folders_are_written_as_imap_wants_them() -> None:
    # The example of RFC 3501 section 5.1.3.
    assert _utf7("~peter/mail/台北/日本語") == "~peter/mail/&U,BTFw-/&ZeVnLIqe-"
    assert _utf7("R&D") == "R&-D"


def test_times_are_read_as_imap_writes_them() -> None:
    expected = int(datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC).timestamp() * 1000) + 999
    assert imap._ms(b"17-Jul-1996 02:44:25 -0700") == expected
    assert imap._ms(b" 7-Jul-1996 02:44:25 +0000") is not None
    assert [
        imap._ms(each) for each in (b"", b"tomorrow", b"99-Jul-1996 02:44:25 -0700", b"17-Xxx-1996 02:44:25 +0000")
    ] == [None] * 4


def test_the_module_is_what_the_platform_expects() -> None:
    assert callable(mailbox.look) and callable(mailbox.where)
