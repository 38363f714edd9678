//! `--demo`: the embedded fleet, and a profile for it that is thrown away at the end.

use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::domain::error_kind::{Classify, ErrorKind, Failure};
use crate::domain::host::LoginMethod;
use crate::private_file;
use crate::profile::{Profile, ProfileName};
use crate::sim::{self, Scenario};
use crate::task::Tasks;

/// A directory that goes away with this value.
#[derive(Debug)]
pub(super) struct ThrowAway(PathBuf);

impl ThrowAway {
    fn new(clock: &Clock) -> Result<Self, Failure> {
        let name = format!(
            "vmdeck-demo-{}-{}",
            std::process::id(),
            clock.now().as_nanosecond() % 1_000_000_000
        );
        let path = std::env::temp_dir().join(name);
        // Fails when it exists: nobody can have put anything there before us.
        private_file::create_dir(&path).map_err(|error| Failure::of(&error))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ThrowAway {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the demo's files were left behind");
        }
    }
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(ErrorKind::Internal, error.to_string())
}

/// Starts the embedded fleet and makes a profile of its hosts.
pub(super) async fn start(clock: &Clock, tasks: &Tasks) -> Result<(Profile, ThrowAway), Failure> {
    let could_not = |error: &dyn Classify| {
        let failure = Failure::of(error);
        Failure {
            message: format!("could not start the demo: {}", failure.message),
            ..failure
        }
    };
    let folder = ThrowAway::new(clock)?;
    let demo = sim::start(Scenario::demo().map_err(|error| could_not(&error))?, tasks)
        .await
        .map_err(|error| could_not(&error))?;
    let name: ProfileName = "demo".parse().map_err(internal)?;
    let profile = Profile::create(folder.path(), &name)
        .await
        .map_err(|error| could_not(&error))?;
    let key_file = folder.path().join("demo-key");
    private_file::write_atomic(&key_file, demo.login_key_pem.expose().as_bytes())
        .map_err(|error| could_not(&error))?;
    for host in demo.hosts {
        let mut spec = host.spec;
        spec.login = LoginMethod::KeyFile(key_file.clone());
        profile
            .upsert_host(spec)
            .await
            .map_err(|error| could_not(&error))?;
        profile
            .pin_key(host.host_key, true)
            .await
            .map_err(|error| could_not(&error))?;
    }
    Ok((profile, folder))
}
