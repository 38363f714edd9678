//! `virsh event`: announcements, one a line, for as long as somebody listens.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::options::Command;
use crate::sim::host::SimHost;
use crate::sim::stdio::Stdio;
use crate::sim::world::{Event, EventKind};

/// What the events are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted<'a> {
    All,
    Kind(&'a str),
}

const NAMES: &str = "lifecycle\nreboot\nrtc-change\nwatchdog\nio-error\ngraphics\nio-error-reason\ncontrol-error\nblock-job\ndisk-change\ntray-change\npm-wakeup\npm-suspend\nballoon-change\npm-suspend-disk\ndevice-removed\nblock-job-2\ntunable\nagent-lifecycle\ndevice-added\nmigration-iteration\njob-completed\ndevice-removal-failed\nmetadata-change\nblock-threshold\nmemory-failure\nmemory-device-size-change\n";

/// Prints announcements until the time asked for is over or the reader goes away; returns false when
/// it ends as a failure does.
pub(super) async fn event(host: &SimHost, command: &Command, stdio: &mut Stdio) -> bool {
    if command.has("list") {
        stdio.out(NAMES).await;
        return true;
    }
    let wanted = match (command.has("all"), command.value("event")) {
        (true, _) => Wanted::All,
        (false, Some(kind)) if NAMES.lines().any(|name| name == kind) => Wanted::Kind(kind),
        (false, Some(kind)) => {
            stdio
                .err(format!("error: unknown event type {kind}\n"))
                .await;
            return false;
        }
        (false, None) => {
            let said = "error: one of --list, --all, or --event <type> is required\n";
            stdio.err(said).await;
            return false;
        }
    };
    let only = match command.value("domain") {
        None => None,
        Some(name) => {
            let uuid = host.world(|world| {
                let index = world.find(name)?;
                world.vm(index).map(|vm| vm.plan.uuid.clone())
            });
            if uuid.is_none() {
                stdio
                    .err(format!("error: failed to get domain '{name}'\n"))
                    .await;
                return false;
            }
            uuid
        }
    };
    let until = command
        .value("timeout")
        .and_then(|seconds| seconds.parse().ok())
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let is_wanted = |event: &Event| {
        let kind = match event.what {
            EventKind::Lifecycle(_) => "lifecycle",
            EventKind::Reboot => "reboot",
        };
        (wanted == Wanted::All || wanted == Wanted::Kind(kind))
            && only.as_ref().is_none_or(|uuid| *uuid == event.uuid)
    };
    print(host, command, stdio, until, &is_wanted).await
}

async fn print(
    host: &SimHost,
    command: &Command,
    stdio: &Stdio,
    until: Option<Instant>,
    is_wanted: &(dyn Fn(&Event) -> bool + Sync),
) -> bool {
    let mut events = host.world(|world| world.subscribe());
    let mut received = 0;
    loop {
        let over = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            event = events.recv() => event,
            () = over => {
                stdio.out(format!("event loop timed out\nevents received: {received}\n")).await;
                return false;
            }
        };
        match event {
            Ok(event) if is_wanted(&event) && !host.faults().no_events => {
                let latency = host.latency();
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                received += 1;
                stdio.out(line(&event, command.has("timestamp"))).await;
                if !command.has("loop") {
                    stdio.out(format!("events received: {received}\n")).await;
                    return true;
                }
            }
            // One who reads too slowly misses some.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return false,
        }
    }
}

fn line(event: &Event, timestamp: bool) -> String {
    let what = match event.what {
        EventKind::Lifecycle(words) => {
            format!("event 'lifecycle' for domain '{}': {words}\n", event.vm)
        }
        EventKind::Reboot => format!("event 'reboot' for domain '{}'\n", event.vm),
    };
    if timestamp {
        let at = event.at.strftime("%Y-%m-%d %H:%M:%S%.3f+0000");
        format!("{at}: {what}")
    } else {
        what
    }
}
