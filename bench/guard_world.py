"""People, and fraudsters, who ask for codes by SMS: what the simulation of the guard plays. Deterministic by its seed.

Twenty countries with daily curves and weekends; one has a launch, one is new, and a provider fails. Nothing here is
measured from anybody's traffic: the shares and prices are set in the middle of what public reports say.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

MINUTE, HOUR, DAY = 60, 3_600, 86_400
HEADS = 4
"""First four digits of a country's mobile numbers, of which each has fifteen prefixes of seven."""
RESENDS = 0.12
"""So many people ask for a second text, about a minute after the first."""
DELAY_MEDIAN_S, DELAY_SPREAD = 20, 0.6
"""How long people take to enter a code: lognormal; 4 % take longer than a minute."""


@dataclass(frozen=True, slots=True)
class Country:
    """Where people are.

    code: of its numbers. per_day: starts on a working day. zone: hours ahead of UTC. conversion: the share of
    texts whose code is entered. fee: of a text, in dollars. begins_day: when the first start comes.
    """

    name: str
    code: str
    per_day: int
    zone: int
    conversion: float
    fee: float
    begins_day: int = 0


COUNTRIES = (
    Country("CN", "86", 1250, 8, 0.82, 0.01),
    Country("IN", "91", 625, 5, 0.74, 0.02),
    Country("US", "1", 450, -6, 0.85, 0.01),
    Country("ID", "62", 300, 7, 0.68, 0.25),
    Country("BR", "55", 250, -3, 0.75, 0.03),
    Country("GB", "44", 200, 0, 0.87, 0.04),
    Country("DE", "49", 175, 1, 0.88, 0.09),
    Country("FR", "33", 150, 1, 0.86, 0.07),
    Country("JP", "81", 150, 9, 0.9, 0.07),
    Country("TR", "90", 125, 3, 0.72, 0.02),
    Country("VN", "84", 100, 7, 0.7, 0.12),
    Country("TH", "66", 100, 7, 0.76, 0.02),
    Country("MX", "52", 100, -6, 0.73, 0.06),
    Country("PH", "63", 75, 8, 0.66, 0.17),
    Country("EG", "20", 50, 2, 0.64, 0.27),
    Country("NG", "234", 40, 1, 0.62, 0.24),
    Country("SA", "966", 40, 3, 0.74, 0.12),
    Country("PK", "92", 40, 5, 0.61, 0.28),
    Country("KE", "254", 40, 3, 0.69, 0.18),
    Country("MY", "60", 600, 8, 0.78, 0.04, begins_day=12),
)
BY_NAME = {each.name: each for each in COUNTRIES}
LAUNCH = ("DE", 16 * DAY + 9 * HOUR, 16 * DAY + 12 * HOUR, 20.0)
"""Country, from, until, times its starts: of seconds since the beginning."""
OUTAGES = (("VN", 18 * DAY + 2 * HOUR, 18 * DAY + 5 * HOUR), ("*", 19 * DAY + 10 * HOUR, 19 * DAY + 12 * HOUR))
"""The country, or all, whose texts do not arrive; from, until."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A code that is asked for. delay_s: until it is entered; None if it never is. texts: how many came before it and
    with it. attack: which one it belongs to; empty for people."""

    at: float
    tenant: str
    country: Country
    digits: str
    delay_s: float | None
    texts: int = 1
    attack: str = ""


@dataclass(frozen=True, slots=True)
class Attack:
    """Who has codes sent to numbers that pay them.

    prefixes: of the numbers, each as likely. per_hour: all together. tenants: each of which is asked so often.
    sequential: the numbers follow one another.
    """

    name: str
    country: Country
    prefixes: tuple[str, ...]
    per_hour: float
    begins: int
    ends: int
    tenants: tuple[str, ...] = ("big",)
    sequential: bool = False


@dataclass(slots=True)
class People:
    """Those of one tenant. share: of the countries' starts."""

    tenant: str
    random: Random
    share: float = 1.0
    countries: tuple[Country, ...] = COUNTRIES
    prefixes: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give each country the prefixes that its numbers begin with: few that are common, many that are rare."""
        for country in self.countries:
            heads = [country.code + str(self.random.randrange(1000, 10_000)) for _ in range(HEADS)]
            all = [f"{head[:4]}{self.random.randrange(1000):03d}" for _ in range(60 // HEADS) for head in heads]
            self.prefixes[country.name] = all

    def minute(self, second: int) -> Iterator[Asked]:
        """Those who ask within a minute."""
        for country in self.countries:
            if second < country.begins_day * DAY:
                continue
            for _ in range(poisson(self.random, self.share * rate(country, second))):
                yield from self._one(country, second + 60 * self.random.random())

    def _one(self, country: Country, at: float) -> Iterator[Asked]:
        rank = int(len(self.prefixes[country.name]) * self.random.random() ** 2.5)
        digits = self.prefixes[country.name][rank] + f"{self.random.randrange(10**5):05d}"
        arrives = 0.03 if is_out(country, at) else 1.0
        for texts in range(1, 4):
            entered = self.random.random() < country.conversion * arrives
            again = texts < 3 and self.random.random() < (RESENDS if arrives == 1.0 else 0.6)
            if again:
                # What is entered after the second text is told of both.
                yield Asked(at, self.tenant, country, digits, None)
                at += self.random.uniform(40, 90)
                continue
            delay = self.random.lognormvariate(math.log(DELAY_MEDIAN_S), DELAY_SPREAD) if entered else None
            yield Asked(at, self.tenant, country, digits, delay, texts)
            return


def rate(country: Country, second: int) -> float:
    """Starts of a minute: few at night, fewer on weekends."""
    local = second / HOUR + country.zone
    curve = 0.1 + 0.9 * max(0.0, math.sin(math.pi * ((local % 24) - 6) / 18)) if local % 24 >= 6 else 0.1
    weekend = 0.7 if int(local // 24) % 7 >= 5 else 1.0
    name, begins, ends, times = LAUNCH
    launch = times if country.name == name and begins <= second < ends else 1.0
    return country.per_day / 1440 * 1.75 * curve * weekend * launch


def is_out(country: Country, at: float) -> bool:
    """Whether texts do not arrive."""
    return any(name in ("*", country.name) and begins <= at < ends for name, begins, ends in OUTAGES)


def fraud(attack: Attack, second: int, random: Random, sent: dict[str, int]) -> Iterator[Asked]:
    """What an attack asks for within a minute. sent: how many it asked for so far."""
    if not attack.begins <= second < attack.ends:
        return
    for tenant in attack.tenants:
        for _ in range(poisson(random, attack.per_hour / 60)):
            n = sent[attack.name] = sent.get(attack.name, 0) + 1
            end = n % 10**5 if attack.sequential else random.randrange(10**5)
            digits = random.choice(attack.prefixes) + f"{end:05d}"
            yield Asked(second + 60 * random.random(), tenant, attack.country, digits, None, attack=attack.name)


def poisson(random: Random, mean: float) -> int:
    """How many of something rare there are."""
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, found, product = math.exp(-mean), 0, random.random()
    while product > limit:
        found, product = found + 1, product * random.random()
    return found
