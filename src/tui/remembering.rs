//! Keeping what a person has set up, in the order in which it was set up: of several wishes about one thing the last one
//! stays, however the tasks that carry them out are scheduled. What there is to keep is said in `habits`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Turn;

use crate::domain::error_kind::Failure;
use crate::fleet::FleetHandle;

/// What is still to be kept. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(super) struct Remembering {
    /// The newest wish about each thing that nobody carries out yet; `None` = forget it.
    newest: Arc<Mutex<BTreeMap<String, Option<String>>>>,
    /// Whoever has it writes: one at a time.
    turn: Arc<Turn<()>>,
}

impl Remembering {
    /// Takes a wish, in the order of the calls; it is carried out by what is returned.
    pub(super) fn keep(
        &self,
        handle: FleetHandle,
        name: String,
        value: Option<String>,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        self.waiting().insert(name.clone(), value);
        let all = self.clone();
        async move {
            let _turn = all.turn.lock().await;
            let newest = all.waiting().remove(&name);
            match newest {
                Some(value) => handle.remember(name, value).await,
                // An earlier one of the same name has carried this out already.
                None => Ok(()),
            }
        }
    }

    /// Carries out all that is left: whoever leaves right after a change finds it again.
    pub(super) async fn finish(&self, handle: &FleetHandle) {
        let _turn = self.turn.lock().await;
        let left = std::mem::take(&mut *self.waiting());
        for (name, value) in left {
            // Nobody is left to tell.
            drop(handle.remember(name, value).await);
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
