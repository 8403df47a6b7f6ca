"""An authority, a leaf and a clinic's key made by openssl and ssh-keygen, with the fingerprints they print."""

from __future__ import annotations

from dermafed.shared.protocol.invitation import Invitation

CA = """\
-----BEGIN CERTIFICATE-----
MIIBxjCCAUygAwIBAgIUJQHIqiwtVyHckgINBgoG4DAmavgwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIzMDE1NzU5WhgPMjEy
NjEwMzAwMTU3NTlaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MHYwEAYHKoZI
zj0CAQYFK4EEACIDYgAE8cNggDt8RZ6uqyk72JqBXdVkKDyzh+JB3Mrw6WBU+hhu
jNIC8W7OdYQX8YQmALdbQzLsva3U4NWsge/FR3E33Ypy+DJR1chgQ0vNIRKxDiVN
rHltaQZUJNBR40LloySao1MwUTAdBgNVHQ4EFgQU/rA5gh9CcKmyc1iw8gCJszz8
xXUwHwYDVR0jBBgwFoAU/rA5gh9CcKmyc1iw8gCJszz8xXUwDwYDVR0TAQH/BAUw
AwEB/zAKBggqhkjOPQQDAgNoADBlAjAdsUrrbk6fhS78JfnFXgsEV4ISoepBMLA/
YOYGH+nM/hyGkByv1vjwJqDyGxwTu3kCMQDDUbTBlJKnLM5JeV1qcmGLYwYdQrcE
KVIHtfXFE50hFJ6ReKP+frk2kuMpYFSisAQ=
-----END CERTIFICATE-----
"""
CA_FINGERPRINT = "a8f6 d79e aa57 ff9e 9e3d a396 8f78 016e d12c fb3f 1865 5385 6d27 9914 7193 0004"

LEAF = """\
-----BEGIN CERTIFICATE-----
MIIBsDCCATWgAwIBAgIUUlchWd1t/oKsEfH/watB8EJs6bgwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbGVhZjAgFw0yNjExMjMwMTU3NTlaGA8yMTI2MTAzMDAxNTc1
OVowDzENMAsGA1UEAwwEbGVhZjB2MBAGByqGSM49AgEGBSuBBAAiA2IABEOloT4x
oHFrQHzhQeF5I/7bDj2joPZavTraFihKqq1HDoXd3UAxWNHfAz8qy4QMRaqGRybu
QFZAqCkPyGXUShu3km0CsrCTeeOJRSQany7wz53jH5lwhkC76evZJLfKSqNQME4w
HQYDVR0OBBYEFItuxJQLE5Nua2iUfQGGGzyLnEpkMB8GA1UdIwQYMBaAFItuxJQL
E5Nua2iUfQGGGzyLnEpkMAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDaQAwZgIx
ALHzyrHDFC55bRkXrHwJPRk/q2X5ENSh++2fOQp6yMwBUzeEshL1zP7U2u33dXsk
HAIxAM4FMhu3ODvGA7Rdm+JmcLThZPq0e3mLiTnd3VCTXqeAZamOH38HVKF+uJVW
wucffQ==
-----END CERTIFICATE-----
"""

KEY = (
    "ecdsa-sha2-nistp384 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBFnF4yjkZCVVu0s4ISe2qwX5jxapYeF0Y5pC5Z"
    "Vz+XyOoWf05dYwyoZIgX0+CJ5k4aVmGDd4CXrPm8aObUUAe1jkTgRZx+hL/HbfzC11ZsL/fkV+g3GaFiW72QtThN2S"
    "sw=="
)
KEY_FINGERPRINT = "SHA256:VEo07yhDTOLopWctNyes9N2019wfvI1vvI8xo7IM4Y4"
KEY_PEM = b"""\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEWcXjKORkJVW7SzghJ7arBfmPFqlh4XRj
mkLllXP5fI6hZ/Tl1jDKhkiBfT4InmThpWYYN3gJes+bxo5tRQB7WOROBFnH6Ev8
dt/MLXVmwv9+RX6DcZoWJbvZC1OE3ZKz
-----END PUBLIC KEY-----
"""

P256 = (
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBD3wQuFYfy42b/xAvoQvIVYyuSWqAqpoI8zNtm"
    "wNmqMZ+b7OD4Zjeicy2c+gIlkeAN6R7t4OUtM+VjJ2SkKfNbw="
)
"""A key of another curve."""


def an_invitation() -> Invitation:
    return Invitation("alps", "derma.example.org:9443", "graz", KEY_FINGERPRINT, CA, CA_FINGERPRINT)
