"""Which addresses may be sent to: well formed, on the key's list, and for texts a number that takes them, in a country
that they may go to."""

from msgspec import Struct

from shared.errors import InvalidError
from shared.model.address import AddressError, normalise
from shared.model.phones import takes_texts
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.words import Channel


class RefusedError(InvalidError):
    """An address is not accepted. field: of the recipient. address: in its canonical form, if it has one."""

    def __init__(self, field: str, address: str, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or " ".join(EXPLANATIONS[reason]))
        self.field = field
        self.address = address
        self.reason = reason


class Gate(Struct, frozen=True):
    """Lets addresses through."""

    region: str
    """The tenant's."""
    team: frozenset[str] | None
    """For team keys, the addresses allowed, as `channel:address`."""
    countries: frozenset[str]
    """To whose numbers texts may go; without any, to those of the tenant's region alone."""

    def admit(self, field: str, channel: str, raw: str) -> str:
        """The canonical form of an address that may be sent to. Raises: RefusedError."""
        address = self.canonical(field, channel, raw)
        if self.team is not None and f"{channel}:{address}" not in self.team:
            raise RefusedError(field, address, Reason.NOT_IN_TEAM_LIST)
        if channel == Channel.SMS:
            self._check_number(field, address)
        return address

    def canonical(self, field: str, channel: str, raw: str) -> str:
        """The canonical form of an address, whether or not it may be sent to. Raises: RefusedError."""
        try:
            return normalise(channel, raw, self.region)
        except AddressError as error:
            raise RefusedError(field, raw.strip().lower(), Reason.ADDRESS_INVALID, str(error)) from None

    def admits_all(self, channel: str) -> bool:
        """Whether every address that `canonical` knows is let through, so that it need not be asked about."""
        return self.team is None and (channel != Channel.SMS or "CN" in self._allowed())

    def _allowed(self) -> frozenset[str]:
        return self.countries or frozenset({self.region})

    def _check_number(self, field: str, number: str) -> None:
        """Raises: RefusedError."""
        country, problem = takes_texts(number)
        if problem:
            detail = f"The number is {problem}, which gets no texts. Give a mobile number."
            raise RefusedError(field, number, Reason.NUMBER_TAKES_NO_TEXTS, detail)
        if country not in self._allowed():
            raise RefusedError(field, number, Reason.COUNTRY_NOT_ALLOWED)
