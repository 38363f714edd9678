//! The second connection to a host: opened when somebody reaches into one of its VMs, shared by all who
//! do, gone with the last of them. What flows over it is slow or endless, and must not hold up a tick.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::FutureExt;
use tokio::sync::Mutex as Turn;

use crate::domain::error_kind::Failure;
use crate::domain::host::{HostId, HostSpec};
use crate::session::command_log::RecordingTransport;
use crate::session::{CommandLog, SessionContext};
use crate::transport::Transport;

/// A second connection. Closed when nobody holds it any more.
#[derive(Debug)]
pub(super) struct SideLink {
    transport: RecordingTransport,
    /// As which host it was dialled: a host that was redefined is another one.
    spec: Arc<HostSpec>,
}

impl SideLink {
    /// Lends the connection.
    pub(super) fn transport(&self) -> &dyn Transport {
        &self.transport
    }

    fn serves(&self, spec: &HostSpec) -> bool {
        *self.spec == *spec && self.transport.closed().now_or_never().is_none()
    }
}

/// The place of a host's second connection, which is dialled by one at a time.
type Place = Arc<Turn<Weak<SideLink>>>;

/// The second connections of a fleet, at most one for each host. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(super) struct SideLinks(Arc<Mutex<HashMap<HostId, Place>>>);

impl SideLinks {
    /// Returns the host's second connection, dialled now where there is none.
    pub(super) async fn lease(
        &self,
        context: &SessionContext,
        spec: &Arc<HostSpec>,
        log: CommandLog,
    ) -> Result<Arc<SideLink>, Failure> {
        let turn = {
            let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(links.entry(spec.id).or_default())
        };
        // Who comes second waits for the connection of who came first.
        let mut known = turn.lock().await;
        if let Some(link) = known.upgrade().filter(|link| link.serves(spec)) {
            return Ok(link);
        }
        let link = Arc::new(dial(context, spec, log).await?);
        *known = Arc::downgrade(&link);
        Ok(link)
    }
}

async fn dial(
    context: &SessionContext,
    spec: &Arc<HostSpec>,
    log: CommandLog,
) -> Result<SideLink, Failure> {
    let target = context.targets.target(spec).await?;
    let connected = context
        .connect(&target)
        .await
        .map_err(|error| Failure::of(&error))?;
    Ok(SideLink {
        transport: RecordingTransport::new(
            connected.transport,
            spec.name.clone(),
            context.clock.clone(),
            log,
        ),
        spec: Arc::clone(spec),
    })
}
