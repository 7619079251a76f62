"""An MQTT broker: where it is, and a connection to it."""

import logging
import ssl
from dataclasses import dataclass

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_TIMEOUT_S = 10.0
_MOST_QUEUED = 100  # messages that came in and wait to be read
_PACKET_BYTES = 65_536  # the broker sends nothing longer
_UNSPECIFIED = 128  # a reason code of MQTT 5, which the library also gives where there was none
_QUIET = logging.getLogger("tinyhark.mqtt.library")
_QUIET.disabled = True  # what matters of it is told by the output


@dataclass(frozen=True)
class Broker:
    """Where to publish; topic: of all of it; discovery: the prefix that Home Assistant looks below, "" for none.

    keep_s: an event that could not be published for so long is dropped: nobody wants the light on an hour later.
    """

    host: str
    port: int
    user: str | None
    password: str | None
    tls: ssl.SSLContext | None
    topic: str
    discovery: str
    keep_s: float

    @property
    def place(self) -> str:
        """For log lines."""
        return f"{self.host}:{self.port}"

    @property
    def available(self) -> str:
        """The topic that says whether the daemon is there."""
        return f"{self.topic}/available"

    def client(self, identifier: str) -> aiomqtt.Client:
        """A connection, to be entered; the broker ends another one of the same identifier."""
        limit = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        limit.MaximumPacketSize = _PACKET_BYTES
        return aiomqtt.Client(
            self.host,
            self.port,
            username=self.user,
            password=self.password,
            identifier=identifier,
            will=aiomqtt.Will(self.available, "offline", qos=1, retain=True),
            tls_context=self.tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            properties=limit,
            timeout=_TIMEOUT_S,
            max_queued_incoming_messages=_MOST_QUEUED,
            logger=_QUIET,
        )


def reason(error: Exception) -> str:
    """Why there is no connection, for a log line."""
    cause = error.__cause__ or error
    if not isinstance(cause, aiomqtt.MqttCodeError):
        return str(error).strip() or type(error).__name__
    told = isinstance(cause.rc, ReasonCode) and cause.rc.value != _UNSPECIFIED
    return str(cause.rc) if told else "the connection was lost"
