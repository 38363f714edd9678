//! Gates: so many logins at one server at a time, and whoever comes later waits for its turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Hop;

/// Logins under way at once at one server; sshd starts to refuse at 10 (`MaxStartups`, `sshd_config(5)`).
const LOGINS_PER_SERVER: usize = 8;

/// A server as it is reached: the address and port of every hop up to it.
type Way = Vec<(String, u16)>;

/// One gate for each server that somebody logs in at.
#[derive(Debug, Default)]
pub struct Gates(Mutex<HashMap<Way, Arc<Semaphore>>>);

impl Gates {
    /// Returns the gate of the last of these hops.
    pub fn at(&self, hops: &[Hop]) -> Arc<Semaphore> {
        let way = hops
            .iter()
            .map(|hop| {
                let address = hop.endpoint.address.to_ascii_lowercase();
                (address, hop.endpoint.port_or_default())
            })
            .collect();
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A gate that nobody passes or waits at is as good as a new one.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        let gate = gates
            .entry(way)
            .or_insert_with(|| Arc::new(Semaphore::new(LOGINS_PER_SERVER)));
        Arc::clone(gate)
    }
}

/// Takes a place, and says so before it has to wait for one. `None` is a place without bounds: nobody
/// closes these semaphores.
pub async fn take(places: Arc<Semaphore>, waits: impl FnOnce()) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
        return Some(place);
    }
    waits();
    places.acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host::Endpoint;

    fn hop(address: &str, port: Option<u16>) -> Hop {
        Hop {
            endpoint: Endpoint {
                address: address.to_owned(),
                port,
            },
            key_alias: None,
            user: "ann".parse().unwrap(),
            credentials: Vec::new(),
        }
    }

    #[test]
    fn a_server_has_one_gate_however_it_is_written() {
        let gates = Gates::default();
        let one = gates.at(&[hop("jump", None)]);
        assert!(Arc::ptr_eq(&one, &gates.at(&[hop("JUMP", Some(22))])));
        assert!(!Arc::ptr_eq(&one, &gates.at(&[hop("jump", Some(2222))])));
        // The same name may be another server behind another.
        let behind = gates.at(&[hop("far", None), hop("jump", None)]);
        assert!(!Arc::ptr_eq(&one, &behind));
    }

    #[test]
    fn gates_that_nobody_uses_are_forgotten() {
        let gates = Gates::default();
        for number in 0..100 {
            drop(gates.at(&[hop(&format!("kvm{number}"), None)]));
        }
        assert_eq!(gates.0.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn only_who_really_waits_says_so() {
        let gate = Gates::default().at(&[hop("jump", None)]);
        let mut held = Vec::new();
        for _ in 0..LOGINS_PER_SERVER {
            held.push(take(Arc::clone(&gate), || panic!("there is room")).await);
        }
        let said = std::cell::Cell::new(false);
        let waiting = take(gate, || said.set(true));
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(said.get());
        held.pop();
        assert!(waiting.await.is_some());
    }
}
