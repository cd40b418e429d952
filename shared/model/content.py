"""Template content, typed per channel and message type, and what it becomes when rendered.

The content models describe shapes only. Vendor limits depend on the provider and apply to the rendered result: each
vendor's folder checks its own.
"""

import re
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import (
    AfterValidator,
    Base64Bytes,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    WithJsonSchema,
    model_validator,
)

from shared.model.attachments import CID, Attachment
from shared.model.base import Model
from shared.model.words import Channel


class ContentModel(Model):
    """Base of all content: unknown fields are errors, strings may hold `{{ placeholders }}`."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


MAX_DATA_BYTES = 250_000
_BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


def _base64_only(value: object) -> object:
    # The decoder skips what is not base64, and a file of rubbish would be sent.
    if isinstance(value, str) and not re.fullmatch(_BASE64, value):
        raise ValueError("give base64, without line breaks")
    return value


_Data = Annotated[
    Base64Bytes,
    Field(max_length=MAX_DATA_BYTES),
    BeforeValidator(_base64_only),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "pattern": _BASE64, "maxLength": 333_336}),
]


class EmailFile(ContentModel):
    """A file that goes with every message of a template (base64, at most 250,000 bytes for all of them together)."""

    name: str = Field(min_length=1, max_length=200)
    """Its ending says what it is."""
    data: _Data
    cid: str | None = Field(default=None, pattern=CID)
    """The html shows it, as `<img src="cid:logo">`."""


class EmailContent(ContentModel):
    """An email: a subject and an HTML part, a text part, or both; and files that every message carries."""

    type: Literal["email"] = "email"
    subject: str = Field(min_length=1, max_length=2000)
    html: str | None = Field(default=None, min_length=1, max_length=200_000)
    text: str | None = Field(default=None, min_length=1, max_length=200_000)
    attachments: list[EmailFile] = Field(default_factory=list, max_length=10)

    @model_validator(mode="after")
    def _one_part(self) -> "EmailContent":
        if self.html is None and self.text is None:
            raise ValueError("give html, text or both")
        return self


APPROVED = "tencent"
"""What callers call the template that a vendor approved: so far one vendor has such."""


class ApprovedTemplate(ContentModel):
    """A template approved at Tencent Cloud and its parameters in order, each a string with placeholders."""

    template_id: str = Field(pattern=r"^[0-9]{1,20}$")
    params: list[str] = Field(default_factory=list, max_length=50)


class SmsContent(ContentModel):
    """A text for providers that take text, a Tencent template for Tencent Cloud, or both to go either way."""

    type: Literal["sms"] = "sms"
    text: str | None = Field(default=None, min_length=1, max_length=4000)
    approved: ApprovedTemplate | None = Field(default=None, alias=APPROVED)

    @model_validator(mode="after")
    def _one_way(self) -> "SmsContent":
        if self.text is None and self.approved is None:
            raise ValueError(f"give text, {APPROVED} or both")
        return self


class WecomText(ContentModel):
    """Plain text; the mention lists work in group robots only."""

    type: Literal["text"]
    content: str = Field(min_length=1, max_length=20_000)
    mentioned_list: list[str] = Field(default_factory=list, max_length=100)
    mentioned_mobile_list: list[str] = Field(default_factory=list, max_length=100)


class WecomMarkdown(ContentModel):
    """WeCom's subset of Markdown."""

    type: Literal["markdown"]
    content: str = Field(min_length=1, max_length=20_000)


class WecomTextCard(ContentModel):
    """A card with a title, a description and a link; apps only."""

    type: Literal["textcard"]
    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    url: str = Field(min_length=1)
    btntxt: str | None = None


class WecomArticle(ContentModel):
    """One article of a news card."""

    title: str = Field(min_length=1)
    description: str | None = None
    url: str = Field(min_length=1)
    picurl: str | None = None


class WecomNews(ContentModel):
    """One to eight articles."""

    type: Literal["news"]
    articles: list[WecomArticle] = Field(min_length=1, max_length=8)


class _Media(ContentModel):
    media_id: str | None = Field(default=None, max_length=512)
    data: _Data | None = None
    filename: str = Field(default="file", pattern=r"^[^/\\\r\n\"]{1,100}$")

    @model_validator(mode="after")
    def _one_source(self) -> "_Media":
        if (self.media_id is None) == (self.data is None):
            raise ValueError("give either media_id or data")
        return self


class WecomImage(_Media):
    """A JPG or PNG, by WeCom's media id or by its bytes (base64, at most 250,000 bytes)."""

    type: Literal["image"]


class WecomFile(_Media):
    """A file, by WeCom's media id or by its bytes (base64, at most 250,000 bytes)."""

    type: Literal["file"]


TAKEN_MEMBER, TAKEN_TIME = "{member}", "{time}"
_TAKEN = r"^[^{}]*(\{(member|time)\}[^{}]*)*$"


def _plain_but_for_who_and_when(value: str) -> str:
    if not re.fullmatch(_TAKEN, value):
        raise ValueError(f"write a text without placeholders; in braces stand {TAKEN_MEMBER} and {TAKEN_TIME} alone")
    return value


class WecomTemplateCard(ContentModel):
    """A template card; `card` is WeCom's own object (text_notice, ...), its strings may hold placeholders."""

    type: Literal["template_card"]
    card: dict[str, JsonValue]
    acknowledges: StrictBool = True
    """Whether who presses it acknowledges the message by that."""
    taken: Annotated[str, AfterValidator(_plain_but_for_who_and_when)] | None = Field(
        default=None, min_length=1, max_length=100, json_schema_extra={"pattern": _TAKEN}
    )
    """What its buttons turn into, for all who have it, once somebody has pressed one: a text without placeholders, in
    which `{member}` is the member's id and `{time}` the time, such as 14:03."""


WecomContent = WecomText | WecomMarkdown | WecomTextCard | WecomNews | WecomImage | WecomFile | WecomTemplateCard
Content = Annotated[EmailContent | SmsContent | WecomContent, Field(discriminator="type")]

CHANNEL_OF_TYPE: dict[str, Channel] = {
    "email": Channel.EMAIL,
    "sms": Channel.SMS,
    "text": Channel.WECOM,
    "markdown": Channel.WECOM,
    "textcard": Channel.WECOM,
    "news": Channel.WECOM,
    "image": Channel.WECOM,
    "file": Channel.WECOM,
    "template_card": Channel.WECOM,
}


class RenderedEmail(Struct, frozen=True):
    """An email for one recipient; `html` is already escaped where variables were filled in."""

    subject: str
    html: str | None
    text: str | None
    attachments: tuple[Attachment, ...] = ()
    unsubscribe: str | None = None
    """The link by which the recipient unsubscribes, for the headers; of advertisements."""


class RenderedSms(Struct, frozen=True):
    """A text message for one recipient, for either kind of provider. Hashable: equal ones may share a call."""

    text: str | None
    template_id: str | None
    """`template_id` and `params`: of the template that a vendor approved."""
    params: tuple[str, ...]


class RenderedWecom(Struct, frozen=True):
    """A WeCom message: `body` has the fields of the content model of this `type`, filled in."""

    type: str
    body: dict[str, Any]
    key: str
    """Equal for equal bodies, so that recipients of the same content may share a call."""


Rendered = RenderedEmail | RenderedSms | RenderedWecom
