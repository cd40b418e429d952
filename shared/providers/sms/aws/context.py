"""What rides along with a text through AWS, and is in the events that a configuration set publishes of it.

A map of at most five entries (SendTextMessage, `Context`): keys of up to 100 characters without blanks, values of up to
800.
"""

MESSAGE_ID = "mepush_message_id"
TENANT = "mepush_tenant"
"""Whose message it is: our ids do not tell."""
