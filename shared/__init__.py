"""What the functions share."""

import os

from shared.base.quiet import hold_back

# pydantic would look through the metadata of everything installed for plugins. There are none, and it takes time.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
hold_back()
