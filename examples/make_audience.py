"""Writes the audience files and expected.csv, always the same: `python examples/make_audience.py`.

All people, companies and orders are invented. Email addresses are at domains kept for examples (RFC 2606). Numbers
abroad are those that Amazon publishes for simulated deliveries or that regulators keep for fiction; the others repeat
a digit or count up. What must become of each row is known here because each row is made to be good, or broken in one
named way: nothing of the platform is asked. Those of the mailbox simulator are the vendor's own.
"""

import csv
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

FOLDER = Path(__file__).parent
SEED = 20261124

CHINESE = [
    *("李雷", "韩梅梅", "王芳", "张伟", "欧阳娜娜", "司马相如", "陈晓明", "刘洋", "赵敏", "周杰"),
    *("吴磊", "郑爽爽", "孙悦", "朱一龙龙", "马冬梅", "诸葛亮亮", "徐静", "高山", "林志", "何炅然"),
]
FOREIGN = [
    *("Ada Lovelace", "Siobhán O'Brien", "José García", "Zoë Müller", "Łukasz Nowak", "Nguyễn Văn An", "佐藤 花子"),
    *(
        "김민수",
        "Анна Петрова",
        "Renée Dupont",
        "Smith, John",
        'Robert "Bob" Tables',
        "Party 🎉 Person",
        "Mia 👩‍🚀 Chen",
    ),
    *("Åsa Öberg", "D'Angelo & Sons", "<b>Bold</b> Name", "100% Cotton", "Li, Lei (李雷)", "Max 😀"),
]
ADDRESSES = [
    "1 Harbour Road\nFlat 2, Tower B\nHong Kong",
    "浙江省杭州市西湖区\n文三路 123 号，4 幢 501 室",
    "12 Rue de la Paix, 75002 Paris",
    '5 "The Cottage", Mill Lane\r\nOxford',
    "北京市朝阳区建国路 88 号",
    "742 Evergreen Terrace, Springfield, US",
]
EMAIL_FORMS = [
    "{n}@example.com",
    "first.last{n}@example.org",
    "user+tag{n}@example.net",
    "UPPER{n}@Example.COM",
    "a.b.c{n}@mail.example.com",
    "under_score{n}@shop.example",
    "o'neil{n}@example.com",
    "mail{n}@例子.example",
    "post{n}@bücher.example",
    "{n}-dash@my-shop.example",
]
BROKEN_EMAILS = [
    *(
        "no-at-sign.example.com",
        "@example.com",
        "nobody@",
        "two@@example.com",
        "a@b@example.com",
        "dots..in@example.com",
    ),
    *("ends.@example.com", "blank in@example.com", "nodomain@example", "comma@example,com", "semi;colon@example.com"),
    *(
        "trailing@example.com..",
        "box@localhost",
        "box@shop.test",
        "box@-dash.example",
        "one@example.com/two@example.com",
    ),
    *("用户@example.com", "n/a", "无", f"{'x' * 65}@example.com"),
]
# Old and new blocks of mainland mobiles; 162, 165, 167 and 190 to 199 came last.
PREFIXES = [
    *("130", "131", "133", "135", "136", "138", "139", "145", "147", "149", "150", "152", "155", "157", "159"),
    *("162", "165", "166", "167", "170", "171", "172", "175", "176", "177", "178", "180", "182", "185", "188", "189"),
    *("190", "191", "192", "193", "195", "196", "197", "198", "199"),
]
PHONE_FORMS: list[Callable[[str], str]] = [
    lambda n: n,
    lambda n: f"+86{n}",
    lambda n: f"0086{n}",
    lambda n: f"86{n}",
    lambda n: f"+86 {n[:3]} {n[3:7]} {n[7:]}",
    lambda n: f"{n[:3]}-{n[3:7]}-{n[7:]}",
    lambda n: f"　{n}",
    lambda n: f"{n}  ",
    lambda n: "".join(chr(ord(c) + 0xFEE0) for c in n),
    lambda n: f" +86-{n}\u00a0",
]
BROKEN_PHONES = [
    *("1380000", "138000000001", "12800000001", "1380000000O", "phone", "+86", "13800000001/13900000001"),
    *("+999123456789", "+1 555", "未填写", "138 0000 0001 转 8", "#N/A", "1.38E+10"),
]
ABROAD = [
    *("+14254147755", "+1 425-414-7755", "+12025550143", "+1 (202) 555-0188", "+447860019066", "+44 7860 019066"),
    *("+85257048426", "+852 5704 8426", "+6591234567", "+65 9123 4567", "+819012345678", "+81 90-1234-5678"),
    *("+886903444630", "+61455944038", "+33755512501", "+34683783440", "+85291234567", "+4915112345678"),
]
CITIES = ["杭州", "北京", "上海", "广州", "成都", "", "西安"]
CATEGORIES = ["户外装备", "咖啡器具", "图书", "童装，童鞋", "数码"]


@dataclass
class Audience:
    """A file in the making. A row is None for an empty line.

    broken: row number -> reason. reported: row number -> what a provider says afterwards, and why.
    """

    name: str
    header: list[str]
    rows: list[list[str] | None] = field(default_factory=list)
    broken: dict[int, str] = field(default_factory=dict)
    reported: dict[int, tuple[str, str]] = field(default_factory=dict)
    encoding: str = "utf-8"
    newline: str = "\n"
    quote_all: bool = False

    def add(self, *cells: str, broken: str = "", reported: tuple[str, str] | None = None) -> None:
        """Add a recipient; `broken` is the reason why it must be rejected."""
        self.rows.append(list(cells))
        if broken:
            self.broken[len(self.rows) + 1] = broken
        if reported:
            self.reported[len(self.rows) + 1] = reported

    def blank(self) -> None:
        """Add an empty row, as people leave them."""
        self.rows.append(None)

    def write(self) -> None:
        """Write the file."""
        text = io.StringIO(newline="")
        writer = csv.writer(
            text, lineterminator=self.newline, quoting=csv.QUOTE_ALL if self.quote_all else csv.QUOTE_MINIMAL
        )
        writer.writerow(self.header)
        for row in self.rows:
            if row is None:
                text.write(self.newline)
            else:
                writer.writerow(row)
        (FOLDER / "audience" / self.name).write_bytes(text.getvalue().encode(self.encoding))

    def ends(self) -> Iterator[tuple[str, int, str, str]]:
        """(file, row, end, reason) of each recipient."""
        for number, row in enumerate(self.rows, start=2):
            if row is not None and any(cell.strip() for cell in row):
                reason = self.broken.get(number, "")
                end = ("rejected", reason) if reason else self.reported.get(number, ("sent", ""))
                yield self.name, number, *end


def _emails() -> Iterator[str]:
    for n, form in enumerate(cycle(EMAIL_FORMS), start=1):
        yield form.format(n=n)


def _mobiles() -> Iterator[str]:
    for n, prefix in enumerate(cycle(PREFIXES), start=1):
        yield PHONE_FORMS[n % len(PHONE_FORMS)](f"{prefix}0000{n:04d}")


def shipping(chance: random.Random) -> Audience:
    """A web shop's export by a Western Excel: BOM, CRLF, quoted commas and line breaks."""
    made = Audience(
        "customers-shipping.csv",
        ["to", "name", "order", "carrier", "tracking", "address", "gift", "internal note"],
        encoding="utf-8-sig",
        newline="\r\n",
    )
    emails, broken = _emails(), iter(BROKEN_EMAILS)
    for n in range(160):
        name, address = chance.choice(CHINESE + FOREIGN), chance.choice(ADDRESSES)
        facts = [f"BW-{10001 + n}", chance.choice(["SF Express", "DHL", "顺丰速运"]), f"SF{100000001 + n}"]
        gift = "Happy birthday,\nlove from all of us 🎂" if n % 9 == 4 else ""
        if n % 16 == 7:
            made.add(next(broken), name, *facts, address, gift, "", broken="address_invalid")
        elif n % 40 == 20:
            made.add(next(emails), name, "", *facts[1:], address, gift, "order missing", broken="variable_missing")
        elif n == 33:
            made.add("", name, *facts, address, gift, "no address", broken="address_invalid")
        elif n == 90:
            made.blank()
        else:
            made.add(
                f"{next(emails)}{'　' if n % 13 == 5 else '  ' if n % 11 == 3 else ''}", name, *facts, address, gift, ""
            )
    # The same customer with a second order, and one row twice.
    made.add("1@example.com", "李雷", "BW-20001", "DHL", "DH1", ADDRESSES[0], "", "second order")
    made.add("1@example.com", "李雷", "BW-20001", "DHL", "DH1", ADDRESSES[0], "", "second order")
    made.add("1@EXAMPLE.com ", "李雷", "BW-20002", "DHL", "DH2", ADDRESSES[0], "", "third order")
    return made


def spring_sale(chance: random.Random) -> Audience:
    """A CRM's export: BOM, everything quoted, optional cells left empty."""
    made = Audience(
        "customers-spring-sale.csv",
        ["to", "name", "category", "discount", "city", "points"],
        encoding="utf-8-sig",
        newline="\r\n",
        quote_all=True,
    )
    broken = iter(reversed(BROKEN_EMAILS))
    for n in range(130):
        person = chance.choice(CHINESE) + ("🌟" if n % 10 == 1 else "")
        facts = [chance.choice(CATEGORIES), chance.choice("5678"), chance.choice(CITIES), str(n * 37) if n % 3 else ""]
        if n % 22 == 9:
            made.add(next(broken), person, *facts, broken="address_invalid")
        elif n in {40, 99}:
            made.add(f"spring{n}@example.org", "　", *facts, broken="variable_missing")
        else:
            made.add(f"spring.{n}+sale@example.org", f"{person}　" if n % 17 == 2 else person, *facts)
    made.blank()
    made.blank()
    return made


def newsletter(chance: random.Random) -> Audience:
    """A list with a column name of its own and a column that is nobody's variable."""
    made = Audience("newsletter-subscribers.csv", ["Customer No", "E-Mail", "name"])
    for n in range(90):
        name = chance.choice(FOREIGN) if n % 4 else ""
        if n % 30 == 17:
            made.add(f"C{n}", BROKEN_EMAILS[n % len(BROKEN_EMAILS)], name, broken="address_invalid")
        else:
            made.add(f"C{n}", f"reader.{n}@{'mail.' if n % 2 else ''}example.net", name)
    return made


def old_crm(chance: random.Random) -> Audience:
    """What a Chinese Excel saves as plain CSV."""
    made = Audience("members-gb18030.csv", ["to", "name", "category", "discount"], encoding="gb18030", newline="\r\n")
    for n in range(25):
        if n == 12:
            made.add("member12#example.com", "李雷", "图书", "8", broken="address_invalid")
        else:
            made.add(f"member{n}@example.com", chance.choice(CHINESE), chance.choice(CATEGORIES), "8")
    return made


def mailbox_simulator(_: random.Random) -> Audience:
    """Recipients of Amazon SES's mailbox simulator, and of the local stack's: what is reported after a message left."""
    made = Audience("mailbox-simulator.csv", ["to", "name", "category", "discount", "city", "points"])
    for name, reported in (
        ("success", None),
        ("delayed", None),
        ("ooto", None),
        ("bounce", ("undelivered", "address_unknown")),
        ("late", ("undelivered", "address_unknown")),
        ("full", ("undelivered", "mailbox_full")),
        ("suppressionlist", ("undelivered", "suppressed_provider")),
        ("complaint", ("complained", "")),
    ):
        made.add(f"{name}+sale@simulator.amazonses.com", name, "图书", "8", "杭州", "12", reported=reported)
    return made


def password_resets(chance: random.Random) -> Audience:
    """Codes by email."""
    made = Audience("password-resets.csv", ["to", "name", "code"])
    for n in range(20):
        made.add(f"reset{n}@example.com", chance.choice(CHINESE + FOREIGN), f"{chance.randrange(10**6):06d}")
    made.add("reset.example.com", "王芳", "123456", broken="address_invalid")
    made.add("reset99@example.com", "王芳", "", broken="variable_missing")
    return made


def login_codes(chance: random.Random) -> Audience:
    """Codes for every mainland prefix, in every way people write numbers; the header is Chinese, with a BOM."""
    made = Audience("login-codes-cn.csv", ["手机号", "code", "minutes"], encoding="utf-8-sig", newline="\r\n")
    mobiles, broken = _mobiles(), iter(BROKEN_PHONES)
    for n in range(100):
        code, minutes = f"{chance.randrange(10**6):06d}", "10" if n % 5 == 0 else ""
        if n % 10 == 6:
            made.add(next(broken), code, minutes, broken="address_invalid")
        else:
            made.add(next(mobiles), code, minutes)
    made.add("13800000001", "", "", broken="variable_missing")
    return made


def login_codes_abroad(chance: random.Random) -> Audience:
    """Codes for numbers abroad."""
    made = Audience("login-codes-intl.csv", ["to", "code"])
    for number in ABROAD:
        made.add(number, f"{chance.randrange(10**6):06d}")
    # Kept for fiction by the British regulator, so no operator has it.
    made.add("+447700900123", "000000", broken="address_invalid")
    made.add("+999123456", "000000", broken="address_invalid")
    return made


def deliveries(chance: random.Random) -> Audience:
    """A courier's list; one row has a comma too many."""
    made = Audience("deliveries.csv", ["to", "name", "tracking", "window", "pickup"], newline="\r\n")
    mobiles, windows = _mobiles(), ["9:00-11:00", "14:00-16:00", "今晚 18 点后"]
    for n in range(60):
        facts = [f"SF{200000001 + n}", chance.choice(windows), f"A-{1000 + n}"]
        made.add(next(mobiles), chance.choice(CHINESE), *facts)
    made.add("13800000001", "李雷", "SF1", "14:00", "A-1", "放门口", broken="columns_wrong")
    made.add("13800000002", "李雷", "SF1", "14:00", broken="columns_wrong")
    made.add("1380000000", "李雷", "SF1", "14:00", "A-1", broken="address_invalid")
    made.add("", "", "", "", "")
    return made


def weekend_sale(chance: random.Random) -> Audience:
    """Marketing abroad and at home, with duplicates."""
    made = Audience("weekend-sale.csv", ["to", "name", "category"], encoding="utf-8-sig")
    mobiles = _mobiles()
    for n in range(60):
        number = ABROAD[n % len(ABROAD)] if n % 3 == 0 else next(mobiles)
        made.add(number, chance.choice(FOREIGN) if n % 5 else "", chance.choice(["tents", "boots, new", "mugs ☕"]))
    made.add("+14254147755", "", "tents")
    made.add("+14254147755", "", "tents")
    made.add("not a number", "Ada", "tents", broken="address_invalid")
    return made


def oncall(_chance: random.Random) -> Audience:
    """Alerts to members, departments, tags and everyone of an app."""
    made = Audience("oncall.csv", ["to", "severity", "service", "metric", "value", "since"])
    facts = ["critical", "checkout", "p99_latency_ms", "2300", "2026-11-24 09:12"]
    for to in (
        "zhangwei",
        "LiLei",
        "han.meimei",
        "wang_fang",
        "chen-xm",
        "liu.yang@corp",
        "party:2",
        "tag:7",
        "party:003",
    ):
        made.add(to, *facts)
    made.add("@all", "warning", "payments 支付", "error_rate", "4.2%", "2026-11-24 09:15")
    made.add("zhangwei", "warning", "search", "queue_depth", "10,000", "2026-11-24 09:20")
    for to in ("张伟", "zhang wei", "@al", "party:", "tag:x", "tag:0", "-dash", "u" * 65):
        made.add(to, *facts, broken="address_invalid")
    return made


def oncall_group(_chance: random.Random) -> Audience:
    """Alerts by a group robot: the group, and members to mention."""
    made = Audience("oncall-group.csv", ["to", "severity", "service", "metric", "value", "oncall"])
    made.add("@group", "critical", "checkout", "error_rate", "4.2%", "张伟")
    made.add("@group", "warning", "search", "queue_depth", "10,000", "")
    made.add("@all", "critical", "payments", "error_rate", "12%", "李雷")
    made.add("zhangwei", "critical", "login 登录", "error_rate", "7%", "张伟")
    made.add("@grp", "critical", "checkout", "error_rate", "4.2%", "", broken="address_invalid")
    return made


def staff_news(chance: random.Random) -> Audience:
    """A news card for members; equal content may share a call to WeCom."""
    made = Audience("staff-news.csv", ["to", "name", "headline", "summary"], encoding="utf-8-sig", newline="\r\n")
    for n in range(45):
        name = chance.choice(CHINESE) if n % 2 else "各位同事"
        made.add(f"staff{n:03d}", name, "徒步鞋新款上架 🥾", "会员提前购，今晚开始")
    made.add("staff 045", "李雷", "徒步鞋新款上架", "会员提前购", broken="address_invalid")
    made.add("staff046", "李雷", "", "会员提前购", broken="variable_missing")
    return made


def approvers(chance: random.Random) -> Audience:
    """A text card for those who approve leave."""
    made = Audience("approvers.csv", ["to", "applicant", "dates", "kind", "days", "id"])
    for n in range(25):
        days = n % 5 + 1
        dates = f"11月{n % 20 + 1}日 至 11月{n % 20 + days}日"
        kind = chance.choice(["年假", "病假", "调休"])
        made.add(f"boss{n % 8}", chance.choice(CHINESE), dates, kind, str(days), f"L-20261124-{n:02d}")
    return made


def staff_codes(chance: random.Random) -> Audience:
    """Codes by WeCom."""
    made = Audience("staff-codes.csv", ["to", "code", "system"])
    for n in range(20):
        system = chance.choice(["财务系统", "VPN", "代码仓库"])
        made.add(f"Staff{n:03d}", f"{chance.randrange(10**6):06d}", system)
    made.add("staff,020", "123456", "VPN", broken="address_invalid")
    return made


def expenses(chance: random.Random) -> Audience:
    """A template card, with a reference of the sender's own per row."""
    made = Audience("expenses.csv", ["id_ref", "to", "name", "id", "amount", "reason"])
    for n in range(15):
        reason = chance.choice(["客户拜访", "差旅", "培训，教材"])
        amount = f"{chance.randrange(100, 9999):,}.00"
        made.add(f"FIN-{n:04d}", f"staff{n:03d}", chance.choice(CHINESE), f"E-{8800 + n}", amount, reason)
    made.add("FIN-0099", "", "王芳", "E-1", "1.00", "差旅", broken="address_invalid")
    return made


def customer_group(_chance: random.Random) -> Audience:
    """Two posts into a customers' group."""
    made = Audience("customer-group.csv", ["to", "offer", "until"])
    made.add("@group", "咖啡第二杯半价 ☕", "周日")
    made.add("@group", "全场图书 8 折", "周一")
    return made


def main() -> None:
    """Write all files."""
    (FOLDER / "audience").mkdir(exist_ok=True)
    makers = [
        *(shipping, spring_sale, newsletter, old_crm, password_resets, login_codes, login_codes_abroad, deliveries),
        *(weekend_sale, oncall, oncall_group, staff_news, approvers, staff_codes, expenses, customer_group),
        mailbox_simulator,
    ]
    audiences = [make(random.Random(SEED + n)) for n, make in enumerate(makers)]  # noqa: S311 - the same files each time, no secrets
    with (FOLDER / "expected.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["audience", "row", "end", "reason"])
        for audience in audiences:
            audience.write()
            writer.writerows(audience.ends())


if __name__ == "__main__":
    main()
