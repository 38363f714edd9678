//! Every ceiling of the server is a key of the configuration, stands in `docs/serve.md`, and has a test
//! that goes beyond it.

use std::collections::BTreeSet;
use std::path::Path;

/// The keys of `[serve.limit]`, each with the file of its test and the test.
const TESTED: &[(&str, &str, &str)] = &[
    (
        "connections",
        "serve/listener.rs",
        "a_thousand_connections_are_held_and_more_are_closed_unread",
    ),
    (
        "connections_per_address",
        "serve/listener.rs",
        "one_address_has_its_own_ceiling",
    ),
    (
        "header_time",
        "serve/listener.rs",
        "w6_half_open_and_dribbling_clients_are_let_go_and_keep_nobody_waiting",
    ),
    (
        "header_bytes",
        "serve/listener.rs",
        "a_head_has_a_size_and_a_number_of_fields",
    ),
    (
        "headers",
        "serve/listener.rs",
        "a_head_has_a_size_and_a_number_of_fields",
    ),
    (
        "body_bytes",
        "serve/door.rs",
        "a_body_has_a_size_and_a_time",
    ),
    ("body_time", "serve/door.rs", "a_body_has_a_size_and_a_time"),
    (
        "request_time",
        "serve/door.rs",
        "a_request_has_a_time_and_a_panic_tells_nothing",
    ),
    (
        "in_flight",
        "serve/door.rs",
        "requests_at_the_same_time_and_from_one_address_have_a_ceiling",
    ),
    (
        "in_flight_per_key",
        "serve/door.rs",
        "one_key_has_its_rate_and_its_places_and_takes_none_of_anothers",
    ),
    (
        "in_flight_per_host",
        "v1/hanging.rs",
        "a_crowd_that_asks_for_a_host_that_hangs_takes_nothing_from_the_others",
    ),
    (
        "rate_per_key",
        "serve/door.rs",
        "one_key_has_its_rate_and_its_places_and_takes_none_of_anothers",
    ),
    (
        "rate_per_address",
        "serve/door.rs",
        "requests_at_the_same_time_and_from_one_address_have_a_ceiling",
    ),
    (
        "failures_per_address",
        "serve/door.rs",
        "wrong_keys_are_answered_late_at_last_and_right_ones_still_get_in",
    ),
    (
        "registrations_per_address",
        "serve_contract/weaknesses.rs",
        "open_registration_is_a_switch_with_a_rate",
    ),
    (
        "dials_per_user",
        "v1/keeping.rs",
        "a_client_cannot_make_the_server_dial_itself",
    ),
    (
        "hosts_per_profile",
        "v1/keeping.rs",
        "a_profile_has_so_many_hosts_and_credentials_and_no_more",
    ),
    (
        "credentials_per_profile",
        "v1/keeping.rs",
        "a_profile_has_so_many_hosts_and_credentials_and_no_more",
    ),
    (
        "event_readers",
        "v1/events.rs",
        "places_are_bounded_and_a_slow_reader_is_let_go",
    ),
    (
        "event_buffer",
        "v1/events.rs",
        "places_are_bounded_and_a_slow_reader_is_let_go",
    ),
    (
        "fleets",
        "serve/door.rs",
        "so_many_profiles_are_served_at_once_and_no_more",
    ),
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The keys of a section of the example, where each stands with `#` before it.
fn keys(example: &str, section: &str) -> BTreeSet<String> {
    let head = format!("[{section}]");
    let rest = example.split(&head).nth(1).expect("the section");
    let lines = rest
        .lines()
        .skip(1)
        .take_while(|line| !line.trim_start_matches("# ").starts_with('['));
    lines
        .filter_map(|line| line.trim_start_matches(['#', ' ']).split_once(" = "))
        .map(|(key, _)| key.to_owned())
        .filter(|key| {
            key.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
        .collect()
}

#[test]
fn every_ceiling_is_configurable_documented_and_tested() {
    let configurable = keys(&read("config.example.toml"), "serve.limit");
    let tested: BTreeSet<String> = TESTED.iter().map(|(key, _, _)| (*key).to_owned()).collect();
    assert_eq!(configurable, tested);
    let documented = read("docs/serve.md");
    for (key, file, test) in TESTED {
        assert!(
            documented.contains(&format!("`{key}`")),
            "{key} is not in docs/serve.md"
        );
        let source = read(&format!("tests/{file}"));
        assert!(
            source.contains(&format!("fn {test}(")),
            "{key}: there is no {test} in {file}"
        );
        let set = source.contains(&format!("limit.{key} ")) || source.contains(&format!("{key} ="));
        assert!(set, "{test} does not set {key}");
    }
}
