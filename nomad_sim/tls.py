"""TLS for what listens."""

from __future__ import annotations

import ssl


class _AlertingSSLObject(ssl.SSLObject):
    """The server's side of a handshake that lets the client know why it failed.

    The event loops close the connection at the error, and the alert that OpenSSL has written is never sent. Here a
    handshake that failed only never ends: the alert is sent as any other record, and the connection ends when the
    client has read it, or with the time that a handshake may take.
    """

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the handshake goes on") from error


def tls_context(cert_file: str, key_file: str, client_ca_file: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later with this certificate and key, all of them PEM files.

    With ``client_ca_file`` every client must show a certificate of that CA, and no other CA is trusted. Raises OSError
    where a file cannot be read or is none of PEM (ssl.SSLError).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = _AlertingSSLObject
    context.load_cert_chain(cert_file, key_file)
    if client_ca_file is not None:
        context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
