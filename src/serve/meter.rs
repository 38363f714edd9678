//! What the server counts about itself: the base of `/metrics`. Labels are words of ours, so their
//! number does not depend on what clients send.

use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the time of a request, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    path: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PathLabels {
    method: &'static str,
    path: String,
}

type Times = Family<PathLabels, Histogram, fn() -> Histogram>;

/// The counters.
pub struct Meter {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    times: Times,
    /// Connections that are open.
    pub connections: Gauge<i64, AtomicI64>,
    /// Connections that were closed unread because there were too many.
    pub turned_away: Counter,
    /// Readers of the event stream.
    pub event_readers: Gauge<i64, AtomicI64>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// Begins at zero.
    pub fn new() -> Self {
        let requests = Family::<RequestLabels, Counter>::default();
        let times = Times::new_with_constructor(|| Histogram::new(BUCKETS));
        let connections = Gauge::default();
        let turned_away = Counter::default();
        let event_readers = Gauge::default();
        let mut registry = Registry::with_prefix("vmdeck");
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_seconds",
            "Time from the whole head of a request to the head of its answer",
            times.clone(),
        );
        registry.register("http_connections", "Connections open", connections.clone());
        registry.register(
            "http_connections_refused",
            "Connections closed unread because there were too many",
            turned_away.clone(),
        );
        registry.register(
            "http_event_readers",
            "Readers of the event stream",
            event_readers.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            requests,
            times,
            connections,
            turned_away,
            event_readers,
        }
    }

    /// Adds more to be counted, under the same prefix.
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a request.
    pub(super) fn count(&self, method: &'static str, path: &str, status: u16, took: Duration) {
        let path = path.to_owned();
        self.times
            .get_or_create(&PathLabels {
                method,
                path: path.clone(),
            })
            .observe(took.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels {
                method,
                path,
                status,
            })
            .inc();
    }

    /// Writes everything in the text form of `OpenMetrics` 1.0.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        text
    }
}
