"""Sample requests for the API's description; a test reads each with its model."""

from typing import Any

EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "send_messages": {
        "one": {"template": "login-code", "to": "alice@example.com", "variables": {"code": "428113", "minutes": 5}},
        "several": {
            "template": "order-shipped",
            "recipients": [
                {"to": "+8613800138000", "variables": {"order": "A-1001"}},
                {
                    "to": "13900139000",
                    "variables": {"order": "A-1002"},
                    "reference": "customer-77",
                    "fallback": {"email": "li@example.com"},
                },
            ],
            "variables": {"carrier": "SF Express"},
            "ttl": 3600,
            "reference": "nightly-shipping",
        },
    },
    "start_verification": {
        "one": {"to": "alice@example.com", "template": "login-code", "purpose": "login"},
        "bound": {
            "to": "bob@example.com",
            "template": "login-code",
            "purpose": "payment",
            "locale": "zh-CN",
            "bind": "session-7f3a",
            "fallback": {"sms": "+8613800138000"},
            "valid_minutes": 5,
        },
    },
    "check_verification": {"one": {"code": "428113"}, "bound": {"code": "428 113", "bind": "session-7f3a"}},
    "create_attachment": {
        "pdf": {"name": "invoice-1001.pdf", "size": 48213},
        "picture": {
            "name": "chart.png",
            "content_type": "image/png",
            "size": 2048,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    },
    "create_audience": {"csv": {}, "ndjson": {"format": "ndjson"}},
    "create_campaign": {
        "by-hand": {
            "id": "shipping-news",
            "name": "Shipping news",
            "variants": [{"name": "only", "template": "order-shipped"}],
            "audience": {"file": "uploads/01KAV2M3X80000000000000000.csv"},
            "variables": {"carrier": "SF Express"},
        },
        "weekly": {
            "id": "weekly-orders",
            "name": "Orders of the week",
            "variants": [{"name": "only", "template": "order-shipped"}],
            "audience": {
                "file": "weekly/orders.csv",
                "columns": {"to": "phone", "time_zone": "zone", "variables": {"order": "order_number"}},
            },
            "schedule": {"expression": "cron(0 10 ? * MON *)", "time_zone": "Asia/Shanghai", "local": True},
            "throttle": 6000,
            "stop_rule": {"after": 500, "failures_percent": 10, "complaints_percent": 0.3},
            "holdout_percent": 5,
            "approve_above": 100000,
        },
    },
    "update_campaign": {
        "slower": {"throttle": 600},
        "once": {"schedule": {"expression": "at(2099-12-31T10:00:00)", "time_zone": "Asia/Shanghai"}},
        "no-schedule": {"schedule": None},
    },
    "test_campaign": {"phone": {"to": ["13800138000"], "variables": {"order": "A-1001", "carrier": "SF Express"}}},
    "start_run": {"as-saved": {}, "slowly": {"throttle": 60}},
    "update_run": {"slower": {"throttle": 1200}, "no-throttle": {"throttle": None}},
    "query_messages": {
        "recipient": {"to": "alice@example.com", "channel": "email", "limit": 20},
    },
    "redrive_dead_letters": {
        "account": {"account": "mail-main", "reason": "credentials_refused"},
        "class": {"channel": "sms", "class": "notification"},
        "all": {"all": True},
    },
    "discard_dead_letters": {
        "template": {"template": "weekend-sale", "note": "The sale is over."},
    },
    "create_account": {
        "smtp": {
            "id": "mail-main",
            "name": "Company mail",
            "settings": {
                "provider": "smtp",
                "host": "smtp.example.com",
                "port": 587,
                "security": "starttls",
                "username": "noreply@example.com",
                "from_address": "noreply@example.com",
                "from_name": "Example",
            },
            "secret": {"password": "the password, or the mail provider's authorization code"},
        },
        "tencent": {
            "id": "sms-main",
            "name": "Tencent Cloud SMS",
            "settings": {"provider": "tencent", "sdk_app_id": "1400000000", "sign_name": "示例"},
            "secret": {"secret_id": "AKIDexample", "secret_key": "example-secret-key"},
        },
        "wecom-app": {
            "id": "wecom-app",
            "name": "Announcements",
            "settings": {"provider": "app", "corp_id": "ww0123456789abcdef", "agent_id": 1000002},
            "secret": {"corp_secret": "the-secret-of-the-app"},
        },
        "wecom-robot": {
            "id": "ops-robot",
            "name": "Operations group",
            "settings": {"provider": "robot"},
            "secret": {"key": "01234567-89ab-cdef-0123-456789abcdef"},
        },
        "ses": {
            "id": "mail-ses",
            "name": "Amazon SES",
            "settings": {"provider": "ses", "from_address": "noreply@example.com"},
            "rate": {"per_second": 14, "burst": 14, "per_day": 50000, "code_share": 0.2},
        },
    },
    "update_account": {
        "share": {"weight": 30},
        "password": {"secret": {"password": "the new password"}},
        "pause": {"state": "disabled"},
        "rate": {"rate": {"per_second": 5, "burst": 10}},
        "no-rate": {"rate": None},
        "fee": {"fee": {"amount": 0.045, "currency": "CNY"}},
    },
    "create_template": {
        "code": {
            "id": "login-code",
            "name": "Login code",
            "class": "verification",
            "accounts": ["mail-main"],
            "content": {
                "type": "email",
                "subject": "{{ code }} is your code",
                "text": "Your code is {{ code }}. It is good for {{ minutes | default(5) }} minutes.",
            },
            "sample": {"code": "428113"},
        },
        "sms": {
            "id": "order-shipped",
            "name": "Order shipped",
            "class": "notification",
            "accounts": ["sms-main"],
            "content": {
                "type": "sms",
                "tencent": {"template_id": "1234567", "params": ["{{ order }}", "{{ carrier }}"]},
            },
            "sample": {"order": "A-1001", "carrier": "SF Express"},
        },
    },
    "update_template": {"accounts": {"accounts": ["mail-main", "mail-ses"]}},
    "create_version": {
        "email": {
            "content": {"type": "email", "subject": "Your code", "text": "{{ code }} is your code."},
            "sample": {"code": "428113"},
            "note": "Shorter.",
        },
    },
    "preview_version": {"variables": {"variables": {"code": "428113"}}},
    "approve_version": {"approve": {"comment": "Reads well."}},
    "reject_version": {"reject": {"comment": "The offer ends on the 31st, not on the 30th."}},
    "copy_template": {"copy": {"id": "login-code-2", "name": "Login code, second try"}},
    "create_key": {
        "sender": {"name": "Shop backend", "kind": "live", "scopes": ["send", "read"]},
        "team": {
            "name": "Staging",
            "kind": "team",
            "scopes": ["send"],
            "recipients": ["email:qa@example.com", "sms:+8613800138000", "wecom:zhangsan"],
            "expires_at": "2030-01-01T00:00:00Z",
        },
        "test": {"name": "Continuous integration", "kind": "test", "scopes": ["send", "read"]},
    },
    "update_settings": {
        "review": {"review_required": True},
        "no-review": {"review_required": False},
    },
    "update_deployment": {"more": {"concurrency": {"email.marketing": 40}}},
    "set_guard_prefix": {
        "release": {"state": "released", "minutes": 240, "reason": "A fair in Jakarta."},
        "block": {"state": "blocked", "reason": "We have nobody there."},
    },
    "restore_settings": {"earlier": {"version": 2}},
    "create_erasure": {
        "person": {"channel": "email", "address": "ada@example.com"},
        "altogether": {"channel": "sms", "address": "13900139001", "keep_suppression": False},
    },
    "add_suppression": {
        "block": {"channel": "email", "address": "bob@example.com", "note": "Asked us by phone."},
        "unsubscribe": {
            "channel": "sms",
            "address": "13900139001",
            "scope": "marketing",
            "reason": "unsubscribe",
        },
    },
    "remove_suppression": {"block": {"channel": "email", "address": "bob@example.com", "reason": "manual"}},
    "query_suppressions": {
        "recipient": {"channel": "email", "address": "bob@example.com"},
        "unsubscribed": {"channel": "sms", "reason": "unsubscribe", "limit": 1000},
    },
    "mirror_suppressions": {
        "compare": {"action": "compare"},
        "release": {"action": "release", "addresses": ["ann@example.com"]},
    },
    "import_suppressions": {
        "bounces": {
            "channel": "email",
            "reason": "bounce",
            "rows": [
                {"address": "old.address@example.com"},
                {"address": "carol@example.com", "scope": "marketing", "reason": "unsubscribe", "note": "By letter."},
            ],
        },
    },
    "create_webhook": {
        "url": {"id": "orders", "url": "https://example.com/hooks/mepush", "description": "The shop's order service."},
        "failures": {
            "id": "failures",
            "url": "https://example.com/hooks/failures",
            "types": ["message.failed", "message.dead_lettered", "message.undelivered"],
        },
        "bus": {"id": "bus", "bus": True},
    },
    "update_webhook": {"resume": {"state": "active"}, "url": {"url": "https://example.com/hooks/new"}},
    "rotate_webhook": {"day": {"overlap_seconds": 86_400}},
    "replay_webhook": {"failed": {"after": "2025-01-15T08:00:00Z", "before": "2025-01-15T10:00:00Z"}},
}
"""By operation id, then by a name for the example."""
