"""What a part of a sweep has to say."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Done:
    """What was done, and what had to be left."""

    mended: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    finished: bool = True
    """Nothing more is to be done."""
