"""`mepush dlq`."""

import pytest

from tests.unit.mepush.conftest import Mepush
from tests.unit.mepush.fake_api import ULID, FakeApi, dead_letter


@pytest.fixture
def letters(api: FakeApi) -> None:
    """Five dead letters with 1, 2, 3, 4 and 5 messages; the last was never tried through an account."""
    api.letters = [*(dead_letter(number) for number in (1, 2, 3, 4)), dead_letter(5, account=None)]


def test_a_list_says_why_and_what_to_do(mepush: Mepush, letters: None) -> None:
    ran = mepush("dlq", "list")
    lines = ran.out.splitlines()
    assert ran.code == 0
    columns = "dead letter age state queue template account reason code messages"
    assert " ".join(lines[0].split()) == columns
    kept = ["kept", "email.notification", "welcome"]
    assert lines[1].split() == [f"{ULID}1/d0", "50", "s", *kept, "mail", "credentials_refused", "535", "1"]
    assert [line.split()[1:3] for line in lines[2:5]] == [["50", "min"], ["2", "d"], ["125", "d"]]
    assert lines[5].split()[-4:] == ["-", "no_account", "-", "5"]
    assert lines[7:] == [
        "credentials_refused: The provider refused the credentials. What to do: Enter the right secret.",
        "no_account: There is no account. What to do: Bind one.",
    ]


def test_a_list_takes_filters_and_as_many_pages_as_it_needs(api: FakeApi, mepush: Mepush, letters: None) -> None:
    args = ("--channel", "email", "--class", "notification", "--reason", "credentials_refused", "--state", "kept")
    ran = mepush("dlq", "list", "--account", "mail", *args, "--template", "welcome", "--limit", "3", "--json")
    assert [each["recipients"] for each in ran.json["dead_letters"]] == [1, 2, 3]
    assert ran.json["more"] is True
    for part in ("channel=email", "class=notification", "account=mail", "reason=credentials_refused", "state=kept"):
        assert part in api.requests[0][1]
    assert "template=welcome" in api.requests[0][1] and "limit=3" in api.requests[0][1]
    assert "There are more; raise --limit." in mepush("dlq", "list", "--limit", "2").out
    api.letters = []
    assert mepush("dlq", "list").out == "There are no such dead letters.\n"


def test_a_redrive_goes_on_until_nothing_is_left(api: FakeApi, mepush: Mepush, letters: None) -> None:
    ran = mepush("dlq", "redrive", "--account", "mail", "--class", "notification")
    assert (ran.code, ran.out) == (0, "5 dead letters with 15 messages sent again.\n")
    assert [body for _, _, body, _ in api.requests] == [{"account": "mail", "class": "notification"}] * 3
    api.letters = [dead_letter(2)]
    ran = mepush("dlq", "redrive", "--id", "one", "--id", "two", "--json")
    assert ran.json == {"letters": 1, "recipients": 2, "carried_on": 0}
    assert (ran.err, api.requests[-1][2]) == ("", {"ids": ["one", "two"]})


def test_what_cannot_be_done_now_ends_the_command(api: FakeApi, mepush: Mepush, letters: None) -> None:
    api.stuck = 1
    ran = mepush("dlq", "redrive", "--all", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert "10 messages were sent again; 1 dead letters could not be now." in ran.err
    assert "again in a while" in ran.err


def test_the_whole_is_asked_about_first(api: FakeApi, mepush: Mepush, letters: None) -> None:
    assert mepush("dlq", "redrive", "--all", stdin="n\n").code == 1
    assert mepush("dlq", "discard", "--template", "welcome", "--note", "over", stdin="n\n").code == 1
    assert mepush("dlq", "discard", "--all", "--note", "over", stdin="").code == 1
    assert api.requests == []
    ran = mepush("dlq", "redrive", "--all", stdin="y\n")
    assert (ran.code, "5 dead letters" in ran.out) == (0, True)
    assert api.requests[0][2] == {"all": True}


def test_a_discard_carries_its_note(api: FakeApi, mepush: Mepush, letters: None) -> None:
    ran = mepush("dlq", "discard", "--id", "one", "--note", "The sale is over")
    assert (ran.code, ran.out) == (0, "5 dead letters with 15 messages discarded.\n")
    assert api.requests[0][:3] == ("POST", "/v1/dead-letters/discard", {"ids": ["one"], "note": "The sale is over"})
    refused = mepush("dlq", "discard", "--id", "one", "--note", " ")
    assert refused.code == 1 and "note: say why" in refused.err


@pytest.mark.parametrize(
    "args",
    [
        ("redrive",),
        ("redrive", "--all", "--template", "welcome"),
        ("redrive", "--reason", "bad luck"),
        ("redrive", "--channel", "fax"),
        ("discard", "--all", "--yes"),
        ("list", "--state", "lost"),
        ("list", "--limit", "0"),
    ],
)
def test_a_wrong_command_is_told_so_before_anything_is_asked(
    api: FakeApi, mepush: Mepush, args: tuple[str, ...]
) -> None:
    assert mepush("dlq", *args).code == 2
    assert api.requests == []
