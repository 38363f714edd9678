//! `vmdeck host import`: hosts of the SSH client's configuration. Only the alias is kept as the address;
//! what the configuration says about it stays there and goes on being honoured.

use super::desk::{Desk, Told, could_not, refuse};
use super::record::{Change, written_down};
use crate::cli::HostImport;
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::domain::host_words;
use crate::domain::text::RemoteText;
use crate::fleet::import::Importable;

/// Lists or takes over what was found.
pub async fn run(desk: &mut Desk<'_>, args: &HostImport, found: Vec<Importable>) -> Told {
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
    for found in &found {
        let alias = &found.alias;
        // A file of somebody else's may be read.
        let shown = RemoteText::new(alias).fit(60);
        let leads_to = RemoteText::new(&found.leads_to).fit(120);
        let known = found.is_known(&existing);
        let Some(spec) = found.spec.clone() else {
            desk.say(&format!("skip   {shown:<20} its name cannot be used"));
            continue;
        };
        if known {
            desk.say(&format!("skip   {shown:<20} is in the profile already"));
        } else if chosen(alias) {
            let name = spec.name.clone();
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
            desk.say(&format!("added  {shown:<20} {leads_to}"));
            added += 1;
        } else {
            desk.say(&format!("could  {shown:<20} {leads_to}"));
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
