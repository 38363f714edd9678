//! Lifting the read-only of hosts for a while: of the hosts' own flag only, recorded before it holds, and over by
//! itself. What the program was started with is never lifted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::engine::Engine;
use super::keeper::{Keeper, Note};
use super::record;
use super::request::Reply;
use super::roster::no_such_host;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::{HostId, HostName};
use crate::domain::inventory::Lift;
use crate::domain::operation::Actor;
use crate::domain::units::Span;

/// The longest that somebody may ask for.
pub const LONGEST: Duration = Duration::from_secs(8 * 3600);

/// What is to be lifted.
#[derive(Debug)]
pub struct LiftRequest {
    /// Of which hosts.
    pub hosts: Vec<HostId>,
    /// For how long; nothing ends it now.
    pub lasting: Duration,
    /// Who wants it, for the record.
    pub actor: Option<Actor>,
    /// Done; it is recorded by then.
    pub reply: oneshot::Sender<Result<(), Failure>>,
}

impl Engine {
    /// Lifts the read-only of hosts, or ends that.
    pub(super) fn lift(&self, request: LiftRequest) {
        let LiftRequest {
            hosts,
            lasting,
            actor,
            reply,
        } = request;
        let names = match self.liftable(&hosts) {
            Ok(names) => names,
            Err(cause) => return crate::task::send_or_gone(reply, Err(cause)),
        };
        let lasting = lasting.min(LONGEST);
        let keeper = self.keeper.clone().by(actor);
        self.job(
            "lift read-only",
            keeper.lift((hosts, names), lasting, reply),
        );
    }

    fn liftable(&self, hosts: &[HostId]) -> Result<Vec<HostName>, Failure> {
        let refuse = |message: String, hint: &str| {
            Err(Failure::new(ErrorKind::Refused, message).with_hint(hint))
        };
        if self.state.read_only {
            return refuse(
                "the program is read-only, and that is not lifted host by host".to_owned(),
                "switch it off, or start it without --read-only",
            );
        }
        let mut names = Vec::new();
        for host in hosts {
            let known = self.state.host(*host).ok_or_else(no_such_host)?;
            if !known.spec.read_only {
                let message = format!("{} is not read-only", known.spec.name);
                return refuse(message, "there is nothing to lift");
            }
            names.push(known.spec.name.clone());
        }
        Ok(names)
    }

    /// Ends what is over, and has that recorded.
    pub(super) fn end_lifts(&mut self) {
        let now = self.clock().now();
        let over = self.state.end_lifts(now);
        if over.is_empty() {
            return;
        }
        let keeper = self.keeper.clone();
        self.job("end of a lift", async move {
            for name in over {
                let details = "its time is over".to_owned();
                let entry = record::about_host(&name, "read-only-again", details, now);
                keeper.clone().record_refusal(entry).await;
            }
        });
        self.changed();
    }
}

impl Keeper {
    async fn lift(
        self,
        (hosts, names): (Vec<HostId>, Vec<HostName>),
        lasting: Duration,
        reply: Reply<()>,
    ) {
        let now = self.clock.now();
        let lasting_for = SignedDuration::try_from(lasting).unwrap_or(SignedDuration::ZERO);
        let until = now.saturating_add(lasting_for).unwrap_or(now);
        if let Err(cause) = self.record_lift(&names, (lasting, now, until)).await {
            return crate::task::send_or_gone(reply, Err(cause));
        }
        let lifts = hosts.into_iter().map(|host| Lift { host, until });
        let note = Note::Lifted {
            lifts: lifts.collect(),
            then: Box::new(move || crate::task::send_or_gone(reply, Ok(()))),
        };
        self.tell(note).await;
    }

    async fn record_lift(
        &self,
        names: &[HostName],
        (lasting, now, until): (Duration, Timestamp, Timestamp),
    ) -> Result<(), Failure> {
        for name in names {
            let (action, details) = if lasting.is_zero() {
                ("read-only-again", "ended by hand".to_owned())
            } else {
                (
                    "read-only-lifted",
                    format!("for {}, until {until:.0}", Span(lasting)),
                )
            };
            let entry = record::about_host(name.as_str(), action, details, now);
            let recorded = self.record(entry).await;
            recorded.map_err(|error| error.refusal("the change"))?;
        }
        Ok(())
    }
}
