//! `vmdeck host import`: hosts of the SSH client's configuration. Only the alias is kept as the address;
//! what the configuration says about it stays there and goes on being honoured.

use super::desk::{Desk, Told, could_not, refuse};
use super::record::{Change, written_down};
use crate::cli::HostImport;
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::domain::host::{HostName, HostSpec};
use crate::domain::host_words;

/// An alias of the configuration and where it leads, for the list.
#[derive(Debug, Clone)]
pub struct Found {
    /// The alias.
    pub alias: String,
    /// Where it leads: `user@host:port`.
    pub leads_to: String,
}

/// Lists or takes over what was found.
pub async fn run(desk: &mut Desk<'_>, args: &HostImport, found: Vec<Found>) -> Told {
    for name in &args.names {
        if !found.iter().any(|found| found.alias == *name) {
            return Err(refuse(
                ErrorKind::NotFound,
                format!("the SSH client's configuration has no host `{name}`"),
                "`vmdeck host import` lists what it has; patterns are left out",
            ));
        }
    }
    let profile = desk.open_or_create().await?;
    let existing = profile.hosts().await.map_err(could_not("read the hosts"))?;
    let chosen = |alias: &str| args.all || args.names.iter().any(|name| name == alias);
    let mut added = 0;
    for Found { alias, leads_to } in &found {
        let known = existing
            .iter()
            .any(|spec| spec.name.as_str() == alias || spec.endpoint.address == *alias);
        let parsed = (alias.parse::<HostName>(), alias.parse());
        let (Ok(name), Ok(endpoint)) = parsed else {
            desk.say(&format!("skip   {alias:<20} its name cannot be used"));
            continue;
        };
        if known {
            desk.say(&format!("skip   {alias:<20} is in the profile already"));
        } else if chosen(alias) {
            let spec = HostSpec::new(name.clone(), endpoint);
            let change = Change {
                action: "host-added",
                host: Some(&name),
                details: format!(
                    "{}, from the SSH client's configuration",
                    host_words::summary(&spec)
                ),
            };
            let adding = async {
                let added = profile.upsert_host(spec).await;
                added.map_err(could_not("add a host"))
            };
            written_down(desk, &profile, change, adding).await?;
            desk.say(&format!("added  {alias:<20} {leads_to}"));
            added += 1;
        } else {
            desk.say(&format!("could  {alias:<20} {leads_to}"));
        }
    }
    if found.is_empty() {
        desk.note("the SSH client's configuration names no hosts");
    } else if !args.all && args.names.is_empty() {
        desk.note("nothing was added; name the hosts to take over, or write --all");
    } else if added > 0 {
        desk.note("next: `vmdeck host trust NAME` for hosts that known_hosts does not hold");
    }
    Ok(ExitCode::Done)
}
