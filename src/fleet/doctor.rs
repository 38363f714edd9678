//! The staged check of one host, over a connection of its own: what is in order, where it stops, and
//! the one thing that mends it. Changes nothing on the host.

use std::time::Duration;

use tokio::time::Instant;

use super::request::Finding;
use crate::domain::error_kind::{Classify, ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::inventory::Scope;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::{Hypervisor, HypervisorError};
use crate::session::SessionContext;
use crate::session::limits::{CLOSE, CONNECT_PER_HOP, PROBE};
use crate::transport::{ExecLimits, Target, Transport, TransportError};

/// The steps, in order.
pub const STEPS: [&str; 8] = [
    "name",
    "tcp",
    "host key",
    "login",
    "shell",
    "tool",
    "permission",
    "latency",
];

const NAME: usize = 0;
const TCP: usize = 1;
const HOST_KEY: usize = 2;
const LOGIN: usize = 3;
const SHELL: usize = 4;
const TOOL: usize = 5;
const PERMISSION: usize = 6;
const LATENCY: usize = 7;

/// What a shell must give back, and nothing else.
const MARK: &str = "vmdeck-was-here";

/// A read slower than this is worth a word.
const SLOW: Duration = Duration::from_secs(2);

/// The findings as they grow; steps after the first failure are not reached.
#[derive(Debug, Default)]
struct Chart(Vec<Finding>);

impl Chart {
    fn fine(&mut self, step: usize, seen: &str) {
        self.add(step, Some(true), RemoteText::new(seen), None);
    }

    fn wrong(&mut self, step: usize, cause: &Failure) {
        let fix = cause.hint.as_ref().map(ToString::to_string);
        self.add(step, Some(false), RemoteText::new(&cause.message), fix);
    }

    fn add(&mut self, step: usize, ok: Option<bool>, seen: RemoteText, fix: Option<String>) {
        let step = STEPS.get(step).copied().unwrap_or("check");
        self.0.push(Finding {
            step,
            ok,
            seen,
            fix,
        });
    }

    fn end(mut self) -> Vec<Finding> {
        for step in self.0.len()..STEPS.len() {
            self.add(step, None, RemoteText::new("not reached"), None);
        }
        self.0
    }
}

/// Checks a host step by step.
pub async fn examine(context: &SessionContext, spec: &HostSpec) -> Vec<Finding> {
    let mut chart = Chart::default();
    let target = match context.targets.target(spec).await {
        Ok(target) => target,
        Err(cause) => {
            // What is missing is either where to go or what to log in with.
            let step = if cause.kind == ErrorKind::Config {
                NAME
            } else {
                LOGIN
            };
            not_before(&mut chart, step);
            chart.wrong(step, &cause);
            return chart.end();
        }
    };
    let way = way(&target);
    let hops = u32::try_from(target.hops.len().max(1)).unwrap_or(1);
    let after = CONNECT_PER_HOP.saturating_mul(hops);
    let dialling = context.connector.connect(&target);
    let connected = match tokio::time::timeout(after, dialling).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => return stopped(chart, &error, &way),
        Err(_) => {
            let what = "connecting";
            return stopped(chart, &TransportError::Timeout { what, after }, &way);
        }
    };
    chart.fine(NAME, &way);
    chart.fine(TCP, "connected");
    chart.fine(HOST_KEY, "trusted");
    chart.fine(LOGIN, &connected.logged_in_with);
    let transport = connected.transport;
    if shell(transport.as_ref(), &mut chart).await {
        tool(context, spec, &transport, &mut chart).await;
    }
    if tokio::time::timeout(CLOSE, transport.close())
        .await
        .is_err()
    {
        tracing::warn!("the checked link did not close in time");
    }
    chart.end()
}

fn way(target: &Target) -> String {
    let stops: Vec<String> = target
        .hops
        .iter()
        .map(|hop| format!("{}@{}", hop.user, hop.endpoint))
        .collect();
    stops.join(" then ")
}

/// Says that the steps before one were not looked at.
fn not_before(chart: &mut Chart, step: usize) {
    for earlier in 0..step {
        chart.add(earlier, None, RemoteText::new("not looked at"), None);
    }
}

/// Finds the step at which a connection stopped.
const fn step_of(error: &TransportError) -> usize {
    match error {
        TransportError::Resolve { .. } => NAME,
        TransportError::Dial { .. } | TransportError::Timeout { .. } => TCP,
        TransportError::Handshake { .. }
        | TransportError::HostKey(_)
        | TransportError::KnownHosts { .. }
        | TransportError::Lost { .. }
        | TransportError::Protocol { .. } => HOST_KEY,
        TransportError::Auth { .. } | TransportError::Credential { .. } => LOGIN,
        TransportError::Channel { .. } | TransportError::Command(_) => SHELL,
    }
}

fn stopped(mut chart: Chart, error: &TransportError, way: &str) -> Vec<Finding> {
    let step = step_of(error);
    for (earlier, seen) in [
        (NAME, way),
        (TCP, "connected"),
        (HOST_KEY, "trusted"),
        (LOGIN, "accepted"),
    ] {
        if earlier < step {
            chart.fine(earlier, seen);
        }
    }
    chart.wrong(step, &Failure::of(error));
    chart.end()
}

/// Whether commands run, and say nothing but what they say.
async fn shell(transport: &dyn Transport, chart: &mut Chart) -> bool {
    // `echo` and a plain word mean the same to every shell this may meet.
    let command = RemoteCommand::posix("echo").arg(MARK);
    match transport.exec(&command, ExecLimits::within(PROBE)).await {
        Err(error) => {
            chart.wrong(SHELL, &Failure::of(&error));
            false
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            if said.trim() == MARK {
                chart.fine(SHELL, "clean");
                return true;
            }
            let message = if said.contains(MARK) {
                let noise = said.replace(MARK, "");
                let noise = RemoteText::new(&noise).first_line();
                format!("the login writes to standard output: {noise}")
            } else {
                let said = RemoteText::from_bytes(&output.stderr).first_line();
                format!("`echo` does not echo ({}): {said}", output.status)
            };
            let cause = Failure::new(ErrorKind::Protocol, message).with_hint(
                "let the account's shell start-up files be silent when no person logs in (`case $- in *i*) ;; *) return;; esac`)",
            );
            chart.wrong(SHELL, &cause);
            false
        }
    }
}

async fn tool(
    context: &SessionContext,
    spec: &HostSpec,
    transport: &std::sync::Arc<dyn Transport>,
    chart: &mut Chart,
) {
    let opening = context.drivers.open(std::sync::Arc::clone(transport), spec);
    let driver = match in_time(opening, PROBE).await {
        Ok(driver) => driver,
        Err(error) => return chart_tool(chart, &error),
    };
    match in_time(driver.probe(), PROBE).await {
        Err(error) => chart_tool(chart, &error),
        Ok(able) => {
            chart.add(TOOL, Some(true), able.version.clone(), None);
            let connection = able.connection.unwrap_or(RemoteText::new("granted"));
            chart.add(PERMISSION, Some(true), connection, None);
            latency(driver.as_ref(), context.options.read_within, chart).await;
        }
    }
    if tokio::time::timeout(CLOSE, driver.close()).await.is_err() {
        tracing::warn!("the checked driver did not close in time");
    }
}

fn chart_tool(chart: &mut Chart, error: &HypervisorError) {
    let cause = Failure::of(error);
    if error.kind() == ErrorKind::Permission {
        chart.fine(TOOL, "found");
        chart.wrong(PERMISSION, &cause);
    } else {
        chart.wrong(TOOL, &cause);
    }
}

async fn latency(driver: &dyn Hypervisor, within: Duration, chart: &mut Chart) {
    let began = Instant::now();
    match in_time(driver.inventory(Scope::Fast), within).await {
        Err(error) => chart.wrong(LATENCY, &Failure::of(&error)),
        Ok(inventory) => {
            let took = began.elapsed();
            let seen = format!(
                "{} VMs read in {} ms",
                inventory.vms.len(),
                took.as_millis()
            );
            let fix = (took > SLOW).then(|| {
                "look at the load of the host and the way to it; it is read less often meanwhile"
                    .to_owned()
            });
            chart.add(LATENCY, Some(took <= SLOW), RemoteText::new(&seen), fix);
        }
    }
}

async fn in_time<T>(
    asking: impl Future<Output = Result<T, HypervisorError>>,
    after: Duration,
) -> Result<T, HypervisorError> {
    match tokio::time::timeout(after, asking).await {
        Ok(result) => result,
        Err(_) => Err(HypervisorError::Transport(TransportError::Timeout {
            what: "the host's answer",
            after,
        })),
    }
}
