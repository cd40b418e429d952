"""Writes what goes to DynamoDB as it is: our parameters are the JSON that it takes already.

botocore walks through each of them by the service's model, once to check them and once to copy them, and then writes
them: more work than all the rest of a request with many items. The check has a switch of its own in botocore's Config;
the copy has none. What differs is that texts beyond ASCII are not escaped. Requests have no times; those that are not
plain data, or hold half of a surrogate pair, are written by botocore.
"""

from typing import Any

from botocore.serialize import JSONSerializer

from shared.model import wire


class PlainSerializer(JSONSerializer):
    """Writes a request's body without looking at the model."""

    def serialize_to_request(self, parameters: Any, operation_model: Any) -> Any:
        """The request as botocore has it."""
        try:
            # Bytes are written in base64, as botocore does.
            body = wire.write(parameters)
        except (TypeError, UnicodeEncodeError):
            return super().serialize_to_request(parameters, operation_model)
        request = super().serialize_to_request({}, operation_model)
        request["body"] = body
        return request


def write_plainly(client: Any) -> None:
    """Have a client of DynamoDB, made without validation of parameters, write its requests so."""
    client._serializer = PlainSerializer()
