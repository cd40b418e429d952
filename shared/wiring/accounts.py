"""The parts that connect to providers."""

from functools import cached_property

from shared.dispatch.accounts import Accounts
from shared.store.tokens import DynamoTokenCache
from shared.wiring.parts import Parts


class AccountParts(Parts):
    """The parts of a function that uses accounts."""

    @cached_property
    def tokens(self) -> DynamoTokenCache:
        return DynamoTokenCache(self.client("dynamodb"), self.settings.guard_table, self.clock)

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.catalog, self.secrets, self.tokens, self.clock, self.settings.network)
