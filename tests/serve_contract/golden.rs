//! The old clients' requests word for word: `tests/fixtures/serve_contract/v1.txt`. What they sign is taken, and what they get is
//! the same to the byte.

use axum::body::Body;
use axum::http::Request;

use crate::rig::{API_KEY, Rig, request};
use crate::signatures::{actions, signing};

const TABLE: &str = include_str!("../fixtures/serve_contract/v1.txt");

/// One request, and the answer to it.
#[derive(Debug)]
struct Row<'a> {
    call: &'a str,
    timestamp: &'a str,
    signature: &'a str,
    body: String,
    answer: &'a str,
}

impl<'a> Row<'a> {
    /// Reads a block of five lines.
    fn read(block: &'a str) -> Self {
        let mut lines = block.lines().filter(|line| !line.starts_with('#'));
        let mut next = |label: &str| {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("{label} is missing in {block}"));
            let rest = line.strip_prefix(label);
            rest.unwrap_or_else(|| panic!("{line:?} is no {label}"))
                .trim()
        };
        Self {
            call: next(""),
            timestamp: next("  x-timestamp:"),
            signature: next("  x-signature:"),
            body: next("  body:").replace("\\n", "\n"),
            answer: next("  ->"),
        }
    }

    fn request(&self) -> Request<Body> {
        let (method, target) = self.call.split_once(' ').expect("a method and a target");
        let made = request(method, target)
            .header("x-api-key", API_KEY)
            .header("x-timestamp", self.timestamp)
            .header("x-signature", self.signature);
        made.body(Body::from(self.body.clone())).expect("a request")
    }
}

fn table() -> Vec<Row<'static>> {
    TABLE
        .split("\n\n")
        .filter(|block| {
            block
                .lines()
                .any(|line| !line.starts_with('#') && !line.is_empty())
        })
        .map(Row::read)
        .collect()
}

async fn answer(rig: &Rig, row: &Row<'_>) -> String {
    let told = rig.send(row.request()).await;
    format!("{} {}", told.status.as_u16(), told.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_requests_of_the_old_clients_are_answered_byte_for_byte() {
    let (rig, clock) = signing(|_| {}).await;
    let rows = table();
    assert_eq!(rows.len(), 60);
    let mut wrong = Vec::new();
    for row in &rows {
        let told = answer(&rig, row).await;
        if told != row.answer {
            wrong.push(format!("{}\n  -> {told}\n  not {}", row.call, row.answer));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Three starts, one restart and three shutdowns were sent to hosts, each once, though every start and the
    // restart were asked for twice.
    assert_eq!(actions(&rig, &clock).await, 7);
    rig.end().await;
}

#[test]
fn the_table_holds_what_it_is_there_for() {
    let rows = table();
    // Three starts in one second carry one signature.
    let starts: Vec<&Row<'_>> = rows
        .iter()
        .filter(|row| row.timestamp == "1767268811" && row.call.ends_with("/start"))
        .collect();
    assert_eq!(starts.len(), 6);
    assert!(
        starts
            .iter()
            .all(|row| row.signature == starts[0].signature)
    );
    for (first, again) in starts.iter().zip(starts.iter().skip(3)) {
        assert_eq!((first.call, first.answer), (again.call, again.answer));
    }
    // Every form of a timestamp that clients send.
    for form in [
        ".5",
        ".125",
        ".123456",
        "Z",
        "+00:00",
        ".250Z",
        ".123456+00:00",
    ] {
        assert!(
            rows.iter().any(|row| row.timestamp.ends_with(form)),
            "{form}"
        );
    }
    assert!(
        rows.iter()
            .filter(|row| row.answer.starts_with("200 "))
            .count()
            >= 45
    );
}
