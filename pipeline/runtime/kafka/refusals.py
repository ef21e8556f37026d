"""What a broker says no to: who the application is, or what it does. Asking again changes nothing.

By itself the client would go on trying, and say only that nobody answers in time: it tells the reason to
a callback of its own, which `Reports` keeps until somebody asks.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

from pipeline.errors import BrokerRefusedError

_AUTHENTICATION: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
_AUTHORIZATION: Final = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_TLS: Final = frozenset({KafkaError._SSL})  # noqa: SLF001 (see above)

_REFUSALS: Final = _AUTHENTICATION | _AUTHORIZATION | _TLS

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


def refusal(error: KafkaError, address: str, what: str) -> BrokerRefusedError:
    """Return this library's error for a refusal.

    Args:
        error: a refusal.
        address: of the cluster.
        what: what was being done, to be named in the message.
    """
    code, reason = error.code(), f"{error.name()}: {error.str()}"
    if code in _AUTHORIZATION:
        return BrokerRefusedError(
            f"{what}: {address} does not allow it ({reason}); `faust -A <app> acl` prints the rights that "
            "are needed"
        )
    if code in _TLS:
        return BrokerRefusedError(
            f"{what}: no secure connection to {address} ({reason}); check that ssl.ca.location names the "
            "certificate of who signed the broker's, and that the broker speaks TLS at this port"
        )
    return BrokerRefusedError(
        f"{what}: {address} does not accept who the application says it is ({reason}); check the user, the "
        "password and sasl.mechanisms, in broker_credentials= or broker_settings="
    )


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
