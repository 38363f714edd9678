//! What was captured or changed on the way: ten thousand changed requests under each signature, and a
//! thousand captured ones sent again. Not one is accepted.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use jiff::SignedDuration;

use crate::rig::{Rig, bot_request, signed};
use crate::signatures::{actions, now, second, signing};

/// How many changed requests are sent under each signature.
const CHANGED: usize = 10_000;

/// How many requests are captured.
const CAPTURED: usize = 1_000;

/// Numbers that look drawn and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let sides = u64::try_from(sides).expect("a number of sides");
        usize::try_from(self.0 % sides).expect("less than sides")
    }

    /// Flips one bit of a text; the highest of a byte stays, so that it remains one.
    fn flip(&mut self, text: &mut String) {
        let mut bytes = text.clone().into_bytes();
        let at = self.roll(bytes.len());
        bytes[at] ^= 1 << self.roll(7);
        *text = String::from_utf8(bytes).expect("seven bits");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_changed_requests_under_the_old_signature_are_refused() {
    let (rig, clock) = signing(|_| {}).await;
    let at = now(&clock);
    let right = signed("POST", "/vm/web-1/restart", "{}", &at);
    let signature = right.headers()["x-signature"].to_str().unwrap().to_owned();
    let mut dice = Dice(0x0815_4711);
    let mut sent = 0;
    while sent < CHANGED {
        let (mut body, mut stamp, mut sign) = ("{}".to_owned(), at.clone(), signature.clone());
        match sent % 4 {
            0 => dice.flip(&mut sign),
            1 => dice.flip(&mut body),
            2 => dice.flip(&mut stamp),
            _ => {
                // The border between the two moves: what is signed stays the same.
                let whole = format!("{body}{stamp}");
                let cut = dice.roll(whole.len() + 1);
                if cut == body.len() {
                    continue;
                }
                let (front, rest) = whole.split_at(cut);
                (body, stamp) = (front.to_owned(), rest.to_owned());
            }
        }
        let mut request = bot_request("POST", "/vm/web-1/restart", &body);
        let headers = request.headers_mut();
        // What no header can hold cannot be sent: then it is missing.
        if let Ok(value) = stamp.parse() {
            headers.insert("x-timestamp", value);
        }
        if let Ok(value) = sign.parse() {
            headers.insert("x-signature", value);
        }
        let told = rig.send(request).await;
        assert_eq!(
            told.status,
            StatusCode::UNAUTHORIZED,
            "{body:?} {stamp:?} {sign:?}: {}",
            told.text
        );
        sent += 1;
    }
    assert_eq!(actions(&rig, &clock).await, 0);
    // What was not changed is taken still.
    rig.send(right).await.expect(200);
    rig.end().await;
}

/// A request under the second signature, as text, so that any part of it can be changed.
#[derive(Debug, Clone)]
struct Sent {
    method: String,
    path: String,
    query: String,
    body: String,
    headers: Vec<(&'static str, String)>,
}

impl Sent {
    fn of(request: &Request<Body>, body: &str) -> Self {
        const SIGNED: [&str; 7] = [
            "x-key-id",
            "x-timestamp",
            "x-nonce",
            "x-content-sha256",
            "x-signature",
            "content-type",
            "host",
        ];
        let header = |name| {
            let value = request.headers()[name].to_str().expect("text");
            (name, value.to_owned())
        };
        Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            body: body.to_owned(),
            headers: SIGNED.map(header).to_vec(),
        }
    }

    /// The request; `None` when it cannot be written as one.
    fn request(&self) -> Option<Request<Body>> {
        let mut made = Request::builder()
            .method(self.method.as_str())
            .uri(format!("{}?{}", self.path, self.query))
            .header("x-api-key", crate::rig::API_KEY)
            .header("x-signature-version", "2");
        for (name, value) in &self.headers {
            made = made.header(*name, value);
        }
        made.body(Body::from(self.body.clone())).ok()
    }

    /// Changes one part of it.
    fn change(&mut self, dice: &mut Dice, kind: usize) {
        match kind {
            0 => dice.flip(&mut self.method),
            1 => dice.flip(&mut self.path),
            2 => dice.flip(&mut self.query),
            3 => dice.flip(&mut self.body),
            4 => {
                let others = [
                    "/vm/web-1/start",
                    "/vm/web-1/shutdown",
                    "/vm/deaf/restart",
                    "/vm/WEB-1/restart",
                    "/vm/web%2D1/restart",
                ];
                others[dice.roll(others.len())].clone_into(&mut self.path);
            }
            5 => {
                // The border between two parts moves: what stands there is the same without it.
                let (first, second) = [(1, 2), (2, 3), (0, 1)][dice.roll(3)];
                let whole = format!("{}{}", self.headers[first].1, self.headers[second].1);
                let cut = dice.roll(whole.len() + 1);
                let (front, rest) = whole.split_at(cut);
                front.clone_into(&mut self.headers[first].1);
                rest.clone_into(&mut self.headers[second].1);
            }
            6 => {
                // All but `host`, which stands last: no request comes without.
                let at = dice.roll(self.headers.len() - 1);
                self.headers.remove(at);
            }
            _ => {
                let at = dice.roll(self.headers.len());
                dice.flip(&mut self.headers[at].1);
            }
        }
    }

    fn is(&self, other: &Self) -> bool {
        self.method == other.method
            && self.path == other.path
            && self.query == other.query
            && self.body == other.body
            && self.headers == other.headers
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_changed_requests_under_the_second_signature_are_refused() {
    let (rig, clock) = signing(|_| {}).await;
    let millis = clock.now().as_millisecond();
    let target = "/vm/web-1/restart?host=kvm1&b=2";
    let original = second("POST", target, "{}", millis, "never-used-before-001");
    let right = Sent::of(&original, "{}");
    let mut dice = Dice(0x2026_0101);
    let mut sent = 0;
    while sent < CHANGED {
        let mut other = right.clone();
        other.change(&mut dice, sent % 14);
        let request = if other.is(&right) {
            None
        } else {
            other.request()
        };
        let Some(request) = request else {
            continue;
        };
        let told = rig.send(request).await;
        assert!(
            told.status.is_client_error(),
            "{other:?}: {} {}",
            told.status,
            told.text
        );
        sent += 1;
    }
    assert_eq!(actions(&rig, &clock).await, 0);
    // What was not changed is taken still, and its nonce was not used up.
    rig.send(right.request().unwrap()).await.expect(200);
    rig.end().await;
}

/// The captured request of a number: every other one acts, on a VM that nobody has.
fn captured(n: usize, millis: i64) -> Request<Body> {
    let nonce = format!("captured-nonce-{n:06}");
    if n.is_multiple_of(2) {
        second("GET", "/vm/web-1/state", "", millis, &nonce)
    } else {
        second("POST", "/vm/nobody/start", "{}", millis, &nonce)
    }
}

/// Sends one for the first time: it is taken.
async fn send_first(rig: &Rig, n: usize, millis: i64) {
    let status = if n.is_multiple_of(2) { 200 } else { 404 };
    rig.send(captured(n, millis)).await.expect(status);
}

/// Sends all of them once more in a drawn order; `before` is called before each.
async fn send_again(rig: &Rig, dice: &mut Dice, times: &[i64], before: impl Fn(&mut Dice)) {
    let mut order: Vec<usize> = (0..times.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.roll(at + 1));
    }
    for n in order {
        before(dice);
        let told = rig.send(captured(n, times[n])).await;
        assert_eq!(told.status, StatusCode::UNAUTHORIZED, "{n}: {}", told.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_captured_requests_are_never_taken_again() {
    let (rig, clock) = signing(|_| {}).await;
    let mut dice = Dice(0x5eed);
    let mut times = Vec::with_capacity(CAPTURED);
    for n in 0..CAPTURED {
        let age = i64::try_from(dice.roll(5_000)).unwrap();
        let millis = clock.now().as_millisecond() - age;
        times.push(millis);
        send_first(&rig, n, millis).await;
    }
    // At any moment within the window: fifty seconds pass meanwhile.
    let step = SignedDuration::from_millis(50);
    send_again(&rig, &mut dice, &times, |_| clock.advance(step)).await;
    // After steps of the clock: forth, back into the window, and back before it.
    for minutes in [10, -10, -10, 10] {
        clock.advance(SignedDuration::from_mins(minutes));
        send_again(&rig, &mut dice, &times, |_| {}).await;
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_within_the_window_takes_no_captured_request() {
    let (mut rig, clock) = signing(|_| {}).await;
    let mut dice = Dice(0x0ff0);
    let times = vec![clock.now().as_millisecond(); CAPTURED];
    for (n, millis) in times.iter().enumerate() {
        send_first(&rig, n, *millis).await;
    }
    clock.advance(SignedDuration::from_millis(1));
    rig.forget_signatures();
    send_again(&rig, &mut dice, &times, |_| {}).await;
    // It is the old ones that are refused: a new one is taken.
    let fresh = second(
        "GET",
        "/vm/web-1/state",
        "",
        clock.now().as_millisecond(),
        "a-nonce-after-the-start",
    );
    rig.send(fresh).await.expect(200);
    rig.end().await;
}
