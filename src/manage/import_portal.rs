//! `vmdeck import portal FILE`: users, keys and agents of the older portal become users, keys and hosts
//! of ours. What was taken over before is left alone, so that it can be run again.

use std::collections::HashMap;
use std::path::Path;

use super::desk::{Desk, Told, could_not, refuse};
use super::served::{self, ServedProfile};
use super::unlock;
use crate::accounts::old_portal::{OldAgent, OldPortal, OldUser};
use crate::accounts::{Accounts, AccountsError, NewUser, User};
use crate::domain::credential::{CredentialName, CredentialSecret};
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::domain::host::{Endpoint, HostId, HostName, HostSpec, LoginMethod, UserName};
use crate::report::Complaint;
use crate::vault::Vault;

/// Counts of what was done.
#[derive(Debug, Default)]
struct Count {
    users: usize,
    agents: usize,
    skipped: usize,
}

/// Takes a database over.
pub async fn run(desk: &mut Desk<'_>, file: &Path, dry_run: bool) -> Told {
    let owned = file.to_owned();
    let read = tokio::task::spawn_blocking(move || OldPortal::read(&owned)).await;
    let old = match read {
        Ok(read) => read.map_err(|error| match error {
            AccountsError::Broken { found, .. } => refuse(
                ErrorKind::Usage,
                format!(
                    "could not read {} as a portal's database: {found}",
                    file.display()
                ),
                "name the file: `vmdeck import portal FILE`",
            ),
            other => Complaint::of(&other),
        })?,
        Err(_panicked) => {
            let why = "the reader of the old database failed";
            return Err(refuse(ErrorKind::Internal, why, "nothing was changed"));
        }
    };
    for row in &old.unreadable {
        desk.say(&format!("skip   {row}"));
    }
    if dry_run {
        for user in &old.users {
            desk.say(&format!("could  user {} ({})", user.id, shown(&user.name)));
        }
        for agent in &old.agents {
            desk.say(&format!(
                "could  agent {} ({})",
                agent.id,
                shown(&agent.name)
            ));
        }
        return Ok(ExitCode::Done);
    }
    let accounts = desk.accounts().await?;
    if !old.agents.is_empty() {
        server_identity(desk, &accounts).await?;
    }
    let mut count = Count {
        skipped: old.unreadable.len(),
        ..Count::default()
    };
    let mut owners = HashMap::new();
    for user in &old.users {
        if let Some(known) = take_user(desk, &accounts, user, &mut count).await? {
            owners.insert(user.id, known);
        }
    }
    for agent in &old.agents {
        let Some(user) = owners.get(&agent.user_id) else {
            skip(
                desk,
                &mut count,
                &format!("agent {}: its user is not there", agent.id),
            );
            continue;
        };
        take_agent(desk, &accounts, user, agent, &mut count).await?;
    }
    desk.note(&format!(
        "took over {} users and {} agents; {} rows were left out",
        count.users, count.agents, count.skipped
    ));
    if count.agents > 0 {
        desk.note("the old file still holds private keys in clear: remove it once all is well");
    }
    Ok(if count.skipped == 0 {
        ExitCode::Done
    } else {
        ExitCode::Partial
    })
}

/// Text of a stranger for a line of the result.
fn shown(text: &str) -> String {
    crate::domain::text::RemoteText::new(text).fit(60)
}

fn skip(desk: &mut Desk<'_>, count: &mut Count, why: &str) {
    desk.say(&format!("skip   {why}"));
    count.skipped += 1;
}

/// Makes sure that there is something to seal to; the first time, the server's passphrase is set.
async fn server_identity(desk: &Desk<'_>, accounts: &Accounts) -> Result<(), Complaint> {
    let known = accounts.identity().await;
    if known.map_err(could_not("read the accounts"))?.is_some() {
        return Ok(());
    }
    let passphrase = unlock::new_passphrase(desk.passphrase.as_ref(), "the server")?;
    let opened = served::open_server_vault(accounts, Some(passphrase)).await;
    opened.map(drop).map_err(Complaint::from)
}

async fn take_user(
    desk: &mut Desk<'_>,
    accounts: &Accounts,
    old: &OldUser,
    count: &mut Count,
) -> Result<Option<User>, Complaint> {
    let there = accounts.user(old.id).await;
    let there = there.map_err(could_not("read the accounts"))?;
    if let Some(user) = there {
        if user.name == old.name.trim() && !user.admin {
            desk.say(&format!("known  user {} ({})", old.id, shown(&old.name)));
            return Ok(Some(user));
        }
        if !user.admin {
            let why = format!("user {}: another user has that id", old.id);
            skip(desk, count, &why);
            return Ok(None);
        }
        // Nobody knows an administrator by a number; the old users' clients may know theirs.
        accounts
            .renumber_user(old.id)
            .await
            .map_err(could_not("make room for a user"))?;
    }
    let new = NewUser {
        name: old.name.clone(),
        email: old.email.clone(),
        profile: None,
        admin: false,
    };
    let at = old.created_at.unwrap_or_else(|| desk.clock.now());
    let user = match accounts.import_user(old.id, new, old.key.clone(), at).await {
        Ok(user) => user,
        Err(error @ (AccountsError::Unfit(_) | AccountsError::EmailTaken)) => {
            skip(desk, count, &format!("user {}: {error}", old.id));
            return Ok(None);
        }
        Err(error) => return Err(could_not("take a user over")(error)),
    };
    ServedProfile::create(&desk.root, accounts, &user.profile)
        .await
        .map_err(Complaint::from)?;
    desk.say(&format!("took   user {} ({})", old.id, shown(&old.name)));
    count.users += 1;
    Ok(Some(user))
}

async fn take_agent(
    desk: &mut Desk<'_>,
    accounts: &Accounts,
    owner: &User,
    old: &OldAgent,
    count: &mut Count,
) -> Result<(), Complaint> {
    let known = accounts.agents(owner.id).await;
    let known = known.map_err(could_not("read the accounts"))?;
    if known.iter().any(|agent| agent.id == old.id) {
        desk.say(&format!("known  agent {} ({})", old.id, shown(&old.name)));
        return Ok(());
    }
    let profile = ServedProfile::open(
        &desk.root,
        accounts,
        &Vault::new(None),
        &owner.profile,
        &desk.clock,
    )
    .await
    .map_err(Complaint::from)?;
    let hosts = profile.profile.hosts().await;
    let hosts = hosts.map_err(could_not("read the hosts"))?;
    let credential: CredentialName = match format!("agent-{}", old.id).parse() {
        Ok(name) => name,
        Err(_never) => return Ok(()),
    };
    let login = LoginMethod::Credential(credential.clone());
    let left_behind = hosts.iter().find(|spec| spec.login == login);
    let spec = match definition(
        old,
        &hosts,
        left_behind.map_or(HostId(0), |spec| spec.id),
        login,
    ) {
        Ok(spec) => spec,
        Err(why) => {
            skip(desk, count, &format!("agent {}: {why}", old.id));
            return Ok(());
        }
    };
    let secret = CredentialSecret::PrivateKey {
        pem: old.private_key.clone(),
        passphrase: old.passphrase.clone(),
        certificate: None,
    };
    profile
        .keep_credential(&credential, secret)
        .await
        .map_err(Complaint::from)?;
    let host = profile.profile.upsert_host(spec).await;
    let host = host.map_err(could_not("add a host"))?;
    let at = old.created_at.unwrap_or_else(|| desk.clock.now());
    let path = old.known_hosts_path.clone();
    let numbered = accounts
        .add_agent(owner.id, host, path, Some((old.id, at)))
        .await;
    match numbered {
        Ok(agent) if agent.id == old.id => {
            desk.say(&format!("took   agent {} ({})", old.id, shown(&old.name)));
            count.agents += 1;
        }
        Ok(agent) => {
            let why = format!("agent {}: it has the number {} now", old.id, agent.id);
            skip(desk, count, &why);
        }
        Err(error) => {
            // The number belongs to somebody else's agent.
            let gone = profile.profile.remove_host(host).await;
            gone.map_err(could_not("take a host back"))?;
            let gone = profile.remove_credential(&credential).await;
            gone.map_err(Complaint::from)?;
            skip(desk, count, &format!("agent {}: {error}", old.id));
        }
    }
    Ok(())
}

/// Makes the definition of a host; names that ours cannot have are made ones that it can.
fn definition(
    old: &OldAgent,
    hosts: &[HostSpec],
    id: HostId,
    login: LoginMethod,
) -> Result<HostSpec, String> {
    let name = free_name(old, hosts, id)?;
    let parsed: Endpoint = old
        .hostname
        .trim()
        .parse()
        .map_err(|error| format!("{error}"))?;
    if parsed.port.is_some() {
        return Err("its hostname holds a port".to_owned());
    }
    let user: UserName = old
        .username
        .trim()
        .parse()
        .map_err(|error| format!("{error}"))?;
    Ok(HostSpec {
        id,
        user: Some(user),
        login,
        accept_new_host_key: old.allow_unknown_hosts,
        ..HostSpec::new(name, Endpoint::new(parsed.address, old.port))
    })
}

fn free_name(old: &OldAgent, hosts: &[HostSpec], id: HostId) -> Result<HostName, String> {
    let plain: String = old
        .name
        .chars()
        .map(|c| {
            if c == '/' || crate::domain::text::is_hostile(c) {
                '-'
            } else {
                c
            }
        })
        .take(80)
        .collect();
    let plain = plain.trim();
    let plain = if plain.is_empty() { "agent" } else { plain };
    let candidates = [plain.to_owned(), format!("{plain} ({})", old.id)];
    let free = |name: &String| {
        !hosts
            .iter()
            .any(|spec| spec.id != id && spec.name.as_str() == name)
    };
    let name = candidates
        .into_iter()
        .find(free)
        .ok_or("its name is taken")?;
    name.parse().map_err(|error| format!("{error}"))
}
