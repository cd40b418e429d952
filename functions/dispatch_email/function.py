"""The function that sends emails, with the files that are attached to them."""

from shared.base.rights import LIST_VERSIONS, allow
from shared.dispatch.function import dispatch_function
from shared.model.words import Channel

FUNCTIONS = (dispatch_function(Channel.EMAIL, allow(("s3:GetObjectVersion",), "bucket.attachments"), LIST_VERSIONS),)
