//! The keys of the REST server: `[serve]` and the sections below it.

use super::keys::{KeySpec, Kind, Slot, key, seconds};

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

/// Every key of the server, in the order of the documentation.
pub(super) const SERVE_KEYS: &[KeySpec] = &[
    key(
        "serve.listen",
        Kind::Listen,
        "Where to listen. Anything but loopback needs TLS, or `--insecure-plaintext` behind a proxy.",
        |c| Slot::Listen(&mut c.serve.listen),
    ),
    key(
        "serve.tls_certificate",
        Kind::Path("no TLS"),
        "Certificate chain in PEM.",
        |c| Slot::Path(&mut c.serve.tls_certificate),
    ),
    key(
        "serve.tls_key",
        Kind::Path("no TLS"),
        "Private key of the certificate in PEM, readable by nobody else.",
        |c| Slot::Path(&mut c.serve.tls_key),
    ),
    key(
        "serve.tls_ocsp",
        Kind::Path("none"),
        "OCSP response about the certificate in DER, handed over with it; looked at every second, as the certificate.",
        |c| Slot::Path(&mut c.serve.tls_ocsp),
    ),
    key(
        "serve.names",
        Kind::Names,
        "Names under which the server is asked, besides its address and `localhost`; other `Host` headers are refused.",
        |c| Slot::Names(&mut c.serve.names),
    ),
    key(
        "serve.trusted_proxies",
        Kind::Networks,
        "Proxies whose `X-Forwarded-For` is believed.",
        |c| Slot::Networks(&mut c.serve.trusted_proxies),
    ),
    key(
        "serve.grace",
        seconds(1, 300),
        "How long running requests and operations may take when the server ends.",
        |c| Slot::Duration(&mut c.serve.grace),
    ),
    key(
        "serve.idempotency",
        seconds(60, 30 * 86_400),
        "How long the answer to a request with an `Idempotency-Key` is kept for its repeats.",
        |c| Slot::Duration(&mut c.serve.idempotency),
    ),
    key(
        "serve.limit.connections",
        count(1, 100_000),
        "Connections at the same time; more are closed unread.",
        |c| Slot::Count(&mut c.serve.limit.connections),
    ),
    key(
        "serve.limit.connections_per_address",
        count(1, 100_000),
        "Connections at the same time from one address; trusted proxies are not counted.",
        |c| Slot::Count(&mut c.serve.limit.connections_per_address),
    ),
    key(
        "serve.limit.header_time",
        Kind::Duration {
            min: 100,
            max: 600_000,
            zero: None,
        },
        "How long a connection may wait for the whole head of its next request, and the TLS handshake take.",
        |c| Slot::Duration(&mut c.serve.limit.header_time),
    ),
    key(
        "serve.limit.header_bytes",
        Kind::Bytes {
            min: 8 * 1024,
            max: 1024 * 1024,
        },
        "Bytes of the head of a request.",
        |c| Slot::Bytes(&mut c.serve.limit.header_bytes),
    ),
    key(
        "serve.limit.headers",
        count(8, 1000),
        "Fields of the head of a request.",
        |c| Slot::Count(&mut c.serve.limit.headers),
    ),
    key(
        "serve.limit.body_bytes",
        Kind::Bytes {
            min: 1024,
            max: 16 * 1024 * 1024,
        },
        "Bytes of the body of a request; a larger one is answered with 413.",
        |c| Slot::Bytes(&mut c.serve.limit.body_bytes),
    ),
    key(
        "serve.limit.body_time",
        Kind::Duration {
            min: 100,
            max: 600_000,
            zero: None,
        },
        "How long the body of a request may take to arrive; then 408.",
        |c| Slot::Duration(&mut c.serve.limit.body_time),
    ),
    key(
        "serve.limit.request_time",
        seconds(1, 600),
        "How long a request may take, waiting for an operation included; then 504.",
        |c| Slot::Duration(&mut c.serve.limit.request_time),
    ),
    key(
        "serve.limit.in_flight",
        count(1, 100_000),
        "Requests at the same time; more are answered with 503.",
        |c| Slot::Count(&mut c.serve.limit.in_flight),
    ),
    key(
        "serve.limit.in_flight_per_key",
        count(1, 100_000),
        "Requests at the same time with one key; more are answered with 429.",
        |c| Slot::Count(&mut c.serve.limit.in_flight_per_key),
    ),
    key(
        "serve.limit.in_flight_per_host",
        count(1, 100_000),
        "Requests at the same time that wait for one host; more are answered with 503.",
        |c| Slot::Count(&mut c.serve.limit.in_flight_per_host),
    ),
    key(
        "serve.limit.rate_per_key",
        count(1, 1_000_000),
        "Requests a second with one key, and as many at once; more are answered with 429.",
        |c| Slot::Count(&mut c.serve.limit.rate_per_key),
    ),
    key(
        "serve.limit.rate_per_address",
        count(1, 1_000_000),
        "Requests a second from one address, and as many at once; more are answered with 429.",
        |c| Slot::Count(&mut c.serve.limit.rate_per_address),
    ),
    key(
        "serve.limit.failures_per_address",
        count(1, 1_000_000),
        "Wrong keys a minute from one address; then it is answered with 429 for a while.",
        |c| Slot::Count(&mut c.serve.limit.failures_per_address),
    ),
    key(
        "serve.limit.registrations_per_address",
        count(1, 1_000_000),
        "Users made an hour from one address, where anybody may make one.",
        |c| Slot::Count(&mut c.serve.limit.registrations_per_address),
    ),
    key(
        "serve.limit.dials_per_user",
        count(1, 1_000_000),
        "Hosts that one user may add or move a minute.",
        |c| Slot::Count(&mut c.serve.limit.dials_per_user),
    ),
    key(
        "serve.limit.hosts_per_profile",
        count(1, 10_000),
        "Hosts that a profile may have; one more over the API is answered with 409.",
        |c| Slot::Count(&mut c.serve.limit.hosts_per_profile),
    ),
    key(
        "serve.limit.credentials_per_profile",
        count(1, 20_000),
        "Credentials that a profile may have; one more over the API is answered with 409.",
        |c| Slot::Count(&mut c.serve.limit.credentials_per_profile),
    ),
    key(
        "serve.limit.event_readers",
        count(1, 100_000),
        "Readers of the event stream at the same time; more are answered with 503.",
        |c| Slot::Count(&mut c.serve.limit.event_readers),
    ),
    key(
        "serve.limit.event_buffer",
        count(1, 10_000),
        "Events kept for a slow reader before it is cut off.",
        |c| Slot::Count(&mut c.serve.limit.event_buffer),
    ),
    key(
        "serve.limit.fleets",
        count(1, 100_000),
        "Profiles served at the same time.",
        |c| Slot::Count(&mut c.serve.limit.fleets),
    ),
    key(
        "serve.bot.profile",
        Kind::Text,
        "The profile whose VMs the bot contract is about.",
        |c| Slot::Text(&mut c.serve.bot.profile),
    ),
    key(
        "serve.bot.api_key_file",
        Kind::Path("the variable API_KEY; without either the contract is off"),
        "File with the bot's key, readable by nobody else.",
        |c| Slot::Path(&mut c.serve.bot.api_key_file),
    ),
    key(
        "serve.bot.hmac_secret_file",
        Kind::Path("the variable HMAC_SECRET; without either no signature is asked for"),
        "File with the secret of the bot's signatures, readable by nobody else.",
        |c| Slot::Path(&mut c.serve.bot.hmac_secret_file),
    ),
    key(
        "serve.bot.allow",
        Kind::Networks,
        "Who may use the bot contract; empty: the variable ALLOW_IP, and without that everybody.",
        |c| Slot::Networks(&mut c.serve.bot.allow),
    ),
    key(
        "serve.bot.post_window",
        seconds(1, 3600),
        "How far the timestamp of a signed POST may be from now.",
        |c| Slot::Duration(&mut c.serve.bot.post_window),
    ),
    key(
        "serve.bot.get_window",
        seconds(1, 3600),
        "How far the timestamp of a signed GET may be from now.",
        |c| Slot::Duration(&mut c.serve.bot.get_window),
    ),
    key(
        "serve.compat.open_registration",
        Kind::Flag,
        "Anybody may make a user with `POST /users`; only on loopback, with TLS, or behind a trusted proxy.",
        |c| Slot::Flag(&mut c.serve.compat.open_registration),
    ),
    key(
        "serve.compat.credential_export",
        Kind::Flag,
        "Private keys may be read back with `GET /agents/{id}/credentials`; every use is audited.",
        |c| Slot::Flag(&mut c.serve.compat.credential_export),
    ),
    key(
        "serve.dial.allow",
        Kind::Networks,
        "Loopback, link-local, multicast and the server's own addresses are refused for hosts added over the API, except these.",
        |c| Slot::Networks(&mut c.serve.dial_allow),
    ),
    key(
        "serve.hmac.require_v2",
        Kind::Flag,
        "Accept only requests with the second signature.",
        |c| Slot::Flag(&mut c.serve.require_v2),
    ),
];
