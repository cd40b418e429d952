"""The limits of AWS End User Messaging SMS (its API reference, SendTextMessage)."""

from shared.providers.sms.limits import Texts

TEXTS = Texts("AWS", characters=1600)
