//! `vmdeck user`: who may use the server, and with which keys.

use jiff::SignedDuration;
use serde::Serialize;

use super::columns;
use super::desk::{Desk, Told, could_not, refuse};
use super::profile;
use super::record::{self, Change};
use super::rekey;
use crate::accounts::{Accounts, IssuedKey, KeyInfo, NewKey, NewUser, Scopes, User};
use crate::cli::{UserAdd, UserCommand};
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::manage::served::ServedProfile;
use crate::report::Complaint;

/// Runs one of the commands.
pub async fn run(desk: &mut Desk<'_>, command: &UserCommand) -> Told {
    let accounts = desk.accounts().await?;
    match command {
        UserCommand::Add(args) => add(desk, &accounts, args).await,
        UserCommand::List { json } => list(desk, &accounts, *json).await,
        UserCommand::Rm { user, yes } => remove(desk, &accounts, user, *yes).await,
        UserCommand::Rotate { user, keep_old } => {
            let grace = keep_old.and_then(|time| SignedDuration::try_from(time).ok());
            rotate(desk, &accounts, user, grace).await
        }
        UserCommand::Rekey { finish: false, yes } => rekey::begin(desk, &accounts, *yes).await,
        UserCommand::Rekey { finish: true, yes } => rekey::finish(desk, &accounts, *yes).await,
        UserCommand::Revoke { key } => revoke(desk, &accounts, key).await,
    }
}

async fn rotate(
    desk: &mut Desk<'_>,
    accounts: &Accounts,
    user: &str,
    grace: Option<SignedDuration>,
) -> Told {
    let user = find(accounts, user).await?;
    let made = accounts.rotate(user.id, grace).await;
    let made = made.map_err(could_not("make a new key"))?;
    let ended = match grace {
        Some(_) => "the old keys end after that time",
        None => "the old keys have ended",
    };
    let details = format!("{}: new key {}; {ended}", whom(&user), made.info.id);
    written(desk, &user, "user-key-replaced", details).await;
    show(desk, &made);
    desk.note(ended);
    Ok(ExitCode::Done)
}

async fn revoke(desk: &mut Desk<'_>, accounts: &Accounts, key: &str) -> Told {
    let gone = accounts.revoke_key(key).await;
    gone.map_err(could_not("take the key back"))?;
    desk.say(&format!("took {key} back"));
    let users = accounts.users().await;
    for user in users.map_err(could_not("list the users"))? {
        let keys = accounts.keys(user.id).await;
        let keys = keys.map_err(could_not("list the keys"))?;
        if keys.iter().any(|one| one.id == *key) {
            let details = format!("{}: key {key}", whom(&user));
            written(desk, &user, "user-key-revoked", details).await;
        }
    }
    Ok(ExitCode::Done)
}

pub(super) fn whom(user: &User) -> String {
    format!("user {} (id {})", user.name, user.id)
}

/// Writes a change of a user down where those who work with them look: in the audit log of their profile.
pub(super) async fn written(
    desk: &mut Desk<'_>,
    user: &User,
    action: &'static str,
    details: String,
) {
    let change = Change {
        action,
        details,
        ..Change::default()
    };
    record::noted(desk, &user.profile, change).await;
}

async fn find(accounts: &Accounts, user: &str) -> Result<User, Complaint> {
    let found = accounts.find_user(user).await;
    found.map_err(|error| Complaint::of(&error))
}

fn show(desk: &mut Desk<'_>, made: &IssuedKey) {
    desk.say(made.token.expose());
    desk.note("this is shown once and kept nowhere; send it as `Authorization: Bearer KEY`");
}

async fn add(desk: &mut Desk<'_>, accounts: &Accounts, args: &UserAdd) -> Told {
    if let Some(wanted) = &args.profile {
        profile::name(wanted)?;
        let granted = accounts.granted(wanted).await;
        let granted = granted.map_err(could_not("read the grants"))?;
        if granted.is_none() {
            return Err(refuse(
                ErrorKind::Refused,
                format!("profile {wanted} is not granted to the server"),
                &format!("grant it first: `vmdeck profile grant {wanted}`"),
            ));
        }
    }
    let expires_at = match args.expires {
        None => None,
        Some(time) => {
            let at = desk.clock.now().checked_add(time).ok();
            Some(at.ok_or_else(|| {
                let why = "that is further away than any calendar goes";
                refuse(ErrorKind::Usage, why, "choose a shorter time")
            })?)
        }
    };
    let new = NewUser {
        name: args.name.clone(),
        email: args.email.clone(),
        profile: args.profile.clone(),
        admin: args.admin,
    };
    let first = NewKey {
        scopes: Scopes {
            hosts: args.host.clone(),
            tags: args.tag.clone(),
            verbs: args.verb.clone(),
            read_only: args.look_only,
            ..Scopes::full()
        },
        expires_at,
    };
    let added = accounts.add_user(new, first).await;
    let (user, made) = added.map_err(could_not("add the user"))?;
    if args.profile.is_none() {
        ServedProfile::create(&desk.root, accounts, &user.profile)
            .await
            .map_err(Complaint::from)?;
    }
    let details = format!(
        "{}: key {}, may {}",
        whom(&user),
        made.info.id,
        may(&made.info.scopes)
    );
    written(desk, &user, "user-added", details).await;
    desk.note(&format!(
        "added {} in profile {}",
        whom(&user),
        user.profile
    ));
    desk.note("name, email address, when a key was last used and the address of what it changes are kept; tell them (docs/serve.md)");
    show(desk, &made);
    Ok(ExitCode::Done)
}

async fn remove(desk: &mut Desk<'_>, accounts: &Accounts, user: &str, yes: bool) -> Told {
    let user = find(accounts, user).await?;
    let question = format!(
        "Remove user {} (id {}) with their keys?",
        user.name, user.id
    );
    if !(yes || desk.agrees(&question)) {
        return Err(refuse(
            ErrorKind::Refused,
            format!("user {} would be removed with their keys", user.name),
            "add --yes if that is meant",
        ));
    }
    let gone = accounts.remove_user(user.id).await;
    gone.map_err(could_not("remove the user"))?;
    written(desk, &user, "user-removed", whom(&user)).await;
    desk.say(&format!("removed user {}", user.name));
    desk.note(&format!("profile {} stays", user.profile));
    Ok(ExitCode::Done)
}

/// A user as `--json` shows them.
#[derive(Serialize)]
struct ShownUser {
    id: i64,
    name: String,
    email: Option<String>,
    profile: String,
    admin: bool,
    created_at: String,
    keys: Vec<ShownKey>,
}

#[derive(Serialize)]
struct ShownKey {
    id: String,
    prefix: String,
    scopes: Scopes,
    live: bool,
    created_at: String,
    expires_at: Option<String>,
    last_used: Option<String>,
    revoked_at: Option<String>,
}

async fn list(desk: &mut Desk<'_>, accounts: &Accounts, json: bool) -> Told {
    let users = accounts.users().await;
    let users = users.map_err(could_not("list the users"))?;
    let now = desk.clock.now();
    let mut all = Vec::with_capacity(users.len());
    for user in users {
        let keys = accounts.keys(user.id).await;
        let keys = keys.map_err(could_not("list the keys"))?;
        all.push((user, keys));
    }
    if json {
        let shown: Vec<ShownUser> = all
            .into_iter()
            .map(|(user, keys)| shown(user, keys, now))
            .collect();
        let text = crate::json::to_pretty(&shown).unwrap_or_default();
        desk.say(&text);
        return Ok(ExitCode::Done);
    }
    if all.is_empty() {
        desk.note("no users yet; the first start of `vmdeck --serve` makes an administrator");
        return Ok(ExitCode::Done);
    }
    let heading = [
        "ID",
        "NAME",
        "PROFILE",
        "KEY",
        "BEGINS",
        "MAY",
        "EXPIRES",
        "LAST USED",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let moment = |at: Option<jiff::Timestamp>| {
        at.map_or_else(
            || "–".to_owned(),
            |at| at.strftime("%Y-%m-%d %H:%M").to_string(),
        )
    };
    for (user, keys) in all {
        let live: Vec<KeyInfo> = keys.into_iter().filter(|key| key.is_live(now)).collect();
        for key in &live {
            if let Some(ends) = key.ends_soon(now) {
                desk.note(&format!(
                    "{} of {} ends at {}; `vmdeck user rotate {}` makes another",
                    key.id,
                    user.name,
                    moment(Some(ends)),
                    user.id
                ));
            }
        }
        let who = [
            user.id.to_string(),
            if user.admin {
                format!("{} (admin)", user.name)
            } else {
                user.name.clone()
            },
            user.profile.clone(),
        ];
        if live.is_empty() {
            let mut row = who.to_vec();
            row.push("none".to_owned());
            row.extend(std::iter::repeat_n("–".to_owned(), 4));
            rows.push(row);
        }
        for key in live {
            let mut row = who.to_vec();
            row.extend([
                key.id,
                key.prefix,
                may(&key.scopes),
                moment(key.expires_at),
                moment(key.last_used),
            ]);
            rows.push(row);
        }
    }
    desk.write(&columns::align(&rows));
    Ok(ExitCode::Done)
}

fn shown(user: User, keys: Vec<KeyInfo>, now: jiff::Timestamp) -> ShownUser {
    let text = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
    ShownUser {
        id: user.id,
        name: user.name,
        email: user.email,
        profile: user.profile,
        admin: user.admin,
        created_at: user.created_at.to_string(),
        keys: keys
            .into_iter()
            .map(|key| ShownKey {
                live: key.is_live(now),
                id: key.id,
                prefix: key.prefix,
                scopes: key.scopes,
                created_at: key.created_at.to_string(),
                expires_at: text(key.expires_at),
                last_used: text(key.last_used),
                revoked_at: text(key.revoked_at),
            })
            .collect(),
    }
}

/// Says in a few words what a key may do.
fn may(scopes: &Scopes) -> String {
    let mut parts = Vec::new();
    if scopes.read_only {
        parts.push("look".to_owned());
    } else if scopes.verbs.is_empty() {
        parts.push("everything".to_owned());
    } else {
        parts.push(scopes.verbs.join(" "));
    }
    for (word, list) in [("on", &scopes.hosts), ("tagged", &scopes.tags)] {
        if !list.is_empty() {
            parts.push(format!("{word} {}", list.join(" ")));
        }
    }
    parts.join(" ")
}
