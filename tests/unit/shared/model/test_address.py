"""Addresses: one canonical form each, and masks that hide the person."""

import re
import string
import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.address import AddressError, mask, normalise
from shared.model.mailboxes import MailboxError, careful
from shared.model.words import Channel

LABEL_63 = "a" * 63
LOCAL_64 = "a" * 64


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a@b.cn", "a@b.cn"),
        ("User.Name+tag@Mail.Example.COM", "user.name+tag@mail.example.com"),
        ("  user@qq.com\r\n", "user@qq.com"),
        ("\u3000user@qq.com\u200b", "user@qq.com"),
        ("\ufeffuser@qq.com", "user@qq.com"),
        ("_x-y_@a-b.example.com", "_x-y_@a-b.example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("a!#$%&*/=?^`{|}~@example.com", "a!#$%&*/=?^`{|}~@example.com"),
        ("123@456.com", "123@456.com"),
        (f"{LOCAL_64}@example.com", f"{LOCAL_64}@example.com"),
        (f"a@{LABEL_63}.com", f"a@{LABEL_63}.com"),
        ("a@b--c.com", "a@b--c.com"),
        ("user@例子.中国", "user@xn--fsqu00a.xn--fiqs8s"),
        ("user@BÜCHER.example", "user@xn--bcher-kva.example"),
        ("user@xn--fsqu00a.xn--fiqs8s", "user@xn--fsqu00a.xn--fiqs8s"),
        ("user@例子。中国", "user@xn--fsqu00a.xn--fiqs8s"),
        ("user@例子｡中国。", "user@xn--fsqu00a.xn--fiqs8s"),
        ("ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example.com"),
        ("ada\u200b@exam\u00adple.com\u202c", "ada@example.com"),
        ("ada@exam\u200dple.com", "ada@example.com"),
        ("mailto:Ada@example.com", "ada@example.com"),
        ("Ada Lovelace <ada@example.com>", "ada@example.com"),
        ('"Lovelace, Ada" <ada@example.com>', "ada@example.com"),
        ("Ada@example.com <ada@example.com>", "ada@example.com"),
        ("<ada@example.com>", "ada@example.com"),
        ('"ada@example.com"', "ada@example.com"),
        ("“ada@example.com”", "ada@example.com"),
        ("'ada@example.com'", "ada@example.com"),
        ("ada@example.com.", "ada@example.com"),
        ("ada@example.com；", "ada@example.com"),
        (",ada@example.com、", "ada@example.com"),
    ],
)
def test_email_is_brought_to_one_form(raw: str, expected: str) -> None:
    assert normalise("email", raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "user",
        "@example.com",
        "user@",
        "user@localhost",
        "a@b@example.com",
        ".user@example.com",
        "user.@example.com",
        "us..er@example.com",
        "user@example..com",
        "user@.example.com",
        "user@example.com..",
        "张三@例子.中国",
        "ÄRGER@example.com",
        "a\u0308rger@example.com",
        "\u212aelvin@example.com",
        "'user@example.com",
        "mailto:user@example.com?subject=x",
        "b@example.com <a@example.com>",
        "a@example.com b@example.com",
        "a" * 2000 + "@example.com",
        "user@-example.com",
        "user@example-.com",
        "user@ab--cd.com",
        "user@xn--a.com",
        "user@example.c0m1",
        "user@1.2.3.4",
        "user@[1.2.3.4]",
        "us er@example.com",
        "user@exam ple.com",
        "user\n@example.com",
        '"quoted"@example.com',
        "a@example.com,b@example.com",
        "a@example.com;b@example.com",
        "user@example.test",
        "user@printer.local",
        f"{LOCAL_64}a@example.com",
        f"a@{LABEL_63}a.com",
        "a@" + ".".join([LABEL_63] * 4) + ".com",
        "a" * 60 + "@" + ".".join([LABEL_63] * 3) + ".com",
    ],
)
def test_email_that_cannot_be_right_is_refused_in_plain_words(raw: str) -> None:
    with pytest.raises(AddressError) as caught:
        normalise("email", raw)
    message = str(caught.value)
    assert message.startswith("the email address ")
    assert not raw.strip() or raw not in message


def test_email_may_have_254_characters_and_no_more() -> None:
    domain = ".".join([LABEL_63, LABEL_63, "b" * 57, "com"])
    assert len(f"{LOCAL_64}@{domain}") == 254
    assert normalise("email", f"{LOCAL_64}@{domain}") == f"{LOCAL_64}@{domain}"
    with pytest.raises(AddressError):
        normalise("email", f"{LOCAL_64}@b{domain}")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("user", "has no @"),
        ("a@b@example.com", "more than one @"),
        ("a..b@example.com", "a dot where none may be"),
        ("a b@example.com", "a blank inside"),
        ("用户@example.com", "letters before the @ that are not a to z"),
        ("'a@example.com", "begins with an apostrophe"),
        ("a@example.com, b@example.com", "more than one: give each address a row"),
        ("a@example.com；b@example.com", "more than one: give each address a row"),
        ("a@example.com/b@example.com", "more than one: give each address a row"),
        ("b@example.com <a@example.com>", "another one beside it"),
        ("a@host", "no full domain"),
        ("a@x.test", "reserved"),
        ("a" * 65 + "@example.com", "too long"),
    ],
)
def test_email_error_names_the_fault(raw: str, said: str) -> None:
    with pytest.raises(AddressError, match=said):
        normalise("email", raw)


@pytest.mark.parametrize("prefix", ["", "86", "0086", "+86", "+86 ", "+86-", "0086 ", " "])
@pytest.mark.parametrize("block", ["130", "138", "162", "165", "167", "171", "191", "192", "194", "199"])
def test_mainland_mobiles_in_every_spelling(prefix: str, block: str) -> None:
    assert normalise("sms", f"{prefix}{block}12345678") == f"+86{block}12345678"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("138 1234 5678", "+8613812345678"),
        ("138-1234-5678", "+8613812345678"),
        ("138–1234—5678", "+8613812345678"),
        ("(138) 1234.5678", "+8613812345678"),
        ("+86 138 1234 5678", "+8613812345678"),
        ("１３８１２３４５６７８", "+8613812345678"),
        ("＋86 13812345678", "+8613812345678"),
        ("\u300013812345678\u00a0", "+8613812345678"),
        ("194 1234 5678", "+8619412345678"),
        ("+1 425-414-7755", "+14254147755"),
        ("001 425 414 7755", "+14254147755"),
        ("+852 5704 8426", "+85257048426"),
        ("+447860019066", "+447860019066"),
        ("+39 02 1234 5678", "+390212345678"),
        ("010-62345678", "+861062345678"),
        ("(+86)13800138000", "+8613800138000"),
        ("（＋８６）138 0013 8000", "+8613800138000"),
        ("\u202a+8613800138000\u202c", "+8613800138000"),
        ("\u202d13800138000\u202c", "+8613800138000"),
        ("\u202e13800138000\u202c", "+8613800138000"),
        ("\u2066+86 138\u20690013\u200e8000\ufe0f", "+8613800138000"),
        ("138\u00a00013\u202f8000", "+8613800138000"),
        ("'13800138000", "+8613800138000"),
        ('="13800138000"', "+8613800138000"),
        ("138.0013.8000", "+8613800138000"),
        ("138/0013/8000", "+8613800138000"),
        ("13800138000,", "+8613800138000"),
        ("13800138000。", "+8613800138000"),
        ("013800138000", "+8613800138000"),
        ("tel:+8613812345678", "+8613812345678"),
        ("+49 (0)171 1234567", "+491711234567"),
        ("+1 (425) 414.7755", "+14254147755"),
        ("+43 664 123 45 67", "+436641234567"),
        ("+62 812-3456-7890", "+6281234567890"),
        ("+81 90-1234-5678", "+819012345678"),
    ],
)
def test_phone_numbers_become_e164(raw: str, expected: str) -> None:
    assert normalise("sms", raw) == expected


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("(425) 414-7755", "US", "+14254147755"),
        ("5704 8426", "HK", "+85257048426"),
        ("+8613812345678", "US", "+8613812345678"),
        ("+86 138 1234 5678", "US", "+8613812345678"),
        ("07860 019066", "GB", "+447860019066"),
        ("0664/1234567", "AT", "+436641234567"),
        ("8 912 345-67-89", "RU", "+79123456789"),
        ("011 86 138 0013 8000", "US", "+8613800138000"),
        ("\u0660\u0667\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "JO", "+962791234567"),
    ],
)
def test_the_region_reads_numbers_without_a_country_code(raw: str, region: str, expected: str) -> None:
    assert normalise("sms", raw, region) == expected


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("", "CN"),
        ("  ", "CN"),
        ("1381234567", "CN"),
        ("138123456789", "CN"),
        ("12812345678", "CN"),
        ("+8612812345678", "CN"),
        ("13812345678", "US"),
        ("+999123456789", "CN"),
        ("+1 800 FLOWERS", "US"),
        ("13812345678 ext 5", "CN"),
        ("++8613812345678", "CN"),
        ("+860013800138000", "CN"),
        ("17951 13800138000", "CN"),
        ("+54 11 15 3456 7890", "CN"),
        ("+43 1 58801-0", "CN"),
        ("010-62345678-801", "CN"),
        ("0664 1234567/8", "AT"),
        ("13800138000\u00b2", "CN"),
        ("2026-5-1", "HK"),
        ("13812345678,13812345679", "CN"),
        ("13812345678\n13812345679", "CN"),
        ("zhangsan", "CN"),
        ("425 414 7755", "XX"),
        ("+" + "1" * 60, "CN"),
    ],
)
def test_phone_that_cannot_be_right_is_refused_in_plain_words(raw: str, region: str) -> None:
    with pytest.raises(AddressError) as caught:
        normalise("sms", raw, region)
    message = str(caught.value)
    assert message.startswith("the phone number")
    assert not re.search(r"\d", message)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("12", "too short"),
        ("+12", "too short"),
        ("+" + "1" * 41, "too long"),
        ("--", "has no digits"),
        ("+", "has no digits"),
        ("138+00138000", "a + that is not at its beginning"),
        ("++8613812345678", "a + that is not at its beginning"),
        ("zhangsan", "holds letters"),
        ("138~0013~8000", "may hold digits, a leading"),
        ("+628123456789.0", "decimal point"),
        ("+43 664 1234567.0", "decimal point"),
        ("13800138000.00", "decimal point"),
        ("13800138000．０", "decimal point"),
        ("13800138000,0", "decimal point or thousands"),
        ("13,800,138,000", "thousands separators"),
        ("1.38E+10", "exponent form"),
        ("8.61E+12", "exponent form"),
        ("1,38e10", "exponent form"),
        ("-13800137914", "negative"),
        ("−13800137914", "negative"),
        ("(13800137914)", "negative"),
        ("#N/A", "error or a row of #"),
        ("########", "error or a row of #"),
        ("2026/5/1", "looks like a date"),
        ("13800138000 ext. 5", "has an extension"),
        ("13800138000转801", "has an extension"),
        ("13800138000#5", "has an extension"),
        ("13800138000-0", "read in two ways"),
        ("+43 1 58801-0", "read in two ways"),
        ("13800138000/13900139000", "more than one: give each number a row"),
        ("13800138000、13900139000", "more than one: give each number a row"),
        ("13800138000 或 13900139000", "more than one: give each number a row"),
        ("628123456789", "begin numbers abroad with + and the country code"),
    ],
)
def test_phone_error_names_the_fault(raw: str, said: str) -> None:
    with pytest.raises(AddressError, match=re.escape(said)):
        normalise("sms", raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ZhangSan", "zhangsan"),
        (" zhangsan\n", "zhangsan"),
        ("a", "a"),
        ("1_2-3@x.y", "1_2-3@x.y"),
        ("z" * 64, "z" * 64),
        ("@all", "@all"),
        ("@ALL", "@all"),
        ("@group", "@group"),
        (" @group ", "@group"),
        ("party:2", "party:2"),
        ("Party:007", "party:7"),
        ("tag:3", "tag:3"),
        ("\u200eＺhangSan\ufe0f", "zhangsan"),
        ("'@all", "@all"),
        ('"zhangsan"', "zhangsan"),
        ("party：2", "party:2"),
        ("10086", "10086"),
        ("1e5", "1e5"),
    ],
)
def test_wecom_recipients(raw: str, expected: str) -> None:
    assert normalise("wecom", raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "z" * 65,
        "张三",
        "a b",
        "a|b",
        "a,b",
        "@al",
        "@",
        "_x",
        "party:",
        "party:x",
        "party:0",
        "tag:-1",
        "dept:1",
        "tag:" + "9" * 11,
        "a\nb",
        "a/b",
        "10086.0",
    ],
)
def test_wecom_recipient_that_cannot_be_right_is_refused(raw: str) -> None:
    with pytest.raises(AddressError, match="WeCom"):
        normalise("wecom", raw)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("", "is empty"),
        ("张三", "holds only letters"),
        ("party:x", "party:<id>"),
        ("z" * 65, "at most 64"),
        ("@al", "begins with a letter or digit; else give @all"),
        ("zhangsan|lisi", "is one user"),
        ("zhangsan；lisi", "is one user"),
        ("10086.0", "a decimal or exponent"),
        ("1.23E+05", "a decimal or exponent"),
    ],
)
def test_wecom_error_names_the_fault(raw: str, said: str) -> None:
    with pytest.raises(AddressError, match=said):
        normalise("wecom", raw)


def test_channels_as_words_and_unknown_ones() -> None:
    assert normalise(Channel.SMS, "13812345678") == "+8613812345678"
    assert normalise(Channel.EMAIL, "A@b.cn") == "a@b.cn"
    assert normalise(Channel.WECOM, "A") == "a"
    with pytest.raises(ValueError, match="no such channel: fax") as caught:
        normalise("fax", "1")
    assert not isinstance(caught.value, AddressError)


@pytest.mark.parametrize(
    ("channel", "address", "expected"),
    [
        ("email", "alice@qq.com", "a***@qq.com"),
        ("email", "a@qq.com", "a***@qq.com"),
        ("email", "nonsense", "***"),
        ("email", "", "***"),
        ("sms", "+8613812341234", "+86138****1234"),
        ("sms", "+14254147755", "+142****7755"),
        ("sms", "12345678", "****78"),
        ("sms", "", "****"),
        ("wecom", "zhangsan", "zh***"),
        ("wecom", "ab", "a***"),
        ("wecom", "", "***"),
        ("wecom", "@all", "@all"),
        ("wecom", "@group", "@group"),
        ("wecom", "party:2", "party:2"),
        ("wecom", "tag:3", "tag:3"),
    ],
)
def test_masks(channel: str, address: str, expected: str) -> None:
    assert mask(channel, address) == expected


@settings(deadline=None)  # the first example imports the libraries
@given(st.sampled_from(["email", "sms", "wecom"]), st.text(max_size=300))
def test_masks_never_fail_and_hide_most_of_it(channel: str, text: str) -> None:
    assert "*" in mask(channel, text) or text.startswith(("@", "party:", "tag:"))


_ATOM = st.text(string.ascii_letters + string.digits + "_+-", min_size=1, max_size=12)
_LABEL = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
_PLAIN = st.builds(
    lambda local, labels, tld: f"{'.'.join(local)}@{'.'.join(labels)}.{tld}",
    st.lists(_ATOM, min_size=1, max_size=5),
    st.lists(_LABEL, min_size=1, max_size=4),
    st.one_of(
        st.sampled_from(["com", "cn", "test", "local", "localhosts"]), st.from_regex(r"[a-z]{1,8}", fullmatch=True)
    ),
)


def _either(call: object, *args: str) -> str:
    assert callable(call)
    try:
        return str(call(*args))
    except (AddressError, MailboxError):
        return "refused"


@settings(deadline=None)
@given(_PLAIN)
def test_the_fast_email_path_agrees_with_the_slow_one(address: str) -> None:
    assert _either(normalise, "email", address) == _either(careful, address)


@settings(deadline=None)
@given(st.text("aB1.-_@+ é。", max_size=30))
def test_the_fast_email_path_agrees_on_near_misses(text: str) -> None:
    assert _either(normalise, "email", text) == _either(careful, text.strip())


@settings(deadline=None)
@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_mainland_numbers_that_libphonenumber_knows_come_out_alike(number: str) -> None:
    found = phonenumbers.parse(number, "CN")
    assert normalise("sms", number) == "+86" + number
    if phonenumbers.is_valid_number(found):
        assert phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164) == "+86" + number


_ODD_LOCALS = st.text(
    st.characters(categories=["Lu", "Ll", "Lo", "Mn", "Nd"], include_characters="._-+'"), min_size=1, max_size=20
)
_RAW = st.one_of(
    st.tuples(st.just("email"), st.one_of(_PLAIN, _ODD_LOCALS.map(lambda s: s + "@Example.COM"))),
    st.tuples(st.just("email"), st.one_of(st.text(max_size=40), _ODD_LOCALS.map(lambda s: f"a@{s}.com"))),
    st.tuples(st.just("sms"), st.text("0123456789+- ()．０１", max_size=20)),
    st.tuples(st.just("sms"), st.integers(1, 10**14).map(lambda n: f"+{n}")),
    st.tuples(st.just("wecom"), st.text("aZ09_-@.:prtyg", max_size=70)),
)


@settings(deadline=None)
@given(_RAW)
def test_normalising_twice_changes_nothing(case: tuple[str, str]) -> None:
    channel, raw = case
    try:
        once = normalise(channel, raw)
    except AddressError:
        return
    assert normalise(channel, once) == once


def test_the_usual_addresses_load_neither_library() -> None:
    code = (
        "import sys\n"
        "from shared.model.address import normalise\n"
        "normalise('email', 'Zhang.San+x@a-b.com'); normalise('sms', '138 1234 5678'); normalise('wecom', 'A')\n"
        "print(sorted({'phonenumbers', 'email_validator', 'boto3', 'idna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
