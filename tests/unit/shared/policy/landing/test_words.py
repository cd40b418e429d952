import re
from pathlib import Path

from shared.policy.landing import words as module
from shared.policy.landing.findings import Check, Finding, State
from shared.policy.landing.words import WORDS, words

FOLDER = Path(module.__file__).parent


def test_each_code_has_words_and_each_word_a_code() -> None:
    users = [*FOLDER.glob("*.py"), FOLDER.parents[2] / "functions" / "manage" / "domains.py"]
    text = "".join(path.read_text() for path in users if path.name != "words.py")
    assert {code for code in WORDS if f'"{code}"' not in text} == set()
    named = set(re.findall(r'"((?:spf|dkim|dmarc|mx|mail_from|tls|bimi|aligned|free)_?[a-z_]*)"', text))
    assert named - set(WORDS) <= {check.value for check in Check}


def test_both_languages_say_the_same() -> None:
    for code, form in WORDS.items():
        for one, other in ((form.summary, form.summary_zh), (form.action, form.action_zh)):
            assert sorted(re.findall(r"{\w+}", one)) == sorted(re.findall(r"{\w+}", other)), code
            assert bool(one) == bool(other), code


def test_what_a_record_says_is_no_form() -> None:
    found = words(Finding(Check.SPF, State.FAILED, "spf_syntax", facts={"name": "a.test", "term": "{name.__class__}"}))
    assert found.summary.endswith("{name.__class__}")
