"""The page of a link that acknowledges: plain HTML with one button, in English and Chinese, that needs no script."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape

from shared.api.language import Language

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.75rem 1.5rem}"
)
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "vary": "accept-language",
}
_WORDS: Mapping[Language, Mapping[str, str]] = {
    Language.EN: {
        "title": "Please confirm",
        "intro": "Press the button to tell the sender that you have the message.",
        "button": "I have it",
        "thanks": "Thank you. The sender sees that you have the message.",
        "on": "Go on",
        "later": "That did not work just now. Please try again in a minute.",
    },
    Language.ZH: {
        "title": "请确认",
        "intro": "请点击按钮，告知发送方您已收到该消息。",
        "button": "我已收到",
        "thanks": "谢谢。发送方可以看到您已收到该消息。",
        "on": "继续",
        "later": "暂时无法完成，请一分钟后再试。",
    },
}


def asking(language: Language) -> str:
    """The page before the button is pressed."""
    words = _WORDS[language]
    button = f'<form method="post"><button>{words["button"]}</button></form>'
    return _page(f"<p>{words['intro']}</p>{button}", language)


def thanks(target: str, language: Language) -> str:
    """The page afterwards. target: where the link leads."""
    words = _WORDS[language]
    on = f'<p><a href="{escape(target)}" rel="noreferrer">{words["on"]}</a></p>'
    return _page(f'<p role="status">{words["thanks"]}</p>{on}', language)


def try_later(language: Language) -> str:
    """The page for when it could not be told."""
    return _page(f'<p role="alert">{_WORDS[language]["later"]}</p>', language)


def _page(body: str, language: Language) -> str:
    tag, title = "zh-CN" if language is Language.ZH else "en", _WORDS[language]["title"]
    return (
        f'<!doctype html><html lang="{tag}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
