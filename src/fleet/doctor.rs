//! The staged check of one host, over a connection of its own: what is in order, where it stops, and
//! the one thing that mends it. Changes nothing on the host.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::request::Finding;
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::host::HostSpec;
use crate::domain::inventory::Scope;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::hypervisor::{Check, Hypervisor, HypervisorError};
use crate::session::SessionContext;
use crate::session::limits::{CLOSE, PROBE};
use crate::transport::{ExecLimits, Target, Transport, TransportError};

/// The steps that every host has, in order; a driver may look at more of them between the shell and the end.
pub const STEPS: [&str; 8] = [NAME, TCP, HOST_KEY, LOGIN, SHELL, TOOL, PERMISSION, LATENCY];

const NAME: &str = "name";
const TCP: &str = "tcp";
const HOST_KEY: &str = "host key";
const LOGIN: &str = "login";
const SHELL: &str = "shell";
const TOOL: &str = "tool";
const PERMISSION: &str = "permission";
const LATENCY: &str = "latency";

/// Says what is looked at in a step; nothing for a step of a driver that its name says all of.
pub fn meaning(step: &str) -> &'static str {
    match step {
        NAME => "the definition, the SSH client's configuration, and the way that they lead to",
        TCP => "whether a connection to the SSH port can be made",
        HOST_KEY => "whether the host shows the key it is known by",
        LOGIN => "whether the account is let in, and with what",
        SHELL => "whether the login shell runs a command and says nothing else",
        TOOL => "whether what manages VMs is there and can be run",
        PERMISSION => "whether the account may manage VMs",
        LATENCY => "how long one read of all VMs takes",
        "hyper-v" => "whether the host has Hyper-V and its management interface answers",
        "language" => "whether PowerShell may run everything that is needed",
        "service" => "whether the service that runs VMs is up",
        "cluster" => "whether the host is part of a failover cluster",
        _ => "looked at by the driver of this hypervisor",
    }
}

/// What a shell must give back, and nothing else.
const MARK: &str = "vmdeck-was-here";

/// A read slower than this is worth a word.
const SLOW: Duration = Duration::from_secs(2);

/// How long a driver may look: a first PowerShell after the host's start loads for many seconds.
const CHECKS: Duration = Duration::from_secs(30);

/// The findings as they grow; steps after the first failure are not reached.
#[derive(Debug, Default)]
struct Chart(Vec<Finding>);

impl Chart {
    fn fine(&mut self, step: &'static str, seen: &str) {
        self.take(Check::fine(step, seen));
    }

    fn wrong(&mut self, step: &'static str, cause: &Failure) {
        self.take(Check {
            fix: cause.hint.as_ref().map(ToString::to_string),
            ..Check::wrong(step, &cause.message, "")
        });
    }

    fn take(&mut self, check: Check) {
        let Check {
            step,
            ok,
            seen,
            fix,
        } = check;
        self.0.push(Finding {
            step,
            ok,
            seen,
            fix,
        });
    }

    fn has_failed(&self) -> bool {
        self.0.iter().any(|finding| finding.ok == Some(false))
    }

    /// Says of the usual steps that were not looked at that they were not reached.
    fn end(mut self) -> Vec<Finding> {
        for step in STEPS {
            if self.0.iter().all(|finding| finding.step != step) {
                self.take(Check::unknown(step, "not reached"));
            }
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
    let connected = match context.connect(&target).await {
        Ok(connected) => connected,
        Err(error) => return stopped(chart, &error, &way),
    };
    chart.fine(NAME, &way);
    chart.fine(TCP, "connected");
    chart.fine(HOST_KEY, "trusted");
    chart.fine(LOGIN, &connected.logged_in_with);
    let transport = connected.transport;
    look(context, spec, &transport, &mut chart).await;
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
fn not_before(chart: &mut Chart, step: &str) {
    for earlier in STEPS.into_iter().take_while(|earlier| *earlier != step) {
        chart.take(Check::unknown(earlier, "not looked at"));
    }
}

/// Finds the step at which a connection stopped.
const fn step_of(error: &TransportError) -> &'static str {
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
    let passed = [
        (NAME, way),
        (TCP, "connected"),
        (HOST_KEY, "trusted"),
        (LOGIN, "accepted"),
    ];
    for (earlier, seen) in passed
        .into_iter()
        .take_while(|(earlier, _)| *earlier != step)
    {
        chart.fine(earlier, seen);
    }
    chart.wrong(step, &Failure::of(error));
    chart.end()
}

/// What a shell does with a command.
enum Shell {
    /// It runs it, and says nothing but what that says.
    Clean,
    /// It runs it, and says more.
    Noisy(RemoteText),
    /// It does not run it.
    Broken(Failure),
}

async fn shell(transport: &dyn Transport) -> Shell {
    // `echo` and a plain word mean the same to every shell this may meet.
    let command = RemoteCommand::posix("echo").arg(MARK);
    let output = match transport.exec(&command, ExecLimits::within(PROBE)).await {
        Err(error) => return Shell::Broken(Failure::of(&error)),
        Ok(output) => output,
    };
    let said = String::from_utf8_lossy(&output.stdout);
    if said.trim() == MARK {
        return Shell::Clean;
    }
    if said.contains(MARK) {
        let noise = said.replace(MARK, "");
        return Shell::Noisy(RemoteText::new(noise.trim()).first_line());
    }
    let said = RemoteText::from_bytes(&output.stderr).first_line();
    let message = format!("`echo` does not echo ({}): {said}", output.status);
    Shell::Broken(Failure::new(ErrorKind::Protocol, message).with_hint(SILENT))
}

/// What makes a POSIX login silent.
const SILENT: &str = "let the account's shell start-up files be silent when no person logs in (`case $- in *i*) ;; *) return;; esac`)";

/// What makes a login silent where its noise is survived.
const SILENT_BANNER: &str = "nothing has to be done; logins are quicker without it (a profile script of the host's default shell)";

/// Looks at the shell, then has the driver look at what it needs.
async fn look(
    context: &SessionContext,
    spec: &HostSpec,
    transport: &Arc<dyn Transport>,
    chart: &mut Chart,
) {
    let shell = shell(transport.as_ref()).await;
    if let Shell::Broken(cause) = &shell {
        return chart.wrong(SHELL, cause);
    }
    let opening = context.drivers.open(Arc::clone(transport), spec);
    let opened = in_time(opening, PROBE * 2).await;
    let survives = opened
        .as_ref()
        .is_ok_and(|driver| driver.survives_banners());
    match shell {
        Shell::Noisy(noise) if survives => chart.take(
            Check::fine(SHELL, &format!("says more than it is asked: {noise}"))
                .better_with(SILENT_BANNER),
        ),
        Shell::Noisy(noise) => {
            let message = format!("the login writes to standard output: {noise}");
            let cause = Failure::new(ErrorKind::Protocol, message).with_hint(SILENT);
            return chart.wrong(SHELL, &cause);
        }
        Shell::Clean | Shell::Broken(_) => chart.fine(SHELL, "clean"),
    }
    let driver = match opened {
        Ok(driver) => driver,
        Err(error) => return chart.wrong(TOOL, &Failure::of(&error)),
    };
    match tokio::time::timeout(CHECKS, driver.checks()).await {
        Ok(checks) => checks.into_iter().for_each(|check| chart.take(check)),
        Err(_elapsed) => {
            let error = TransportError::Timeout {
                what: "the host's answer",
                after: CHECKS,
            };
            chart.wrong(TOOL, &Failure::of(&error));
        }
    }
    if !chart.has_failed() {
        latency(driver.as_ref(), context.options.read_within, chart).await;
    }
    if tokio::time::timeout(CLOSE, driver.close()).await.is_err() {
        tracing::warn!("the checked driver did not close in time");
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
            // Where every read costs a process, it takes its time.
            let slow = if driver.survives_banners() {
                SLOW * 2
            } else {
                SLOW
            };
            let fix = (took > slow).then(|| {
                "look at the load of the host and the way to it; it is read less often meanwhile"
                    .to_owned()
            });
            chart.take(Check {
                ok: Some(took <= slow),
                fix,
                ..Check::fine(LATENCY, &seen)
            });
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
