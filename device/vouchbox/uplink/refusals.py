"""Why the broker is not reached, as one sentence that says what to do.

Pure: exceptions, log lines and reason codes in, a BrokerError out. No certificate content is quoted.
"""

from __future__ import annotations

import socket
import ssl

from vouchbox.errors import BrokerError

# X509_V_ERR_* of OpenSSL
_EXPIRED, _NOT_YET, _HOSTNAME, _ADDRESS = 10, 9, 62, 64
_UNTRUSTED = (18, 19, 20, 21)

_ALERTS = (
    ("CERTIFICATE_EXPIRED", "the broker says that this box's certificate has expired", "issue a new one"),
    (
        "CERTIFICATE_REQUIRED",
        "the broker wants a client certificate and got none",
        "set uplink.certificate and uplink.key",
    ),
    (
        "UNKNOWN_CA",
        "the broker does not know the authority of this box's certificate",
        "have it issued by the broker's CA",
    ),
    ("CERTIFICATE_REVOKED", "the broker says that this box's certificate is revoked", "issue a new one"),
    ("BAD_CERTIFICATE", "the broker does not accept this box's certificate", "issue a new one"),
    (
        "PROTOCOL_VERSION",
        "the broker does not speak TLS 1.3",
        "set tls_version tlsv1.3 on the broker, for older versions are not used",
    ),
    (
        "UNSUPPORTED_PROTOCOL",
        "the broker does not speak TLS 1.3",
        "set tls_version tlsv1.3 on the broker, for older versions are not used",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "what answers there does not speak TLS",
        "give the port of the broker's TLS listener",
    ),
)

_CODES = {
    0x80: ("the broker refused the connection", "look into its log"),
    0x84: ("the broker does not speak MQTT 5", "use a broker that does"),
    0x85: ("the broker refuses this client id", "allow it, or rename the box"),
    0x86: ("the broker refuses this box's identity", "check the certificate's common name"),
    0x87: ("the broker does not authorise this box", "check its ACL and the certificate's common name"),
    0x88: ("the broker is unavailable", "wait, or look into its log"),
    0x89: ("the broker is busy", "wait, or add capacity"),
    0x8A: ("the broker has banned this box", "look into its log"),
    0x8B: ("the broker shut down", "start it again"),
    0x8D: ("the broker heard nothing for too long", "check the network"),
    0x8E: ("another client connected with this box's name", "give every box its own name and certificate"),
    0x95: ("the broker found a packet too large", "raise its max_packet_size to 16384"),
    0x97: ("the broker's quota is exceeded", "raise its limits"),
}


def unreachable(problem: Exception, where: str) -> BrokerError:
    """The sentence for an exception while connecting to `where` (`host:port`)."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return _certificate(problem, where)
    if isinstance(problem, ssl.SSLError):
        return lost(str(problem), where)
    if isinstance(problem, socket.gaierror):
        return BrokerError(f"the name of the broker {where} can't be resolved", "check uplink.host and DNS")
    if isinstance(problem, ConnectionRefusedError):
        return BrokerError(f"nothing answers at {where}", "start the broker, or correct uplink.host and port")
    if isinstance(problem, TimeoutError):
        return BrokerError(f"the broker {where} does not answer", "check the network and the firewall")
    return BrokerError(f"the broker {where} can't be reached ({type(problem).__name__})", "check the network")


def lost(trace: str, where: str) -> BrokerError:
    """The sentence for a connection that broke; `trace` is OpenSSL's or paho's line about it, or empty."""
    line = trace.upper().replace(" ", "_")
    for alert, what, fix in _ALERTS:
        if alert in line:
            return BrokerError(f"{what} ({where})", fix)
    if "SSL" in line and "EOF" not in line:
        return BrokerError(f"TLS with the broker {where} failed", "look into the broker's log")
    return BrokerError(f"the connection to the broker {where} broke", "wait, or look into the broker's log")


def refused(reason_code: int, where: str) -> BrokerError:
    """The sentence for a reason code of CONNACK or DISCONNECT (MQTT 5, 2.4)."""
    what, fix = _CODES.get(
        reason_code, (f"the broker refused with reason 0x{reason_code:02x}", "look into its log")
    )
    return BrokerError(f"{what} ({where})", fix)


def _certificate(problem: ssl.SSLCertVerificationError, where: str) -> BrokerError:
    if problem.verify_code == _EXPIRED:
        return BrokerError(f"the certificate of the broker {where} has expired", "renew it")
    if problem.verify_code == _NOT_YET:
        return BrokerError(
            f"the certificate of the broker {where} is not valid yet", "set this box's clock (NTP)"
        )
    if problem.verify_code in (_HOSTNAME, _ADDRESS):
        return BrokerError(
            f"the certificate of the broker {where} is for another name",
            "correct uplink.host, or issue the certificate for that name",
        )
    if problem.verify_code in _UNTRUSTED:
        return BrokerError(
            f"the certificate of the broker {where} comes from an unknown authority",
            "put the broker's CA into uplink.ca; if it should be there, someone may be in between",
        )
    return BrokerError(f"the certificate of the broker {where} does not verify", "renew it")
