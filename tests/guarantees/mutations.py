"""Removes one guard at a time and shows that a named test fails: `python -m tests.guarantees.mutations [word ...]`.

Works on a copy of the project, so that nothing of it is touched. Words choose the guards whose name holds one of them.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.guarantees.mutation import Mutation
from tests.guarantees.mutations_of_codes import OF_CODES
from tests.guarantees.mutations_of_deploying import OF_DEPLOYING

ROOT = Path(__file__).parents[2]
MINUTES = 5
_SECONDS = itertools.count(int(time.time()))
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info")
_FALLING = "tests/integration/functions/receipts/test_falling.py"
_MATRIX = "tests/guarantees/test_crash_matrix.py::test_it_may_die_anywhere"
_AT_ONCE = "tests/integration/functions/trace/test_aggregate_at_once.py"
_FOLLOW = "tests/unit/functions/campaign/follow"
_KEEPING = "tests/integration/functions/trace/test_keeping.py"
_PRINTS = "tests/integration/shared/store/test_suppressions_prints.py"
_BULK = "tests/contract/email/ses/test_bulk.py"
_CALLBACK = "tests/contract/wecom/app/test_app_callback.py"
_AFTERWARDS = "tests/guarantees/test_crash_afterwards.py"
_ONCE = f"{_MATRIX}_while_each_recipient_gets_it_once"


MUTATIONS = (
    Mutation(
        "a lease is taken only if there is none",
        "shared/store/ledger.py",
        '_NEW = "attribute_not_exists(pk)"',
        '_NEW = "attribute_not_exists(pk) OR attribute_exists(pk)"',
        f"{_MATRIX}[smtp-marketing]",
    ),
    Mutation(
        "an unexpired lease is respected",
        "shared/dispatch/waves.py",
        "if found.lease > self._clock.now_ms():",
        "if found.lease > self._clock.now_ms() + 10**12:",
        "tests/unit/shared/dispatch/test_waves.py::test_of_two_consumers_one_works_and_the_other_backs_off",
    ),
    Mutation(
        "only one of two takeovers succeeds",
        "shared/store/ledger.py",
        'condition = "#owner = :seen AND',
        'condition = "attribute_exists(pk) OR #owner = :seen AND',
        "tests/integration/shared/store/test_ledger.py::test_one_of_two_takes_over_and_the_old_owner_is_out",
    ),
    Mutation(
        "a takeover fails if the owner has sent to more recipients since",
        "shared/store/ledger.py",
        "AND lease = :ended AND flight = :went",
        "AND lease = :ended AND :went = :went",
        "tests/integration/shared/store/test_ledger.py::test_who_takes_over_sees_what_an_owner_did_that_was_taken_for_dead",
    ),
    Mutation(
        "rows that the check rejected are not checked again",
        "functions/campaign/deps.py",
        "judges.sending, judges.packer, comparer.repeated_rows, checker.refused_rows",
        "judges.checking, judges.packer, comparer.repeated_rows, lambda run, shard: None",
        "tests/integration/functions/campaign/test_judged_once.py::test_a_slice_that_is_done_again_sends_the_same_rows",
    ),
    Mutation(
        "what a shard's item says was picked counts, whoever else plans",
        "functions/campaign/follow/picking.py",
        "first_row += made.rows if stored is None else stored.value.rows",
        "first_row += made.rows",
        "tests/integration/functions/campaign/follow/test_picking.py::test_what_a_shards_item_says_counts",
    ),
    Mutation(
        "a dead letter that was redriven and sent is not sent again by a follow-up",
        "functions/campaign/follow/sets.py",
        "    if Stage.DEAD_LETTERED in found:\n        # Somebody may have redriven it since.\n        return None",
        "    if Stage.DEAD_LETTERED in found:\n        return Why.PICKED",
        f"{_FOLLOW}/test_sets.py::test_what_is_known_of_a_message_decides",
    ),
    Mutation(
        "a message that may have been sent is not sent again by a follow-up",
        "functions/campaign/follow/sets.py",
        "    if Stage.UNKNOWN in found:\n        return Why.MAYBE_SENT",
        "    if Stage.UNKNOWN in found:\n        return Why.PICKED",
        f"{_FOLLOW}/test_sets.py::test_what_is_known_of_a_message_decides",
    ),
    Mutation(
        "a campaign follows a run once for the same people",
        "functions/campaign/follow/finding.py",
        "and (_sent(run) or not run.over)",
        "and False",
        f"{_FOLLOW}/test_finding.py::test_a_schedule_follows_each_run_once",
    ),
    Mutation(
        "a run pauses by what came back",
        "functions/campaign/run/driving.py",
        "whole >= rule.after and n * 100 > allowed * whole",
        "whole >= rule.after and n * 100 > allowed * whole and what is _FAILED",
        "tests/unit/functions/campaign/run/test_driving.py::test_a_run_pauses_by_what_providers_report",
    ),
    Mutation(
        "an acquisition without an answer is repeated",
        "shared/dispatch/waves.py",
        "return self._until_done(lambda: self._ledger.acquire(work.id, work.entry()), work, remaining_s, INSISTS)",
        "raise HeldError",
        "tests/guarantees/test_marks.py::test_a_batch_that_is_acquired_in_part_is_sent[lost-single1-marketing]",
    ),
    Mutation(
        "an envelope that is not acquired does not hold up the others",
        "shared/store/ledger.py",
        'log_error(logger, "not all envelopes acquired yet", error)',
        "raise",
        "tests/integration/shared/store/test_ledger.py::test_who_was_acquired_is_told_though_another_was_not[lost]",
    ),
    Mutation(
        "only the owner records",
        "shared/store/ledger.py",
        'f"#owner = :owner AND {_OPEN}"',
        'f"#owner = :owner OR attribute_exists(pk) AND {_OPEN}"',
        "tests/integration/shared/store/test_ledger.py::test_only_the_owner_records",
    ),
    Mutation(
        "a write fails if there is a recall mark that it does not know",
        "shared/store/ledger.py",
        'condition += f" AND {_UNMARKED}"',
        'condition += ""',
        "tests/guarantees/test_crash_matrix.py::test_a_recall_may_come_at_any_moment[notification]",
    ),
    Mutation(
        "a recipient in flight is not reported as recalled",
        "shared/lifecycle/walk.py",
        "marks = {i: mark for i, mark in entry.recalled.items() if i not in in_flight}",
        "marks = entry.recalled",
        "tests/guarantees/test_crash_matrix.py::test_a_recall_may_come_at_any_moment[notification]",
    ),
    Mutation(
        "a recipient that is recalled in flight is not tried again",
        "shared/lifecycle/recall.py",
        "STOPPABLE = frozenset({Stage.RETRYING, ",
        "STOPPABLE = frozenset({",
        "tests/unit/shared/lifecycle/test_recall.py::test_who_is_recalled_in_flight_is_not_tried_again",
    ),
    Mutation(
        "a fallback is recorded before its message is sent",
        "shared/dispatch/waves.py",
        "rows=self.plan.told()",
        'rows=[{k: r[k] for k in r if k != "fell"} for r in self.plan.told()]',
        "tests/unit/shared/lifecycle/test_fallback.py::test_the_tail_may_be_repeated",
    ),
    Mutation(
        "a sent message that arrived, or was acknowledged, in time does not fall back",
        "functions/receipts/falling.py",
        "            self.store.decide(envelope_id, recipients, What.ARRIVED)",
        "            pass",
        f"{_FALLING}::test_who_is_not_heard_of_in_time_gets_the_other_message",
    ),
    Mutation(
        "of a receipt, a recall and the end of the time one decides on a sent message",
        "shared/store/awaiting.py",
        '" AND ".join(f"attribute_not_exists({name})" for name in names)',
        '"attribute_not_exists(nothing)"',
        f"{_FALLING}::test_a_receipt_that_comes_too_late_changes_nothing_and_shows",
    ),
    Mutation(
        "a message that may have been sent never falls back",
        "shared/lifecycle/fallback.py",
        "or row.maybe_sent or row.index in envelope.maybe_sent:",
        "or False:",
        "tests/unit/shared/lifecycle/test_fallback.py::test_what_may_have_been_sent_never_falls_back[notification]",
    ),
    Mutation(
        "recipients are marked in flight before a wave",
        "shared/dispatch/waves.py",
        "flight=in_flight, closed=not in_flight",
        "flight={}, closed=not in_flight",
        f"{_MATRIX}[smtp-marketing]",
    ),
    Mutation(
        "an envelope with an interrupted tail is not acknowledged",
        "shared/dispatch/dispatcher.py",
        "            failed |= {r.message_id for r in received}",
        "            failed |= set()",
        f"{_MATRIX}[smtp-notification]",
    ),
    Mutation(
        "a retry that its queue did not accept is sent again",
        "shared/dispatch/dispatcher.py",
        "undone |= {parents[id] for id in left.failed}",
        "undone |= set()",
        "tests/guarantees/test_outages.py::test_nothing_is_lost_while_a_service_is_out_of_reach[sqs-notification]",
    ),
    Mutation(
        "the ids of retries are derived",
        "shared/lifecycle/lineage.py",
        'yield f"{first}.{k}" if k else first, until, due[until]',
        "yield f\"{first}.{__import__('secrets').token_hex(4)}\", until, due[until]",
        f"{_MATRIX}[smtp-notification]",
    ),
    Mutation(
        "who is put on the suppression list has a print on its mark",
        "shared/store/suppressions.py",
        "if seen is None:\n                self._add_prints(",
        "if seen is not None:\n                self._add_prints(",
        f"{_PRINTS}::test_only_those_are_looked_up_whose_print_is_there",
    ),
    Mutation(
        "a print is there before the entry",
        "shared/store/suppressions.py",
        """            self._add_prints(wanted[0].tenant, wanted[0].channel, new)
        run: Callable[..., Any] = map if self._pool is None else self._pool.map
        for _ in run(lambda each: self._add(each, seen.get(each.tag)), wanted):
            pass
""",
        """            [self._add(each, seen.get(each.tag)) for each in wanted]
            self._add_prints(wanted[0].tenant, wanted[0].channel, new)
""",
        f"{_PRINTS}::test_whoever_adds_may_die_at_every_call",
    ),
    Mutation(
        "a mark that has no prints never gets any",
        "shared/store/suppressions.py",
        "OR (attribute_exists(prints) AND size(prints) <= :room)",
        "OR attribute_not_exists(prints) OR size(prints) <= :room",
        f"{_PRINTS}::test_a_mark_from_before_there_were_prints_tells_of_nobody",
    ),
    Mutation(
        "what the envelopes of a batch read together is read for this batch",
        "shared/dispatch/dispatcher.py",
        "        reads = SharedReads()\n",
        "        reads = self.__dict__.setdefault('_reads', SharedReads())\n",
        "tests/unit/shared/dispatch/decide/test_suppression.py"
        "::test_the_envelopes_of_a_batch_share_what_they_read_and_those_of_the_next_do_not",
    ),
    Mutation(
        "a message is not a duplicate of itself",
        "shared/store/duplicates.py",
        "return Claim(Answer.HAD) if message == who.ulid else Claim(Answer.REFUSED, message, ends)",
        "return Claim(Answer.REFUSED, message, ends)",
        _ONCE,
    ),
    Mutation(
        "a message counts once for its cap",
        "shared/store/caps.py",
        "AND NOT (contains(s{k}, :me) AND s{k} > :since)",
        "AND NOT (contains(s{k}, :me) AND s{k} < :since)",
        "tests/unit/shared/dispatch/decide/test_steps_duplicates_and_caps.py::test_retries_pass_and_count_once",
    ),
    Mutation(
        "simultaneous messages do not exceed a cap",
        "shared/store/caps.py",
        'return f"(attribute_not_exists(s{count}) OR s{count} <= :since){mine}"',
        'return f"(attribute_not_exists(s{count}) OR s{count} <> :since){mine}"',
        "tests/integration/shared/store/test_caps_and_duplicates.py::test_of_many_that_come_at_once_exactly_so_many_get_through",
    ),
    Mutation(
        "a message that ends unsent releases its marks and slots",
        "shared/lifecycle/held.py",
        "_RELEASES = UNSENT | {Stage.DEAD_LETTERED}",
        "_RELEASES = UNSENT",
        _ONCE,
    ),
    Mutation(
        "the marks of a message that another function sends stay",
        "shared/lifecycle/held.py",
        "seen.closed and held.at > seen.lease:",
        "seen.closed and held.at > 0:",
        _ONCE,
    ),
    Mutation(
        "the checkpoint moves only from where it was read",
        "shared/store/counters.py",
        '"attribute_not_exists(pk)" if old < 0 else "seq = :old"',
        '"attribute_not_exists(pk)" if old < 0 else "seq = :old OR attribute_exists(pk)"',
        f"{_AT_ONCE}::test_a_batch_that_another_process_counts_meanwhile_counts_once",
    ),
    Mutation(
        "a process counts from what it knows only if the table says the same",
        "shared/store/counters.py",
        '_CLEAN = " AND attribute_not_exists(unkept) AND attribute_not_exists(aside)"',
        '_CLEAN = ""',
        f"{_AT_ONCE}::test_a_process_does_not_pass_over_what_another_has_set_aside",
    ),
    Mutation(
        "an event that is there already is not counted with those that are put at once",
        "shared/store/timeline.py",
        '"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}',
        '"Item": item}}',
        f"{_AT_ONCE}::test_what_is_there_already_does_not_count_again",
    ),
    Mutation(
        "an event behind the checkpoint is not counted",
        "functions/trace/aggregate.py",
        "if found.sequence > checkpoint]",
        "if found.sequence > -1]",
        "tests/integration/functions/trace/test_aggregate.py::test_a_batch_that_died_may_come_back_longer",
    ),
    Mutation(
        "counted events are stored before more are counted",
        "functions/trace/keeping.py",
        "books.unkept_from is not None and first > books.unkept_from:",
        "books.unkept_from is not None and first < books.unkept_from:",
        f"{_KEEPING}::test_what_a_given_up_batch_counted_is_kept_before_anything_else_is_counted",
    ),
    Mutation(
        "events that earlier shards counted are stored before a shard counts",
        "functions/trace/keeping.py",
        "progress = Progress(-1, None, self._inherited(shard))",
        "progress = Progress(-1, None, False)",
        f"{_KEEPING}::test_a_shard_that_takes_anothers_place_keeps_first_what_that_one_counted",
    ),
    Mutation(
        "an event that was stored separately does not count again",
        "functions/trace/keeping.py",
        "return kept | ((known | books.unkept.keys()) & part.events.keys())",
        "return kept",
        f"{_KEEPING}::test_what_is_set_aside_is_known_to_the_shard_that_takes_anothers_place",
    ),
    Mutation(
        "a copy of an event that comes again never overwrites it",
        "functions/trace/aggregate.py",
        "fresh = [found.item for key, found in part.events.items() if key not in kept]",
        "fresh = [found.item for key, found in part.events.items()]",
        f"{_KEEPING}::test_what_is_kept_stays_though_a_batch_that_died_says_it_differently",
    ),
    Mutation(
        "a copy of an event that is read from the stream again never overwrites it",
        "functions/trace/keeping.py",
        "fresh = (found.item for key, found in part.events.items() if key not in kept)",
        "fresh = (found.item for key, found in part.events.items())",
        f"{_KEEPING}::test_what_is_kept_stays_though_a_batch_that_was_given_up_says_it_differently",
    ),
    Mutation(
        "a batch that the trace gave up is put on the stream again",
        "functions/watch/given_up.py",
        "self.stream.put([replace(record, again=",
        "self.stream.put([] and [replace(record, again=",
        "tests/guarantees/test_trace_outages.py::test_what_is_counted_is_kept[counters-0-0]",
    ),
    Mutation(
        "an idle shard with unstored events is woken",
        "functions/watch/given_up.py",
        "            if self._stands(shard):",
        "            if False:",
        "tests/guarantees/test_trace_outages.py::test_what_is_counted_is_kept[timeline-0-100]",
    ),
    Mutation(
        "an event counts at its first position",
        "functions/trace/parts.py",
        "part.events.setdefault(key, found)",
        "part.events[key] = found",
        "tests/integration/functions/trace/test_aggregate.py::test_a_copy_of_an_event_behind_the_checkpoint_never_counts",
    ),
    Mutation(
        "the base of a request is claimed once",
        "shared/store/idempotency.py",
        'ConditionExpression="attribute_not_exists(pk) OR #ttl < :now"',
        'ConditionExpression="attribute_not_exists(pk) OR attribute_exists(pk) OR #ttl < :now"',
        f"{_MATRIX}[smtp-notification]",
    ),
    Mutation(
        "a dead letter is kept once",
        "functions/dead_letters/keeping.py",
        "return sum(self._store.keep(letter, body.to_json()) for letter, body in letters_of(dead, now))",
        "return sum(self._store.keep(letter, body.to_json()) for letter, body in letters_of(dead, now)[1:])",
        "tests/guarantees/test_crash_matrix.py::test_a_redrive_may_die_anywhere[notification]",
    ),
    Mutation(
        "only a message that certainly was not sent goes through another account",
        "shared/dispatch/routing.py",
        "if row.account is not None and _of_the_account(row)}",
        'if row.stage != "sent" and row.account is not None}',
        "tests/unit/shared/dispatch/test_routing.py::test_an_unknown_outcome_never_fails_over",
    ),
    Mutation(
        "a weight is changed only from the value that was read",
        "shared/store/health.py",
        '{"Put": put_of(self._table, item, over)}',
        '{"Put": {"TableName": self._table, "Item": item}}',
        "tests/integration/shared/dispatch/test_routing.py::test_of_many_processes_that_see_the_trouble_one_shifts_and_leaves_one_record",
    ),
    Mutation(
        "two functions never reserve the same slots in a rate",
        "shared/store/rates.py",
        'condition = f"(attribute_not_exists({lane}) OR {lane} < :now)"',
        'condition = f"(attribute_not_exists({lane}) OR {lane} <> :now)"',
        "tests/unit/shared/store/test_rates.py::test_fifty_functions_at_once_keep_the_rate_and_use_it[rate0-40]",
    ),
    Mutation(
        "a clock that AWS contradicts is corrected",
        "shared/aws/clock.py",
        "return now - self._heard.ahead",
        "return now",
        "tests/guarantees/test_clocks.py::test_a_wrong_clock_changes_nothing[dispatch_email-86400000]",
    ),
    Mutation(
        "no call is made before its slot in a rate",
        "shared/dispatch/sending.py",
        "            self._sleep(wait)",
        "            pass",
        "tests/unit/shared/dispatch/test_rates.py::test_whatever_happens_the_rate_is_kept_and_each_message_goes_once[rate0-50-0]",
    ),
    Mutation(
        "many messages go by one SES call only after a trial",
        "shared/providers/email/ses/proof.py",
        'return f"{min(changed)}_changed" if changed else ""',
        'return ""',
        f"{_BULK}::test_where_content_is_changed_each_goes_alone[escaped-html-text]",
    ),
    Mutation(
        "results that are not one for each message say nothing",
        "shared/providers/email/ses/codes.py",
        "if not isinstance(results, list) or len(results) != len(own):",
        "if not isinstance(results, list) or not results:",
        f"{_BULK}::test_results_that_are_not_one_for_each_say_nothing",
    ),
    Mutation(
        "a refusal of a call for many is not believed of each",
        "shared/providers/email/ses/provider.py",
        "if may_be_of_some(error):",
        "if False:",
        f"{_BULK}::test_a_call_that_is_refused_for_one_has_each_go_alone",
    ),
    Mutation(
        "a receipt that is early waits for its message",
        "functions/receipts/receiving.py",
        "if now - look.since < KEPT_MS:",
        "if now - look.since < KEPT_MS and look.tries:",
        f"{_AFTERWARDS}::test_receipts_that_come_early_may_be_struck_anywhere",
    ),
    Mutation(
        "what was found in a mailbox is queued before it is noted as read",
        "functions/mailboxes/reading.py",
        """        self.queue.put_all(found.receipts)
        state = after(claimed(state, now), found, self.clock.now_ms())
        self.inboxes.save(account.tenant, account.id, state, rev)
""",
        """        state = after(claimed(state, now), found, self.clock.now_ms())
        self.inboxes.save(account.tenant, account.id, state, rev)
        self.queue.put_all(found.receipts)
""",
        f"{_AFTERWARDS}::test_a_mailbox_may_be_struck_anywhere",
    ),
    Mutation(
        "an event is queued for an endpoint before it is noted as queued",
        "functions/webhooks/feeding.py",
        "        if self._queue.send(active, self._clock.now_ms()):",
        """        self._deliveries.note_queued(delivery.id for _, delivery in new)
        if self._queue.send(active, self._clock.now_ms()):""",
        f"{_AFTERWARDS}::test_receipts_may_be_struck_anywhere",
    ),
    Mutation(
        "a callback of WeCom is refused without its signature",
        "shared/providers/wecom/app/crypto.py",
        "if not hmac.compare_digest(right.encode()",
        "if False and not hmac.compare_digest(right.encode()",
        f"{_CALLBACK}::test_what_is_not_signed_so_is_refused[x-nonce]",
    ),
    Mutation(
        "a callback for another corporation is refused",
        "shared/providers/wecom/app/crypto.py",
        "if not hmac.compare_digest(whose,",
        "if False and not hmac.compare_digest(whose,",
        f"{_CALLBACK}::test_who_knows_one_thing_less_is_refused[corporation]",
    ),
    Mutation(
        "a callback that was signed long ago is refused",
        "shared/providers/wecom/app/callback.py",
        "if abs(SystemClock().now_ms() - (_ms(timestamp) or 0)) > FRESH_MS:",
        "if False:",
        f"{_CALLBACK}::test_what_was_signed_more_than_an_hour_ago_is_refused[3601-False]",
    ),
    Mutation(
        "a callback that declares a document type is refused",
        "shared/providers/wecom/app/xml.py",
        "parser.StartDoctypeDeclHandler = refuse\n    parser.EntityDeclHandler = refuse",
        "pass",
        f"{_CALLBACK}::test_xml_that_is_none_or_declares_something_is_refused_inside_and_outside",
    ),
    Mutation(
        "a card's receipt is for the member's own message of the same request",
        "shared/store/timeline.py",
        'return self._sent(tenant, tag, base, f"{ulid_text(ulid_value(base) + MAX_PER_BASE - 1)}~")',
        'return self._sent(tenant, tag, base, "~")',
        "tests/integration/functions/receipts/test_matching_members.py"
        "::test_of_a_card_to_several_each_members_own_message_is_meant",
    ),
    Mutation(
        "clicks that turn out to be a scanner's are taken back once",
        "functions/trace/engaged.py",
        "if sequence > self._checkpoint and len(known) > len(before):",
        "if len(known) > len(before):",
        "tests/integration/functions/trace/test_aggregate_engaged.py::test_it_may_die_at_every_call_and_still_be_exact[False]",
    ),
    Mutation(
        "only a button acknowledges",
        "functions/engagement/answering.py",
        'if method != "POST":',
        "if False:",
        "tests/e2e/test_tracking.py::test_only_the_button_acknowledges",
    ),
    Mutation(
        "a part of a text that failed outlasts the delivery of another",
        "shared/providers/sms/aws/receipts.py",
        "and not _lasts(event, said)",
        "",
        "tests/e2e/test_receipts_aws_sms.py::test_a_text_of_which_a_part_failed_is_not_delivered",
    ),
    Mutation(
        "what finds a message by the provider's id is kept for as long as the message",
        "functions/trace/parts.py",
        "items += [provider_item(record, id, row, ttl) for id, row in named if row.indexed]",
        "items += [provider_item(record, id, row, 1) for id, row in named if row.indexed]",
        "tests/integration/functions/trace/test_aggregate_provider_ids.py"
        "::test_what_finds_a_message_goes_when_the_message_goes",
    ),
    Mutation(
        "what Firehose did not take is tried again",
        "shared/aws/firehose.py",
        'places = [place for place, result in results if result.get("ErrorCode")]',
        "places = [place for place, result in results if not result]",
        "tests/unit/shared/aws/test_firehose.py::test_only_what_was_not_taken_is_tried_again_each_time_later",
    ),
    Mutation(
        "what Firehose did not take after all comes again from the stream",
        "functions/archive/archiving.py",
        "if left is None:",
        "if left is None or left:",
        "tests/unit/functions/archive/test_archiving.py::test_what_was_not_taken_comes_again_from_its_first_record_on",
    ),
    Mutation(
        "the archive keeps no code that may be a sentence",
        "shared/policy/archive.py",
        "return code if code and _CODE(code) and not _LONG_NUMBER(code) else None",
        "return code",
        "tests/unit/shared/policy/test_archive.py::test_nothing_of_a_person_is_kept_whatever_an_event_holds",
    ),
    Mutation(
        "a query of the archive counts an event once",
        "infra/archive_queries.py",
        "WHERE copy = 1",
        "WHERE copy >= 1",
        "tests/infra/test_archive_queries.py::test_reasons_are_by_provider_and_account",
    ),
    *OF_CODES,
    *OF_DEPLOYING,
)


def main() -> int:
    """Try the chosen mutations; 1 if a guard can be removed and its test does not notice."""
    chosen = [m for m in MUTATIONS if not sys.argv[1:] or any(word in m.guard for word in sys.argv[1:])]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "mepush"
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
        for mutation in chosen:
            noticed = _noticed(copy, mutation)
            missed += not noticed
            print(f"{'noticed' if noticed else 'MISSED '}  {mutation.guard}: {mutation.test}", flush=True)
    return 1 if missed else 0


def _noticed(copy: Path, mutation: Mutation) -> bool:
    """Whether the test fails, and passes again with the guard in its place."""
    file = copy / mutation.file
    text = file.read_text(encoding="utf-8")
    _write(file, text.replace(mutation.old, mutation.new))
    try:
        failed = _run(copy, mutation.test) == 1
    finally:
        _write(file, text)
    return failed and _run(copy, mutation.test) == 0


def _write(file: Path, text: str) -> None:
    """Write a file so that no compiled code of another text is taken for its own: that is told by second and length."""
    file.write_text(text, encoding="utf-8")
    later = next(_SECONDS)
    os.utime(file, (later, later))


def _run(copy: Path, test: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=copy, capture_output=True, timeout=60 * MINUTES, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
