"""The page on which a recipient chooses what to get: plain HTML, in English and Chinese, that needs no script."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape

from functions.preferences.wishes import Wish
from shared.api.language import Language
from shared.model.topics import Topic

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem}"
    "fieldset{border:1px solid;border-radius:.5rem;margin:1rem 0;padding:.5rem 1rem}"
    "label{display:block;margin:.75rem 0}small{display:block;margin-left:1.6rem}"
    "button{font:inherit;padding:.5rem 1rem;margin:.25rem .5rem .25rem 0}"
    "[role=status]{border-left:.25rem solid;padding-left:.75rem}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    # Nobody finds a recipient's page by searching.
    "x-robots-tag": "noindex, nofollow",
    "vary": "accept-language",
}


_WORDS: Mapping[Language, Mapping[str, str]] = {
    Language.EN: {
        "title": "What you get from us",
        "intro": "Choose what we may write to you about. Codes and messages about your own orders come in any case.",
        "nothing": "No advertising at all",
        "untracked": "Do not record whether I open messages and click links",
        "save": "Save",
        "none": "Unsubscribe from all advertising",
        "saved": "Saved. It counts from the next message on.",
        "stopped": "You get no advertising from us.",
        "gone": "This link does not work",
        "broken": "It is not complete, or was never one of ours. Open it from the message again, or from a newer one.",
        "later": "That did not work just now. Please try again in a minute.",
    },
    Language.ZH: {
        "title": "您的订阅偏好",
        "intro": "请选择我们可以向您发送哪些内容。验证码以及与您订单相关的消息不受影响。",
        "nothing": "不接收任何营销消息",
        "untracked": "不记录我是否打开邮件和点击链接",
        "save": "保存",
        "none": "退订所有营销消息",
        "saved": "已保存，从下一条消息起生效。",
        "stopped": "您不会收到我们的任何营销消息。",
        "gone": "该链接无效",
        "broken": "链接不完整，或对应的消息已不存在。请从较新的消息中打开。",
        "later": "暂时无法完成，请一分钟后再试。",
    },
}


def preferences(topics: Mapping[str, Topic], wish: Wish, language: Language, *, saved: bool) -> str:
    """The page of a recipient. saved: just now."""
    words = _WORDS[language]
    said = words["saved"] if saved else words["stopped"] if wish.nothing else ""
    status = f'<p role="status">{said}</p>' if said else ""
    boxes = "".join(_box(id, topic, wish, language) for id, topic in topics.items())
    choice = (
        f'<form method="post"><fieldset>{boxes}'
        f'<label><input type="checkbox" name="nothing"{" checked" if wish.nothing else ""}> {words["nothing"]}</label>'
        f'<label><input type="checkbox" name="untracked"{" checked" if wish.untracked else ""}> '
        f"{words['untracked']}</label>"
        f'</fieldset><button name="do" value="save">{words["save"]}</button></form>'
    )
    stop = f'<form method="post"><button name="do" value="none">{words["none"]}</button></form>'
    return _page(words["title"], f"{status}<p>{words['intro']}</p>{choice}{'' if wish.nothing else stop}", language)


def no_such_link(language: Language) -> str:
    """The page for a link that leads nowhere."""
    words = _WORDS[language]
    return _page(words["gone"], f"<p>{words['broken']}</p>", language)


def try_later(language: Language) -> str:
    """The page for when nothing could be saved."""
    words = _WORDS[language]
    return _page(words["title"], f'<p role="alert">{words["later"]}</p>', language)


def _box(id: str, topic: Topic, wish: Wish, language: Language) -> str:
    chinese = language is Language.ZH
    name = topic.name_zh if chinese and topic.name_zh else topic.name
    about = (topic.about_zh or topic.about) if chinese else topic.about
    checked = "" if wish.nothing or id in wish.unwanted else " checked"
    more = f"<small>{escape(about)}</small>" if about else ""
    return f'<label><input type="checkbox" name="topic" value="{escape(id)}"{checked}> {escape(name)}{more}</label>'


def _page(title: str, body: str, language: Language) -> str:
    tag = "zh-CN" if language is Language.ZH else "en"
    return (
        f'<!doctype html><html lang="{tag}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
