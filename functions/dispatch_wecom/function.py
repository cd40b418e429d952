"""The function that sends to WeCom."""

from shared.dispatch.function import dispatch_function
from shared.model.words import Channel

FUNCTIONS = (dispatch_function(Channel.WECOM),)
