//! Starting a simulated fleet: a server on the loopback for every host of a scenario.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::keys::ssh_key::LineEnding;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::control::{Control, HostControl, new_key, pinned};
use super::error::SimError;
use super::faults::Access;
use super::host::SimHost;
use super::scenario::{HostPlan, Scenario, wrong};
use super::server::{self, Server, USER};
use super::tally::Strangers;
use crate::clock::Clock;
use crate::domain::host::{Endpoint, HostSpec, KindChoice};
use crate::domain::host_key::PinnedKey;
use crate::domain::secret::SecretText;
use crate::task::Tasks;

/// A running simulated fleet. It lives as long as its tasks, not as this value.
#[derive(Debug)]
pub struct Demo {
    /// The hosts, in the order of the scenario.
    pub hosts: Vec<DemoHost>,
    /// The private key that logs in everywhere, in OpenSSH's format.
    pub login_key_pem: SecretText,
    /// Drives the fleet behind the back of whoever watches it.
    pub control: Control,
}

impl Demo {
    /// Returns what drives the fleet.
    pub const fn control(&self) -> &Control {
        &self.control
    }
}

/// One host, as a person would define it.
#[derive(Debug, Clone)]
pub struct DemoHost {
    /// Its definition; the login is left to the caller, who has the key.
    pub spec: HostSpec,
    /// The key it shows.
    pub host_key: PinnedKey,
}

/// Starts a fleet; it ends when `tasks` are cancelled.
pub async fn start(scenario: Scenario, tasks: &Tasks) -> Result<Demo, SimError> {
    let login = new_key()?;
    let login_key_pem = login.to_openssh(LineEnding::LF).map_err(SimError::Key)?;
    let public = login.public_key().clone();
    let tasks = tasks.child();
    let strangers = Arc::<Strangers>::default();
    let mut hosts = Vec::with_capacity(scenario.hosts.len());
    let mut controls = Vec::with_capacity(scenario.hosts.len());
    for (number, plan) in scenario.hosts.into_iter().enumerate() {
        let at = if scenario.address_per_host {
            own_address(number)
        } else {
            Ipv4Addr::LOCALHOST
        };
        let maker = Maker {
            login: &public,
            tasks: &tasks,
            strangers: &strangers,
            seed: scenario.seed,
        };
        match maker.host(plan, at).await {
            Ok((host, control)) => {
                hosts.push(host);
                controls.push(control);
            }
            Err(error) => {
                tasks.cancel();
                return Err(error);
            }
        }
    }
    Ok(Demo {
        hosts,
        login_key_pem: SecretText::new(login_key_pem.as_str().to_owned()),
        control: Control {
            hosts: controls.into(),
            strangers,
        },
    })
}

/// Returns an address of 127.77.0.0/16 for the host of that number.
fn own_address(number: usize) -> Ipv4Addr {
    let within = |number: usize| u8::try_from(number % 250).unwrap_or_default();
    Ipv4Addr::new(127, 77, within(number / 250), within(number) + 1)
}

struct Maker<'a> {
    login: &'a PublicKey,
    tasks: &'a Tasks,
    strangers: &'a Arc<Strangers>,
    seed: u64,
}

impl Maker<'_> {
    async fn host(
        &self,
        plan: HostPlan,
        at: Ipv4Addr,
    ) -> Result<(DemoHost, HostControl), SimError> {
        let refused = |source| SimError::Listen {
            host: plan.name.to_string(),
            address: at.to_string(),
            source,
        };
        let listener = TcpListener::bind(SocketAddr::new(IpAddr::V4(at), 0))
            .await
            .map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let key = new_key()?;
        let label = format!("[{}]:{}", address.ip(), address.port());
        let host_key = pinned(&label, &key);
        let spec = spec(&plan, address)?;
        let host = SimHost::new(
            plan,
            self.seed,
            Clock::system().now(),
            Arc::clone(self.strangers),
        );
        let config = watch::Sender::new(server::config(key, host.banner()));
        let server = Server {
            host: Arc::clone(&host),
            address,
            config: config.subscribe(),
            login: self.login.clone(),
            tasks: self.tasks.clone(),
        };
        let token = || self.tasks.token().clone();
        self.tasks.spawn("sim server", server.run(listener));
        self.tasks
            .spawn("sim world", Arc::clone(&host).live(token()));
        if let Some(windows) = &host.windows {
            let ending = super::hyperv::host::end_with(Arc::clone(windows), token());
            self.tasks.spawn("sim windows", ending);
        }
        if host.plan.outage.is_some() {
            self.tasks
                .spawn("sim outage", Arc::clone(&host).follow_outage(token()));
        }
        let control = HostControl {
            host,
            config,
            label,
        };
        Ok((DemoHost { spec, host_key }, control))
    }
}

fn spec(plan: &HostPlan, address: SocketAddr) -> Result<HostSpec, SimError> {
    let endpoint = Endpoint::new(address.ip().to_string(), address.port());
    let mut spec = HostSpec::new(plan.name.clone(), endpoint);
    let user = USER
        .parse()
        .map_err(|error: crate::domain::host::HostSpecError| {
            wrong(plan.name.as_str(), error.to_string())
        })?;
    spec.user = Some(user);
    if plan.windows.is_some() {
        spec.kind = KindChoice::HyperV;
    } else {
        spec.uri = Some(plan.uri.clone());
    }
    spec.sudo = plan.faults.access == Access::Sudo;
    spec.tier.clone_from(&plan.tier);
    spec.tags.clone_from(&plan.tags);
    spec.read_only = plan.read_only;
    Ok(spec)
}
