"""The join of two tables by a foreign key: the left side subscribes, the right side answers.

```
left row k: A(x)       subscribe k at x, hash(A)
                                                    answer: x's row, hash(A)      k: join(A, x)
left row k: B(y)       end k at x; subscribe k at y, hash(B)
                                                    answer: x's row, hash(A)      stale: dropped
                                                    answer: y's row, hash(B)      k: join(B, y)
```

An answer counts only as long as the left row is the one that it was asked for, which a hash of the row's
bytes tells. Kafka takes Murmur3; here it is BLAKE2b: no other application reads the topics. It is taken on
both ends, so a value must have the same bytes again when it was decoded from them.
Rules: Kafka Streams, a6.9 of its semantics, and its `foreignkeyjoin` package in 4.3; times a1.7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from pipeline.errors import ProcessingError, RecordError
from pipeline.operators.changes import of_new
from pipeline.operators.context import OperatorContext, failed, unencodable
from pipeline.operators.materialize import emitter
from pipeline.operators.views import lookup
from pipeline.record import Change, Forward, Headers
from pipeline.serde import Serde
from pipeline.serde.foreign_key import Instruction, Response, Subscription
from pipeline.state.keyvalue import KeyValueStore, after_prefix
from pipeline.topology import AnswerSubscriptions, ForeignKeyResult, Node, Subscribe

_HASH_SIZE: Final = 16
_LENGTH: Final = struct.Struct(">I")
_PARTITION: Final = struct.Struct(">I")


_ANSWER: Final = Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE
#: What ends a subscription.
_ENDS: Final = (Instruction.DELETE_KEY_NO_PROPAGATE, Instruction.DELETE_KEY_AND_PROPAGATE)


def build_subscribe(node: Subscribe, context: OperatorContext, forward: Forward) -> Forward:
    """Forward, under foreign keys, what changed rows belong to and no longer belong to.

    Where the user's function fails for a row, that is told of, and the row names no right row.
    """
    foreign_key_of, identify = _foreign_keys(node), _identifier(node)
    result_of = context.store(node.result.name).get_entry
    partition, left_outer, fail = context.partition, node.left_outer, context.fail

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        new, old = change.new, change.old
        if not change.is_latest:
            context.drop(node, "out of order, of a versioned table")
            return
        if new is None and old is None:
            return
        try:
            primary_key, row_hash = identify(key, new)
        except RecordError as error:
            fail(error)
            return
        before = after = None
        try:
            before = None if old is None else foreign_key_of(key, old)
        except RecordError:
            # That was told of when the value was new.
            before = None
        try:
            after = None if new is None else foreign_key_of(key, new)
        except RecordError as error:
            fail(error)
        else:
            if after is None and new is not None and not left_outer:
                context.drop(node, "null foreign key")
        joined = not left_outer and result_of(primary_key) is not None
        for foreign_key, instruction in _instructions(before, after, joined=joined, left_outer=left_outer):
            subscription = Subscription(instruction, partition, row_hash, primary_key)
            forward(foreign_key, subscription, timestamp, headers)

    return process


def _instructions(
    before: _ForeignKey | None, after: _ForeignKey | None, *, joined: bool, left_outer: bool
) -> Iterator[tuple[Any, Instruction]]:
    """Yield what the right side is told of a row, and under which key.

    Whether what a row belongs to is there, nobody knows here. So when that changes, an inner join may take
    back what never was: a tombstone that nobody needs.

    While the result holds a row, an answer is asked for in any case. Else that row could stay for ever: the
    answer that takes it back may be on its way, and be stale when it arrives, because the left row was
    changed once more. (Kafka Streams takes it for granted that an insert has nothing to take back.)
    """
    changed = before is not None and (after is None or after.encoded != before.encoded)
    if before is not None and changed:
        # Of the new subscription an answer comes; if there is none, of the old one.
        answered = left_outer or after is not None
        end = Instruction.DELETE_KEY_NO_PROPAGATE if answered else Instruction.DELETE_KEY_AND_PROPAGATE
        yield before.key, end
    if after is not None:
        certain = left_outer or changed or joined
        yield after.key, _ANSWER if certain else Instruction.PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE
    elif left_outer or (joined and not changed):
        # Without a foreign key nothing is kept; what matters is the answer that there is no row.
        yield None, _ANSWER


class _ForeignKey(NamedTuple):
    """The key of the right row that a left row belongs to, and the same as bytes."""

    key: Any
    encoded: bytes


def _foreign_keys(node: Subscribe) -> Callable[[Any, Any], _ForeignKey | None]:
    """Return what finds a row's foreign key; it raises a ProcessingError where the function fails."""
    function, serde = node.foreign_key, node.right_key
    encode = serde.serialize

    def foreign_key_of(key: Any, value: Any) -> _ForeignKey | None:
        try:
            foreign_key = function(key, value)
        except Exception as error:
            raise failed(node, function, error) from error
        if foreign_key is None:
            return None
        try:
            return _ForeignKey(foreign_key, encode(foreign_key))
        except Exception as error:
            raise unencodable(node, serde, foreign_key, error) from error

    return foreign_key_of


def _identifier(node: Subscribe) -> Callable[[Any, Any], tuple[bytes, bytes | None]]:
    """Return what makes a row's key into bytes, and its value, None if it is deleted, into a hash."""
    encode_key, hash_row = node.left_key.serialize, _row_hash(node)

    def identify(key: Any, value: Any) -> tuple[bytes, bytes | None]:
        try:
            primary_key = encode_key(key)
        except Exception as error:
            raise unencodable(node, node.left_key, key, error) from error
        return primary_key, None if value is None else hash_row(value)

    return identify


def build_answer_subscriptions(
    node: AnswerSubscriptions, context: OperatorContext, forward: Forward
) -> tuple[Forward, Forward]:
    """Forward, under primary keys, what the right row of a subscription is, and what it becomes."""
    store = context.store(node.subscriptions.name)
    answer = _answer(node, context, store, forward)
    return answer, _answer_all(node, context, store, forward)


def _answer(
    node: AnswerSubscriptions,
    context: OperatorContext,
    store: KeyValueStore[bytes, bytes],
    forward: Forward,
) -> Forward:
    """A subscription is kept, or forgotten, and answered as its instruction says."""
    get, prefix_of, encode_value = lookup(node.parents[1], context), _prefix(node), _right_encoder(node)
    put, fail = store.put_entry, context.fail

    def process(
        foreign_key: Any, subscription: Subscription | None, timestamp: int, headers: Headers
    ) -> None:
        if subscription is None:
            fail(_foreign(node, "subscription"))
            return
        instruction, partition, row_hash, primary_key = subscription
        row = value = None
        try:
            if foreign_key is not None:
                kept = None if instruction in _ENDS else _PARTITION.pack(partition) + (row_hash or b"")
                put(prefix_of(foreign_key) + primary_key, kept, timestamp, headers)
                row = get(foreign_key)
            if row is not None and instruction not in _ENDS:
                value = encode_value(row.value)
        except RecordError as error:
            fail(error)
            return
        if row is None and instruction is Instruction.PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE:
            return
        if instruction is not Instruction.DELETE_KEY_NO_PROPAGATE:
            latest = timestamp if row is None else max(timestamp, row.timestamp)
            forward(primary_key, Response(row_hash, value, partition), latest, headers)

    return process


def _answer_all(
    node: AnswerSubscriptions,
    context: OperatorContext,
    store: KeyValueStore[bytes, bytes],
    forward: Forward,
) -> Forward:
    """A right row that changes is told to all that belong to it, at its own time."""
    prefix_of, encode_value, fail = _prefix(node), _right_encoder(node), context.fail

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        if not change.is_latest:
            context.drop(node, "out of order, of a versioned table")
            return
        try:
            prefix = prefix_of(key)
            value = None if change.new is None else encode_value(change.new)
        except RecordError as error:
            fail(error)
            return
        for stored, entry in store.range_entries(prefix, after_prefix(prefix)):
            (partition,) = _PARTITION.unpack_from(entry.value)
            response = Response(entry.value[_PARTITION.size :], value, partition)
            forward(stored[len(prefix) :], response, timestamp, headers)

    return process


def _prefix(node: AnswerSubscriptions) -> Callable[[Any], bytes]:
    """Return what the subscriptions to a right row begin with: the length of its key, and the key.

    The primary key follows. Without the length, those of `ab` would be among those of `a`.
    """
    serde = node.right_key
    encode = serde.serialize

    def prefix_of(key: Any) -> bytes:
        try:
            key_bytes = encode(key)
        except Exception as error:
            raise unencodable(node, serde, key, error) from error
        return _LENGTH.pack(len(key_bytes)) + key_bytes

    return prefix_of


def _right_encoder(node: AnswerSubscriptions) -> Callable[[Any], bytes]:
    encode = node.right_value.serialize

    def encode_value(value: Any) -> bytes:
        try:
            return encode(value)
        except Exception as error:
            raise _unencodable_row(node, node.right_value, error) from error

    return encode_value


def build_foreign_key_result(
    node: ForeignKeyResult, context: OperatorContext, forward: Forward | None
) -> tuple[Forward, None]:
    """Join the left row with what an answer says, if it is still the row that the answer is for."""
    emit, get = emitter(node, context, forward), lookup(node.parents[1], context)
    decode, left_outer, fail = node.right_value.deserialize, node.left_outer, context.fail
    join, hash_row = of_new(node, node.joiner, node.joiner, context), _row_hash(node)

    def process(key: Any, response: Response | None, timestamp: int, headers: Headers) -> None:
        if key is None or response is None:
            fail(_foreign(node, "response"))
            return
        try:
            row = get(key)
            if response.hash != (None if row is None else hash_row(row.value)):
                context.drop(node, "stale answer")
                return
            right = None if response.value is None else decode(response.value)
        except RecordError as error:
            fail(error)
            return
        joined = None
        if row is not None and (right is not None or left_outer):
            joined = join(key, row.value, right)
        emit(key, Change(joined, None), timestamp, headers)

    # The left table's changes went to the right side: what comes of them comes back as an answer.
    return process, None


def _row_hash(node: Subscribe | ForeignKeyResult) -> Callable[[Any], bytes]:
    """Return what makes a left row's value into a hash of its bytes, the same on both ends."""
    encode = node.left_value.serialize

    def hash_row(value: Any) -> bytes:
        try:
            value_bytes = encode(value)
        except Exception as error:
            raise _unencodable_row(node, node.left_value, error) from error
        return blake2b(value_bytes, digest_size=_HASH_SIZE).digest()

    return hash_row


def _unencodable_row(node: Node, serde: Serde[Any], error: Exception) -> ProcessingError:
    return ProcessingError(
        f"{node} cannot encode a row's value as {serde.name}: {error}; give what makes the table the right "
        "value="
    )


def _foreign(node: Node, what: str) -> ProcessingError:
    """Nobody but another application's producer writes such a record to these topics."""
    return ProcessingError(f"{node}: a {what} needs a key and a value")
