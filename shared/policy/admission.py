"""Which addresses may be sent to: well formed, on the key's list, and in a country that texts may go to."""

from dataclasses import dataclass

from shared.model.address import AddressError, normalise, region_of
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.words import Channel


class RefusedError(Exception):
    """An address is not accepted. field: of the recipient. address: in its canonical form, if it has one. detail: in
    words."""

    def __init__(self, field: str, address: str, reason: Reason, detail: str = "") -> None:
        super().__init__(field)
        self.field = field
        self.address = address
        self.reason = reason
        self.detail = detail or " ".join(EXPLANATIONS[reason])


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets addresses through. region, team, countries: see `accept.Context`."""

    region: str
    team: frozenset[str] | None
    countries: frozenset[str]

    def admit(self, field: str, channel: str, raw: str) -> str:
        """The canonical form of an address. Raises: RefusedError."""
        try:
            address = normalise(channel, raw, self.region)
        except AddressError as error:
            raise RefusedError(field, raw.strip().lower(), Reason.ADDRESS_INVALID, str(error)) from None
        if self.team is not None and f"{channel}:{address}" not in self.team:
            raise RefusedError(field, address, Reason.NOT_IN_TEAM_LIST)
        if self.countries and channel == Channel.SMS and region_of(address) not in self.countries:
            raise RefusedError(field, address, Reason.COUNTRY_NOT_ALLOWED)
        return address
