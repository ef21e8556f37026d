"""What a broker says no to: who the application is, or what it does. Asking again changes nothing.

By itself the client would go on trying, and say only that nobody answers in time: it tells the reason to
a callback of its own, which `Reports` keeps until somebody asks.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

from pipeline.runtime.kafka.codes import Meaning, having

#: Of what cannot be done the broker's codes alone: the client says so, too, of what it goes on with.
_REFUSALS: Final = having(Meaning.REFUSED) | {
    code for code in having(Meaning.FATAL, Meaning.TAKEN) if code > 0
}

#: What says why a connection is not made, where the broker did not get as far as to say no.
_REASONS: Final = frozenset({KafkaError._TRANSPORT, KafkaError._RESOLVE})  # noqa: SLF001 (see above)

#: librdkafka's words.
_NO_TOKEN: Final = "Failed to acquire SASL OAUTHBEARER token"  # noqa: S105 (no token)


def is_refusal(error: KafkaError) -> bool:
    """Whether the broker says no, and will again."""
    return error.code() in _REFUSALS and not lacks_token(error)


def lacks_token(error: KafkaError) -> bool:
    """Whether who issues tokens (OAUTHBEARER) gave none: the next attempt may get one."""
    return _NO_TOKEN in error.str()


class Reports:
    """What a client says of its connections, beside the answers to requests: its `error_cb`."""

    def __init__(self) -> None:
        self._refusal: KafkaError | None = None
        self._reason: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take a report."""
        if is_refusal(error):
            self._refusal = error
        elif error.code() in _REASONS or lacks_token(error):
            self._reason = error

    def explained(self, error: KafkaError) -> KafkaError:
        """Return why nobody answered, if that was said since somebody did; else the error itself."""
        said = self._refusal or self._reason
        return error if said is None else said

    def answered(self) -> None:
        """Forget what was said: somebody answers."""
        self._refusal = self._reason = None
