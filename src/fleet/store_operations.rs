//! The operations on pools and networks that the fleet remembers: those under way, and the last that are over.

use std::sync::Arc;

use crate::domain::operation::{OperationId, Phase};
use crate::domain::store_operation::StoreOperation;

/// How many are remembered, as long as they are over.
const KEPT: usize = 200;

/// Operations on pools and networks, oldest first.
#[derive(Debug, Default)]
pub struct StoreOperations(Vec<Arc<StoreOperation>>);

impl StoreOperations {
    /// Remembers how one stands now. The oldest that are over are forgotten once there are many.
    pub fn put(&mut self, operation: StoreOperation) {
        let operation = Arc::new(operation);
        let mut newest_first = self.0.iter_mut().rev();
        match newest_first.find(|kept| kept.id == operation.id) {
            Some(kept) => *kept = operation,
            None => self.0.push(operation),
        }
        let mut surplus = self.0.len().saturating_sub(KEPT);
        self.0.retain(|kept| {
            let goes = surplus > 0 && kept.is_finished();
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Returns all of them.
    pub fn all(&self) -> Vec<Arc<StoreOperation>> {
        self.0.clone()
    }

    /// Says whether it still waits for its turn.
    pub fn is_queued(&self, id: &OperationId) -> bool {
        let mut all = self.0.iter();
        all.any(|kept| kept.id == *id && kept.phase == Phase::Queued)
    }

    /// Says whether it is known.
    pub fn knows(&self, id: &OperationId) -> bool {
        self.0.iter().any(|kept| kept.id == *id)
    }

    /// Returns how many are under way.
    pub fn running(&self) -> usize {
        self.0.iter().filter(|kept| !kept.is_finished()).count()
    }
}
