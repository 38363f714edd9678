//! A simulated fleet for tests, and links to its hosts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::{HostSpec, LoginMethod};
use vmdeck::domain::secret::SecretText;
use vmdeck::private_file;
use vmdeck::profile::{Profile, ProfileName};
use vmdeck::sim::{Demo, DemoHost, HostControl, Scenario};
use vmdeck::task::Tasks;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connector, Hop, Target, Transport, TransportError};

/// A fleet that ends with this value.
pub struct SimFleet {
    pub demo: Demo,
    tasks: Tasks,
}

impl SimFleet {
    /// Starts the fleet of a scenario in TOML.
    pub async fn start(toml: &str) -> Self {
        Self::of(Scenario::from_toml(toml).expect("a scenario")).await
    }

    /// Starts the fleet of a scenario.
    pub async fn of(scenario: Scenario) -> Self {
        let tasks = Tasks::new();
        let demo = vmdeck::sim::start(scenario, &tasks).await.expect("a fleet");
        Self { demo, tasks }
    }

    /// Makes a profile with every host, whose login key is put into `home`.
    pub async fn profile(&self, root: &Path, name: &str, home: &Path) -> Profile {
        private_file::ensure_dir(root).expect("a directory");
        let name: ProfileName = name.parse().expect("a name");
        let profile = Profile::create(root, &name).await.expect("a profile");
        let key = home.join(format!("{name}-key"));
        let pem = self.demo.login_key_pem.expose();
        private_file::write_atomic(&key, pem.as_bytes()).expect("a key file");
        for host in &self.demo.hosts {
            let mut spec = host.spec.clone();
            spec.login = LoginMethod::KeyFile(key.clone());
            profile.upsert_host(spec).await.expect("a host");
            let pinned = profile.pin_key(host.host_key.clone(), true).await;
            pinned.expect("a host key");
        }
        profile
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> &DemoHost {
        self.demo
            .hosts
            .iter()
            .find(|host| host.spec.name.as_str() == name)
            .expect("the host")
    }

    /// What drives the host of that name.
    pub fn control(&self, name: &str) -> &HostControl {
        self.demo.control.host(name).expect("the host")
    }

    /// How a host is dialled.
    pub fn target(&self, host: &DemoHost) -> Target {
        let HostSpec {
            name,
            endpoint,
            user,
            ..
        } = host.spec.clone();
        Target {
            name,
            hops: vec![Hop {
                endpoint,
                key_alias: None,
                user: user.expect("an account"),
                credentials: vec![Credential::PrivateKey {
                    origin: "demo".to_owned(),
                    pem: SecretText::new(self.demo.login_key_pem.expose().clone()),
                    passphrase: None,
                    certificate: None,
                }],
            }],
            pinned: vec![host.host_key.clone()],
            known_hosts: Vec::new(),
            accept_new: false,
        }
    }

    /// A link to the host of that name, or why there is none.
    pub async fn try_connect(&self, name: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let target = self.target(self.host(name));
        let connected = SshConnector::new(SshOptions::default())
            .connect(&target)
            .await?;
        Ok(connected.transport)
    }

    /// A link to the host of that name.
    pub async fn connect(&self, name: &str) -> Arc<dyn Transport> {
        self.try_connect(name).await.expect("a link")
    }

    /// Ends the fleet and waits for it.
    pub async fn end(self) {
        self.tasks.cancel();
        assert!(
            self.tasks.wait(Duration::from_secs(20)).await,
            "the fleet ends when it is told to"
        );
    }
}

impl Drop for SimFleet {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}
