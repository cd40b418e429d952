"""Accounts as files, and their secrets: from another file, the environment or a prompt, never from argv."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from mepush.client.errors import FileError, UsageError
from mepush.files.toml import read_toml
from mepush.words import NEEDED_SECRETS

FIELDS = frozenset({"id", "name", "weight", "rate", "fee", "settings", "secret_env"})


def read_accounts(path: Path, only: str | None = None) -> list[dict[str, Any]]:
    """The `[[account]]` tables of a file. Raises: FileError for what is not one, or holds a secret."""
    entries = read_toml(path).get("account")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FileError(f"{path} has no [[account]] tables.", "See examples/accounts.toml.")
    for entry in entries:
        unknown = sorted(entry.keys() - FIELDS)
        if "secret" in unknown:
            raise FileError(
                f"{path}: secrets do not belong into this file.", "Use --secret-file, secret_env or the prompt."
            )
        if unknown:
            raise FileError(f"{path}: an account has no field {unknown[0]!r}.")
        if not isinstance(entry.get("settings"), dict):
            raise FileError(f"{path}: an account needs a table of settings.", "See examples/accounts.toml.")
        if not isinstance(entry.get("secret_env", {}), dict):
            raise FileError(f"{path}: secret_env must be a table of environment variables.")
    found = [entry for entry in entries if only is None or entry.get("id") == only]
    if not found:
        raise FileError(f"{path} has no account {only!r}.")
    return found


def find_secret(entry: Mapping[str, Any], tables: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """An account's secret: from the secret file, else the environment, else asked for at a terminal.

    Raises: UsageError for a required field that none of these gives; FileError for a table that is none.
    """
    given = tables.get(str(entry.get("id")), {})
    if not isinstance(given, dict):
        raise FileError(f"The secret file must have a table [{entry.get('id')}].")
    variables = entry.get("secret_env", {})
    secret = {str(name): str(value) for name, value in given.items()}
    # What need not be there is asked for only if the file says that it is.
    for name in dict.fromkeys((*NEEDED_SECRETS.get(str(entry["settings"].get("provider")), ()), *variables)):
        variable = variables.get(name)
        if name not in secret:
            secret[name] = env.get(variable or "") or _ask(str(entry.get("id")), name, variable)
    return secret


def _ask(account: str, name: str, variable: str | None) -> str:
    if not sys.stdin.isatty():
        where = f"set {variable}" if variable else "name an environment variable under secret_env"
        raise UsageError(f"The account {account} needs the secret {name}.", f"Use --secret-file, or {where}.")
    return str(typer.prompt(f"{name} of {account}", hide_input=True, err=True))
