"""Where the platform may connect to for an account, and how: names, addresses, certificates."""
