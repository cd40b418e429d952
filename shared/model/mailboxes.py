"""Email addresses in one form, read from what people write and copy. `email_validator` is imported for few of them."""

import re

from mepush.sheets.visible import unquoted, visible

# No possessive quantifiers: Python before 3.11.5 matches wrongly with them (cpython issue 106052).
# A plain dot-atom at a dotted ASCII domain: no label begins or ends with a hyphen or holds two together,
# the last is letters only and no special-use name (RFC 6761). Of at most 64 characters, within which no part can be
# too long. What passes here passes email-validator unchanged; what does not may still be right, and is asked of it.
is_plain = re.compile(
    r"(?!.{65})[a-z0-9_+\-]+(?:\.[a-z0-9_+\-]+)*@[a-z0-9]+(?:[.-][a-z0-9]+)*\."
    r"(?!(?:arpa|invalid|local|localhost|onion|test)\Z)[a-z]{2,}\Z"
).match
_LOCAL_MAX = 64
_EMAIL_MAX = 254
_MOST_WRITTEN = 1_000
"""Characters that are looked at: an address, with a name beside it."""

_NAMED = re.compile(r"([^<>]*)<([^<>]*)>\Z").match
_MAILTO = re.compile(r"mailto:\s*", re.IGNORECASE).match
_AROUND = " \t\r\n,;:\u3001\u3002\uff61"
"""What stands around an address in a list or a sentence."""
_PARTING = re.compile(r"[,;/|\s\u3001]")
_SEVERAL = "is more than one: give each address a row of its own"
_STOPS = str.maketrans(dict.fromkeys("\u3002\uff61", "."))


class MailboxError(ValueError):
    """The address cannot be right, or could be read in two ways; the message says why without repeating it."""


def mailbox(raw: str) -> str:
    """Return an email address in lower case, the domain in ASCII.

    Dropped are: invisible marks, quotes, blanks and commas around it, `mailto:`, and the name in `Name <a@b.cn>`;
    full-width letters become plain ones. Raises: MailboxError.
    """
    if raw.isascii() and is_plain(address := raw.strip().lower()):
        return address
    return careful(raw)


def careful(raw: str) -> str:
    """The same, for all that is not plain. Raises: MailboxError."""
    if len(raw) > _MOST_WRITTEN:
        raise MailboxError("the email address is too long (64 characters before the @, 254 in all)")
    text = _written(raw)
    if is_plain(lower := text.lower()) and text.isascii():
        return lower
    if problem := _problem(text):
        raise MailboxError(problem)
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise MailboxError("the email address is not well formed") from error
    address = f"{found.local_part.lower()}@{found.ascii_domain.lower()}"
    if len(address) > _EMAIL_MAX:
        raise MailboxError("the email address is too long")
    return address


def _written(raw: str) -> str:
    """An address as one sees it, without what stands around it. Raises: MailboxError if there are two."""
    text = unquoted(visible(raw).strip(_AROUND))
    if named := _NAMED(text):
        name, text = named[1], named[2].strip()
        if "@" in name and unquoted(name.strip()).lower() != text.lower():
            raise MailboxError("the email address has another one beside it: give each address a row of its own")
    if found := _MAILTO(text):
        text = text[found.end() :]
    text = text.strip(_AROUND)
    local, at, domain = text.rpartition("@")
    # A dot at the end names the root of all domains, which all have.
    domain = domain.translate(_STOPS)
    return f"{local}{at}{domain[:-1] if domain.endswith('.') and domain[-2:] != '..' else domain}"


def _problem(text: str) -> str:
    """Say what is wrong in our own words, since the library's messages quote the address; empty for nothing found."""
    local, at, domain = text.rpartition("@")
    if not text:
        return "the email address is empty"
    if not at:
        return "the email address has no @"
    if not local or not domain:
        return "the email address has nothing before or after the @"
    if "@" in local:
        several = _PARTING.search(local) is not None
        return f"the email address {_SEVERAL if several else 'has more than one @'}"
    return _wrong_local(local) or _wrong_domain(domain) or _wrong_whole(text)


def _wrong_local(local: str) -> str:
    if len(local) > _LOCAL_MAX:
        return "the email address is too long (64 characters before the @, 254 in all)"
    if local[0] == "'":
        return "the email address begins with an apostrophe, as spreadsheets write before a text: take it away"
    if any(c.isspace() for c in local):
        return "the email address has a blank inside"
    if not local.isascii():
        # RFC 6531; neither SES nor most relays offer it.
        return "the email address has letters before the @ that are not a to z, which mail servers do not take"
    if ".." in local or local[0] == "." or local[-1] == ".":
        return "the email address has a dot where none may be"
    return ""


def _wrong_domain(domain: str) -> str:
    if any(c.isspace() for c in domain):
        return "the email address has a blank inside"
    if "." not in domain:
        return "the email address has no full domain after the @"
    if ".." in domain or domain[0] == "." or domain[-1] == ".":
        return "the email address has a dot where none may be"
    if domain.lower().endswith((".arpa", ".invalid", ".local", ".localhost", ".onion", ".test")):
        return "the email address ends in a name that is reserved and takes no mail"
    return ""


def _wrong_whole(text: str) -> str:
    return "the email address is too long (64 characters before the @, 254 in all)" if len(text) > _EMAIL_MAX else ""
