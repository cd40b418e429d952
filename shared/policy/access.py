"""What a key of each kind may do to objects of each kind: one matrix for every operation, shown in docs/keys.md.

An object is of the kind of the key that made it. What everybody's messages are made from or stopped by is `live`:
accounts, templates, the settings, the suppression list, the audit log. So is all that was stored before it had a kind.
"""

from collections.abc import Mapping
from typing import NamedTuple

from shared.model.words import KeyKind

Kinds = frozenset[KeyKind]
ALL: Kinds = frozenset(KeyKind)
NONE: Kinds = frozenset()
_TEAM, _TEST = frozenset({KeyKind.TEAM}), frozenset({KeyKind.TEST})


class Access(NamedTuple):
    """By kind of key: of which kinds the objects are that an operation reaches. None of them: the key is refused."""

    live: Kinds
    team: Kinds
    test: Kinds

    def of(self, kind: KeyKind) -> Kinds:
        """What a key of this kind reaches."""
        found: Kinds = getattr(self, kind.value)
        return found


OWN = Access(ALL, _TEAM, _TEST)
"""Team and test keys: what keys of their own kind made. What they make is of that kind."""
SHARED = Access(ALL, ALL, ALL)
"""Every key: to look at what all have in common."""
LIVE = Access(ALL, NONE, NONE)
"""Live keys only."""

MATRIX: Mapping[str, Mapping[str, Access]] = {
    "messages": {
        "send_messages": OWN,
        "get_message": OWN,
        "query_messages": OWN,
        "get_request": OWN,
        "recall_message": OWN,
        "recall_request": OWN,
        "list_deferred": OWN,
    },
    "verifications": {
        "start_verification": OWN,
        "check_verification": OWN,
        "get_verification": OWN,
        "cancel_verification": OWN,
        "get_verification_guard": SHARED,
        "set_guard_prefix": LIVE,
        "delete_guard_prefix": LIVE,
    },
    "dead letters": {
        "list_dead_letters": OWN,
        "redrive_dead_letters": OWN,
        "discard_dead_letters": OWN,
    },
    "attachments": {
        "create_attachment": OWN,
        "get_attachment": OWN,
    },
    "audience files": {
        "create_audience": OWN,
    },
    "campaigns": {
        "create_campaign": OWN,
        "list_campaigns": OWN,
        "get_campaign": OWN,
        "update_campaign": OWN,
        "archive_campaign": OWN,
        "check_campaign": OWN,
        "test_campaign": OWN,
        "start_run": OWN,
        "list_runs": OWN,
    },
    "runs": {
        "get_run": OWN,
        "update_run": OWN,
        "pause_run": OWN,
        "resume_run": OWN,
        "approve_run": LIVE,
        "cancel_run": OWN,
        "recall_run": OWN,
        "list_rejects": OWN,
    },
    "templates and versions": {
        "create_template": LIVE,
        "list_templates": SHARED,
        "get_template": SHARED,
        "update_template": LIVE,
        "create_version": LIVE,
        "get_version": SHARED,
        "preview_version": SHARED,
        "submit_version": LIVE,
        "approve_version": LIVE,
        "reject_version": LIVE,
        "publish_version": LIVE,
        "copy_template": LIVE,
        "archive_template": LIVE,
        "get_link": SHARED,
    },
    "accounts": {
        "create_account": LIVE,
        "list_accounts": SHARED,
        "get_account": SHARED,
        "update_account": LIVE,
        "delete_account": LIVE,
        "verify_account": LIVE,
        "get_mailbox": SHARED,
        "check_domain": SHARED,
        "rotate_callback": LIVE,
        "mirror_suppressions": LIVE,
    },
    "keys": {
        "create_key": Access(ALL, _TEST, _TEST),
        "list_keys": Access(ALL, _TEAM | _TEST, _TEST),
        "revoke_key": Access(ALL, _TEAM | _TEST, _TEST),
        "delete_key": Access(ALL, _TEAM | _TEST, _TEST),
    },
    "settings": {
        "get_settings": SHARED,
        "update_settings": LIVE,
        "list_settings": SHARED,
        "restore_settings": LIVE,
    },
    "deployment": {
        "get_deployment": SHARED,
        "update_deployment": LIVE,
    },
    "suppression list": {
        "add_suppression": LIVE,
        "remove_suppression": LIVE,
        "query_suppressions": LIVE,
        "import_suppressions": LIVE,
    },
    "erasures": {
        "create_erasure": LIVE,
        "get_erasure": LIVE,
    },
    "webhooks": {
        "create_webhook": LIVE,
        "list_webhooks": LIVE,
        "get_webhook": LIVE,
        "update_webhook": LIVE,
        "delete_webhook": LIVE,
        "rotate_webhook": LIVE,
        "test_webhook": LIVE,
        "list_deliveries": LIVE,
        "replay_webhook": LIVE,
    },
    "audit log": {
        "list_audit": LIVE,
    },
    "counts and health": {
        "get_balance": SHARED,
        "get_template_stats": SHARED,
        "get_account_stats": SHARED,
        "get_health": SHARED,
    },
    "the API's description": {
        "get_openapi": SHARED,
        "get_docs": SHARED,
    },
}
"""What is acted on -> operation -> who may."""

ACCESS: Mapping[str, Access] = {id: access for rows in MATRIX.values() for id, access in rows.items()}
"""Operation -> who may. Every operation has a row: `Operation` looks for it when it is made."""


def reaches(operation: str, key: KeyKind, made_by: KeyKind) -> bool:
    """Whether a key of a kind may do this to an object of a kind."""
    return made_by in ACCESS[operation].of(key)
