"""The AWS services that functions call: queues, schedules, the event stream, secrets."""
