"""docs/replies.md says what the code does with each reply."""

from shared.model.reasons import Blame
from shared.providers.email.smtp.replies import REPLIES
from tests.contract.email.smtp.replies_page import MARK, PAGE, TITLES, tables


def test_the_page_holds_the_tables_of_the_code() -> None:
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert rest == f"\n{tables()}", "run `python -m tests.contract.email.smtp.replies_page`"
    assert all(f"`{blame}`" in head for blame in Blame)


def test_every_reply_stands_on_the_page_once() -> None:
    found = tables()
    assert all(found.count(f"| `{entry.name}` |") == 1 for entry in REPLIES)
    assert all(f"## {title}\n" in found for title in TITLES.values())
