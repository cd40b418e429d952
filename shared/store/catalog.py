"""The catalog: tenants, accounts, templates with their versions, and API keys.

Two ways in. `tenant`, `settings`, `template`, `version`, `account` and `key` serve the hot paths from the process's
memory and may be some seconds old; a `fresh` catalog has them read what is stored now. The rest is for management: it
reads what was written last, and every write is guarded by the revision it replaces, and takes the audit log's record of
the change with it, in one transaction. Documents handed out may be shared by threads: change copies only.
"""

from shared.store.accounts import AccountStore
from shared.store.keys import KeyStore
from shared.store.templates import TemplateStore
from shared.store.tenants import TenantStore


class Catalog(TenantStore, AccountStore, TemplateStore, KeyStore):
    """All of it, for who needs several; who needs one kind of things takes its store alone."""
