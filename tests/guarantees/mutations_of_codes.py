"""Mutations of verifications, of the guard against SMS pumping, of metrics, and of whole addresses."""

from tests.guarantees.mutation import Mutation

_STORE = "tests/integration/shared/store/test_verifications.py"
_CRASHES = "tests/guarantees/test_crash_verifications.py"
_GUARD = "tests/e2e/test_verification_guard.py"
_LIVE = "tests/integration/functions/trace/test_aggregate_live.py"
_WHOLE = "tests/e2e/test_unmasking.py"

OF_CODES = (
    Mutation(
        "of two right checks at once one is approved",
        "shared/store/verifications.py",
        '"ConditionExpression": "#state = :open AND (',
        '"ConditionExpression": "(#state = :open OR attribute_exists(pk)) AND (',
        f"{_STORE}::test_two_right_checks_at_once_approve_once",
    ),
    Mutation(
        "a thousand guessers have five tries",
        "shared/store/verifications.py",
        "(attribute_not_exists(#checks) OR #checks < :most)",
        "(attribute_exists(pk) OR #checks < :most)",
        f"{_STORE}::test_a_thousand_guessers_have_five_tries",
    ),
    Mutation(
        "a try is counted before it is answered",
        "functions/verify/operations.py",
        "there = self.verifications.count_wrong(call.caller.tenant, tag_of(found.id), found)",
        "there = None",
        f"{_CRASHES}::test_the_last_try_may_die_anywhere",
    ),
    Mutation(
        "a start that is repeated under its key is one message of its verification",
        "functions/ingest/verifications.py",
        "self.found = carrying(before, message_id)",
        "self.found = None",
        f"{_CRASHES}::test_a_start_may_die_anywhere[with a key]",
    ),
    Mutation(
        "an approval is counted for the guard by the write that approves",
        "shared/store/verifications.py",
        "TransactItems=[update, counted]",
        "TransactItems=[update]",
        f"{_STORE}::test_an_approval_is_counted_by_the_write_that_approves",
    ),
    Mutation(
        "no code goes to a prefix that is held",
        "functions/ingest/holds.py",
        "            raise _held(after, after.until or start.now, start.now)",
        "            return",
        f"{_GUARD}::test_an_attack_is_held_and_others_are_not",
    ),
    Mutation(
        "a prefix that a person released is not held",
        "functions/ingest/holds.py",
        "if rule.state is not PrefixState.RELEASED:",
        "if rule.state is PrefixState.RELEASED:",
        f"{_GUARD}::test_people_can_release_hold_block_and_forget",
    ),
    Mutation(
        "a guard that monitors refuses nobody",
        "functions/ingest/holds.py",
        "return start.guard.mode is GuardMode.ENFORCE and not start.known",
        "return not start.known",
        f"{_GUARD}::test_monitor_counts_and_holds_nothing",
    ),
    Mutation(
        "who gave a code back today gets another one, held or not",
        "functions/ingest/holds.py",
        "return start.guard.mode is GuardMode.ENFORCE and not start.known",
        "return start.guard.mode is GuardMode.ENFORCE",
        f"{_GUARD}::test_who_gave_a_code_back_today_is_let_through",
    ),
    Mutation(
        "metrics are told after the transaction that counted",
        "functions/trace/aggregate.py",
        "        if part.last > checkpoint:\n            self._counters.add(\n                books.shard,",
        "        if part.last > checkpoint:\n            self._live.add(fresh)\n            self._live.tell()\n"
        "            self._counters.add(\n                books.shard,",
        f"{_LIVE}::test_a_batch_that_dies_anywhere_is_never_told_of_twice",
    ),
    Mutation(
        "whole addresses are shown to keys with the scope",
        "functions/trace/unmasking.py",
        'call.require_scope(Scope.UNMASK, "To see whole addresses")',
        "pass",
        "tests/security/test_whole_addresses.py::test_keys_that_may_not_see_addresses_see_none",
    ),
    Mutation(
        "a look at whole addresses is recorded before they are shown",
        "functions/trace/unmasking.py",
        "            raise NotRecordedError(",
        "            return\n            raise NotRecordedError(",
        f"{_WHOLE}::test_no_record_no_address",
    ),
    Mutation(
        "the timeline keeps addresses sealed",
        "shared/policy/sealing.py",
        'return urlsafe_b64encode(sealed).decode().rstrip("=")',
        "return address",
        f"{_WHOLE}::test_whole_addresses_lie_nowhere_in_the_timeline",
    ),
)
