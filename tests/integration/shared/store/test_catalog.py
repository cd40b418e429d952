"""The catalog on a table that moto serves."""

from base64 import urlsafe_b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.model.accounts import Account
from shared.model.content import EmailContent
from shared.model.keys import ApiKey
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import TenantSettings
from shared.model.words import Channel, KeyKind, MessageClass, Scope
from shared.store.catalog import Catalog
from shared.store.catalog_items import (
    CatalogConflictError,
    CatalogInUseError,
    CatalogTooLargeError,
    CursorError,
    Stored,
)
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.samples import change


class Counting:
    """A client that counts its calls by name."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._client, name)


@pytest.fixture
def dynamodb(aws: Aws) -> Counting:
    return Counting(aws.dynamodb)


@pytest.fixture
def catalog(dynamodb: Any, aws: Aws, clock: FakeClock) -> Catalog:
    return Catalog(dynamodb, aws.catalog, clock)


@pytest.fixture
def other(aws: Aws, clock: FakeClock) -> Catalog:
    """Another process on the same table."""
    return Catalog(aws.dynamodb, aws.catalog, clock)


def account(account_id: str = "mail", tenant: str = "default", **changes: Any) -> Account:
    values: dict[str, Any] = {
        "id": account_id,
        "tenant": tenant,
        "name": "Mail",
        "channel": Channel.EMAIL,
        "provider": "smtp",
        "settings": {"provider": "smtp", "host": "smtp.example.com"},
        "created_at": 1,
        "updated_at": 1,
    }
    return Account(**{**values, **changes})


def template(template_id: str = "code", **changes: Any) -> Template:
    values: dict[str, Any] = {
        "id": template_id,
        "tenant": "default",
        "name": "Code",
        "channel": Channel.EMAIL,
        "message_class": MessageClass.VERIFICATION,
        "accounts": ["mail"],
        "latest": 1,
        "created_at": 1,
        "updated_at": 1,
    }
    return Template(**{**values, **changes})


def version(template_id: str = "code", number: int = 1, text: str = "{{ code }}") -> TemplateVersion:
    return TemplateVersion(
        template=template_id, version=number, content=EmailContent(subject="码", text=text), created_at=1
    )


def key(key_id: str = "0123456789ab", tenant: str = "default") -> ApiKey:
    return ApiKey(
        id=key_id, tenant=tenant, name="k", kind=KeyKind.LIVE, scopes=[Scope.SEND], hash="0" * 64, created_at=1
    )


def publish(catalog: Catalog, number: int = 1, at: int = 7) -> Template:
    """Publish a version of the template as it is now."""
    head, found = catalog.load_template("default", "code"), catalog.load_version("default", "code", number)
    assert head is not None and found is not None
    changed = head.value.model_copy(update={"published": number, "updated_at": at})
    catalog.publish_version(Stored(changed, head.rev), found, catalog.load_settings("default"), change())
    return changed


def revoke(catalog: Catalog, at: int) -> None:
    found = catalog.load_key("default", "0123456789ab")
    assert found is not None
    catalog.update_key(found.value.model_copy(update={"revoked_at": at}), found.rev, change())


def test_the_layout_is_the_one_that_others_rely_on(catalog: Catalog, aws: Aws) -> None:
    catalog.ensure_tenant("default")
    catalog.create_account(account(), change())
    catalog.create_template(template(), version(), change())
    catalog.create_key(key(), change())
    catalog.save_settings("default", TenantSettings(version=1), None, change())
    items = aws.dynamodb.scan(TableName=aws.catalog)["Items"]
    records = [item for item in items if item["pk"]["S"] == "audit#default#2025-01"]
    assert len(records) == 4
    assert all(item["sk"]["S"].startswith("01JH") for item in records)
    assert sorted((item["pk"]["S"], item["sk"]["S"]) for item in items if item not in records) == [
        ("key#0123456789ab", "key"),
        ("tenant#default", "account#mail"),
        ("tenant#default", "key#0123456789ab"),
        ("tenant#default", "settings"),
        ("tenant#default", "settings#000001"),
        ("tenant#default", "template#code"),
        ("tenant#default", "tenant"),
        ("tenant#default", "version#code#000001"),
        ("tenants", "tenant#default"),
    ]
    assert all(set(item) == {"pk", "sk", "doc", "rev"} and item["rev"] == {"N": "1"} for item in items)
    head = next(item for item in items if item["sk"]["S"] == "template#code")
    assert '"class":"verification"' in head["doc"]["S"]


def test_documents_come_back_as_they_were(catalog: Catalog) -> None:
    catalog.create_account(account(), change())
    catalog.create_template(template(), version(), change())
    catalog.create_key(key(), change())
    assert catalog.account("default", "mail") == account()
    assert catalog.template("default", "code") == template()
    assert catalog.version("default", "code", 1) == version()
    assert catalog.key("0123456789ab") == key()


def test_a_tenant_is_made_once_with_a_salt_of_its_own(catalog: Catalog, other: Catalog) -> None:
    first = catalog.ensure_tenant("default")
    assert len(first.salt) == 32
    assert first.region == "CN"
    assert other.ensure_tenant("default") == first
    assert catalog.tenant("default") == first
    assert catalog.ensure_tenant("team-b").salt != first.salt


def test_racing_for_a_tenant_gives_all_the_same_salt(aws: Aws, clock: FakeClock) -> None:
    barrier = Barrier(6, timeout=10)

    def ensure(_: int) -> bytes:
        catalog = Catalog(aws.dynamodb, aws.catalog, clock)
        barrier.wait()
        return catalog.ensure_tenant("default").salt

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ensure, range(6)))) == 1


def test_losing_the_race_for_a_tenant_takes_the_winners_salt(aws: Aws, clock: FakeClock, other: Catalog) -> None:
    class Slow(Counting):
        """Lets the other make the tenant between our read and our write."""

        def __getattr__(self, name: str) -> Any:
            if name == "transact_write_items":
                other.ensure_tenant("default")
            return super().__getattr__(name)

    client: Any = Slow(aws.dynamodb)
    assert Catalog(client, aws.catalog, clock).ensure_tenant("default") == other.ensure_tenant("default")


def test_a_hot_read_is_remembered_for_ten_seconds(
    catalog: Catalog, other: Catalog, dynamodb: Counting, clock: FakeClock
) -> None:
    catalog.create_account(account(), change())
    for _ in range(3):
        assert catalog.account("default", "mail") is not None
    assert dynamodb.calls["get_item"] == 1
    stored = other.load_account("default", "mail")
    assert stored is not None
    other.update_account(stored.value.model_copy(update={"name": "New"}), stored.rev, change())
    clock.advance(9.9)
    assert catalog.account("default", "mail") == account()
    clock.advance(0.2)
    assert catalog.account("default", "mail") == account(name="New")
    assert dynamodb.calls["get_item"] == 2


@pytest.mark.parametrize("what", ["settings", "template"])
def test_a_fresh_look_reads_what_is_stored_and_others_find_it(
    catalog: Catalog, other: Catalog, dynamodb: Counting, what: str
) -> None:
    looks = {"settings": lambda c: c.settings("default").version, "template": lambda c: c.template("default", "code")}
    before = looks[what](catalog)
    other.save_settings("default", TenantSettings(version=1), None, change())
    other.create_template(template(), version(), change())
    assert looks[what](catalog) == before
    dynamodb.calls.clear()
    found = looks[what](catalog.fresh)
    assert found == looks[what](other) != before
    assert looks[what](catalog) == found
    assert dynamodb.calls == {"get_item": 1}


def test_absence_is_remembered_for_a_second_at_most(
    catalog: Catalog, other: Catalog, dynamodb: Counting, clock: FakeClock
) -> None:
    for _ in range(3):
        assert catalog.template("default", "code") is None
    assert dynamodb.calls["get_item"] == 1
    other.create_template(template(), version(), change())
    clock.advance(1.0)
    assert catalog.template("default", "code") == template()


def test_a_key_is_remembered_for_thirty_seconds(catalog: Catalog, other: Catalog, clock: FakeClock) -> None:
    catalog.create_key(key(), change())
    assert catalog.key("0123456789ab") is not None
    revoke(other, 5)
    clock.advance(29.9)
    found = catalog.key("0123456789ab")
    assert found is not None
    assert found.revoked_at is None
    clock.advance(0.2)
    found = catalog.key("0123456789ab")
    assert found is not None
    assert found.revoked_at is not None


def test_a_published_version_is_read_once(catalog: Catalog, dynamodb: Counting, clock: FakeClock) -> None:
    catalog.create_template(template(), version(), change())
    catalog.version("default", "code", 1)
    clock.advance(11)
    catalog.version("default", "code", 1)
    assert dynamodb.calls["get_item"] == 2
    publish(catalog)
    assert catalog.version("default", "code", 1) is not None
    before = dynamodb.calls["get_item"]
    clock.advance(86_400)
    found = catalog.version("default", "code", 1)
    assert found is not None
    assert found.published_at is not None
    assert dynamodb.calls["get_item"] == before


def test_a_process_sees_its_own_writes_at_once(catalog: Catalog) -> None:
    assert catalog.account("default", "mail") is None
    catalog.create_account(account(), change())
    assert catalog.account("default", "mail") == account()
    catalog.delete_account(account(), 1, change())
    assert catalog.account("default", "mail") is None


def test_a_change_while_it_is_read_is_not_kept_out(aws: Aws, clock: FakeClock, other: Catalog) -> None:
    writer: list[Catalog] = []

    class Late(Counting):
        """Answers a hot read with what was there before a write of this process."""

        def get_item(self, **kwargs: Any) -> Any:
            answer = aws.dynamodb.get_item(**kwargs)
            if not kwargs["ConsistentRead"] and writer:
                writer.pop().update_account(account(name="New"), 1, change())
            return answer

    client: Any = Late(aws.dynamodb)
    catalog = Catalog(client, aws.catalog, clock)
    catalog.create_account(account(), change())
    writer.append(catalog)
    assert catalog.account("default", "mail") == account()
    assert catalog.account("default", "mail") == account(name="New")


def test_tenants_do_not_see_each_other(catalog: Catalog) -> None:
    catalog.create_account(account(tenant="a"), change())
    catalog.create_key(key(tenant="a"), change())
    assert catalog.account("b", "mail") is None
    assert catalog.list_accounts("b") == []
    assert catalog.page_keys("b", 10).items == []
    assert catalog.load_key("b", "0123456789ab") is None
    with pytest.raises(CatalogConflictError):
        catalog.delete_account(account(tenant="b"), 1, change())
    assert catalog.account("a", "mail") is not None


def test_an_id_is_given_once(catalog: Catalog) -> None:
    catalog.create_account(account(), change())
    with pytest.raises(CatalogConflictError):
        catalog.create_account(account(name="Another"), change())
    assert catalog.list_accounts("default") == [account()]


def test_a_write_over_what_has_changed_is_refused(catalog: Catalog, other: Catalog) -> None:
    catalog.create_account(account(), change())
    stored = catalog.load_account("default", "mail")
    assert stored is not None
    assert stored.rev == 1
    other.update_account(account(name="Theirs"), stored.rev, change())
    with pytest.raises(CatalogConflictError):
        catalog.update_account(account(name="Ours"), stored.rev, change())
    again = catalog.load_account("default", "mail")
    assert again is not None
    assert (again.value.name, again.rev) == ("Theirs", 2)


def test_changing_what_is_gone_is_refused(catalog: Catalog) -> None:
    with pytest.raises(CatalogConflictError):
        catalog.update_account(account(), 1, change())


def test_an_account_in_use_stays(catalog: Catalog) -> None:
    catalog.create_account(account(), change())
    catalog.create_template(template(), version(), change())
    with pytest.raises(CatalogInUseError) as caught:
        catalog.delete_account(account(), 1, change())
    assert caught.value.templates == ["code"]
    catalog.update_template(template(archived=True), 1, change())
    catalog.delete_account(account(), 1, change())
    with pytest.raises(CatalogConflictError):
        catalog.delete_account(account(), 1, change())


def test_a_template_and_its_first_version_come_together(catalog: Catalog) -> None:
    catalog.create_template(template(), version(), change())
    with pytest.raises(CatalogConflictError):
        catalog.create_template(template(name="Another"), version(text="another"), change())
    assert catalog.template("default", "code") == template()
    assert catalog.version("default", "code", 1) == version()
    with pytest.raises(ValueError, match="first version"):
        catalog.create_template(template("x"), version("x", 2), change())


def test_versions_count_up_and_two_at_once_do_not_collide(catalog: Catalog, clock: FakeClock) -> None:
    catalog.create_template(template(), version(), change())
    head = catalog.load_template("default", "code")
    assert head is not None
    assert catalog.add_version(head, version(number=2), change()).latest == 2
    with pytest.raises(CatalogConflictError):
        catalog.add_version(head, version(number=2, text="theirs"), change())
    assert catalog.version("default", "code", 2) == version(number=2)
    with pytest.raises(ValueError, match="next version"):
        catalog.add_version(head, version(number=5), change())


def test_publishing_names_the_version_and_keeps_its_first_time(catalog: Catalog) -> None:
    catalog.create_template(template(), version(), change())
    assert catalog.template("default", "code") == template()
    published = publish(catalog, at=70)
    assert catalog.template("default", "code") == published
    assert published.published == 1
    publish(catalog, at=80)
    stored = catalog.load_version("default", "code", 1)
    assert stored is not None
    assert stored.value.published_at == 70


@pytest.mark.parametrize("what", ["template", "version", "settings"])
def test_what_is_published_is_what_was_looked_at(catalog: Catalog, other: Catalog, what: str) -> None:
    catalog.create_template(template(), version(), change())
    head, found = catalog.load_template("default", "code"), catalog.load_version("default", "code", 1)
    assert head is not None and found is not None
    settings = catalog.load_settings("default")
    if what == "template":
        other.update_template(head.value, head.rev, change())
    elif what == "version":
        other.update_review(head.value, found, change())
    else:
        other.save_settings("default", TenantSettings(version=1, review_required=True), None, change())
    with pytest.raises(CatalogConflictError):
        catalog.publish_version(head, found, settings, change())


def test_a_change_and_its_record_come_together(catalog: Catalog, aws: Aws) -> None:
    catalog.create_account(account(), change())
    with pytest.raises(CatalogConflictError):
        catalog.create_account(account(name="Another"), change())
    taken = change()
    catalog.create_key(key(), taken)
    with pytest.raises(CatalogConflictError):
        catalog.update_account(account(name="New"), 1, taken)
    assert catalog.account("default", "mail") == account()
    items = aws.dynamodb.scan(TableName=aws.catalog)["Items"]
    assert sum(item["pk"]["S"].startswith("audit#") for item in items) == 2


def test_what_no_item_can_hold_is_refused(catalog: Catalog) -> None:
    with pytest.raises(CatalogTooLargeError):
        catalog.create_template(template(), version(text="汉" * 150_000), change())
    assert catalog.load_template("default", "code") is None


def test_templates_are_listed_by_page(catalog: Catalog) -> None:
    for i in range(7):
        catalog.create_template(template(f"t{i}"), version(f"t{i}"), change())
    seen: list[str] = []
    cursor: str | None = None
    sizes = []
    for _ in range(4):
        page = catalog.list_templates("default", 3, cursor)
        seen += [t.id for t in page.items]
        sizes.append(len(page.items))
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"t{i}" for i in range(7)]
    assert sizes == [3, 3, 1]
    assert catalog.list_templates("default", 7).cursor is None
    assert catalog.list_templates("nobody", 7).items == []


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "not base64 at all",
        "YWNjb3VudCNtYWls",
        urlsafe_b64encode(b"template#" + b"x" * 2000).decode(),
        "_w",
        "é",
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(catalog: Catalog, cursor: str) -> None:
    with pytest.raises(CursorError):
        catalog.list_templates("default", 3, cursor)


def test_long_listings_are_read_to_their_end(aws: Aws, clock: FakeClock) -> None:
    class Short(Counting):
        """DynamoDB cuts its answers at a megabyte; this one at two items."""

        def query(self, **kwargs: Any) -> Any:
            self.calls["query"] += 1
            return aws.dynamodb.query(**{**kwargs, "Limit": min(2, kwargs["Limit"])})

    client: Any = Short(aws.dynamodb)
    catalog = Catalog(client, aws.catalog, clock)
    for i in range(5):
        catalog.create_account(account(f"a{i}"), change())
    assert [a.id for a in catalog.list_accounts("default")] == [f"a{i}" for i in range(5)]
    assert client.calls["query"] == 3


def test_keys_are_listed_and_revoked_in_both_places(catalog: Catalog, clock: FakeClock) -> None:
    catalog.create_key(key(), change())
    with pytest.raises(CatalogConflictError):
        catalog.create_key(key(), change())
    assert catalog.page_keys("default", 10).items == [key()]
    at = clock.now_ms()
    revoke(catalog, at)
    by_id = catalog.key("0123456789ab")
    assert by_id is not None
    assert by_id.revoked_at == at
    assert catalog.page_keys("default", 10).items == [by_id]
    with pytest.raises(CatalogConflictError):
        catalog.update_key(by_id, 1, change())
    assert catalog.load_key("default", "unknown00000") is None


def test_names_that_no_item_can_have_are_not_looked_for(catalog: Catalog, dynamodb: Counting) -> None:
    assert catalog.account("default", "x" * 5000) is None
    assert catalog.load_template("default", "汉" * 1000) is None
    assert dynamodb.calls["get_item"] == 0


def test_errors_of_aws_are_not_taken_for_conflicts(aws: Aws, clock: FakeClock) -> None:
    catalog = Catalog(aws.dynamodb, "no-such-table", clock)
    with pytest.raises(ClientError):
        catalog.create_account(account(), change())
    with pytest.raises(ClientError):
        catalog.create_key(key(), change())
