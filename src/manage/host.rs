//! `vmdeck host add | edit | rm | list | show`: definitions only, no connection and no passphrase.

use std::path::{Path, PathBuf};

use super::desk::{Desk, Told, could_not, refuse};
use super::record::{Change, written_down};
use super::{columns, host_key};
use crate::cli::{HostAdd, HostEdit, LoginArgs};
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::host::{HostName, HostSpec, KindChoice, LoginMethod};
use crate::domain::host_key::{HostKey, PinnedKey};
use crate::domain::host_words;
use crate::profile::{Profile, ProfileError};
use crate::report::Complaint;

/// Says under which name a host's key is filed.
pub type LabelOf<'a> = &'a dyn Fn(&HostSpec) -> Result<String, Failure>;

/// Adds a host.
pub async fn add(desk: &mut Desk<'_>, args: &HostAdd, read_only: bool, label: LabelOf<'_>) -> Told {
    let key = args.host_key.as_deref().map(read_key).transpose()?;
    let login = login(&args.login)?.unwrap_or_default();
    check_key_file(&login)?;
    let profile = desk.open_or_create().await?;
    let spec = HostSpec {
        user: args.user.clone(),
        kind: args.kind,
        uri: args.uri.clone(),
        sudo: args.sudo,
        login,
        jumps: args.jump.clone(),
        tier: args.tier.clone(),
        tags: args.tag.clone(),
        read_only,
        accept_new_host_key: args.accept_new_host_key,
        ..HostSpec::new(args.name.clone(), args.address.clone())
    };
    check_login(&profile, &spec.login).await?;
    let pin = match key {
        Some(key) => Some(PinnedKey {
            label: label(&spec)?,
            key,
            revoked: false,
        }),
        None => None,
    };
    let known = pin.is_some() || spec.accept_new_host_key;
    let name = &args.name;
    refuse_twice(&profile, name, "add the host").await?;
    let change = Change {
        action: "host-added",
        host: Some(name),
        details: host_words::summary(&spec),
    };
    let adding = async {
        let added = profile.upsert_host(spec).await;
        added.map_err(could_not("add the host"))
    };
    written_down(desk, &profile, change, adding).await?;
    if let Some(pin) = pin {
        profile
            .pin_key(pin, false)
            .await
            .map_err(could_not("pin the host key"))?;
    }
    desk.say(&format!("added host {name} ({})", args.address));
    let quoted = quoted(name);
    desk.note(&if known {
        format!("next: `vmdeck host doctor {quoted}` checks it, `vmdeck` opens the dashboard")
    } else {
        format!("next: `vmdeck host trust {quoted}` shows its key and accepts it")
    });
    Ok(ExitCode::Done)
}

/// Refuses a name that is taken before anything is written down.
async fn refuse_twice(profile: &Profile, name: &HostName, doing: &str) -> Result<(), Complaint> {
    let hosts = profile.hosts().await.map_err(could_not("read the hosts"))?;
    if hosts.iter().any(|spec| spec.name == *name) {
        let name = name.clone();
        return Err(could_not(doing)(ProfileError::DuplicateHost { name }));
    }
    Ok(())
}

/// Changes what is named of a host.
pub async fn edit(desk: &mut Desk<'_>, args: &HostEdit, read_only: bool) -> Told {
    let profile = desk.open().await?;
    let mut spec = find(&profile, &args.name).await?;
    let before = spec.clone();
    apply(&mut spec, args, read_only)?;
    if spec == before {
        return Err(refuse(
            ErrorKind::Usage,
            "nothing was named that is to change",
            "`vmdeck host edit --help` lists what can be changed",
        ));
    }
    check_login(&profile, &spec.login).await?;
    if spec.name != before.name {
        refuse_twice(&profile, &spec.name, "change the host").await?;
    }
    let change = Change {
        action: "host-changed",
        host: Some(&args.name),
        details: host_words::changes(&before, &spec),
    };
    let changing = async {
        let changed = profile.upsert_host(spec).await;
        changed.map_err(could_not("change the host"))
    };
    written_down(desk, &profile, change, changing).await?;
    desk.say(&format!("changed host {}", args.name));
    Ok(ExitCode::Done)
}

fn apply(spec: &mut HostSpec, args: &HostEdit, read_only: bool) -> Result<(), Complaint> {
    fn set<T: Clone>(place: &mut T, value: Option<&T>) {
        if let Some(value) = value {
            place.clone_from(value);
        }
    }
    set(&mut spec.name, args.rename.as_ref());
    set(&mut spec.endpoint, args.address.as_ref());
    set(&mut spec.kind, args.kind.as_ref());
    set(&mut spec.sudo, args.sudo.as_ref());
    set(&mut spec.enabled, args.enabled.as_ref());
    set(
        &mut spec.accept_new_host_key,
        args.accept_new_host_key.as_ref(),
    );
    spec.user = args.user.clone().or(spec.user.take());
    spec.uri = args.uri.clone().or(spec.uri.take());
    spec.tier = args.tier.clone().or(spec.tier.take());
    if args.no_tier {
        spec.tier = None;
    }
    if !args.jump.is_empty() || args.no_jump {
        spec.jumps.clone_from(&args.jump);
    }
    if !args.tag.is_empty() || args.no_tag {
        spec.tags.clone_from(&args.tag);
    }
    if args.default_login {
        spec.login = LoginMethod::Default;
    }
    if let Some(login) = login(&args.login)? {
        spec.login = login;
    }
    if read_only || args.writable {
        spec.read_only = read_only;
    }
    Ok(())
}

/// Forgets a host.
pub async fn remove(desk: &mut Desk<'_>, name: &HostName) -> Told {
    let profile = desk.open().await?;
    let spec = find(&profile, name).await?;
    let change = Change {
        action: "host-removed",
        host: Some(name),
        details: host_words::summary(&spec),
    };
    let removing = async {
        let removed = profile.remove_host(spec.id).await;
        removed.map_err(could_not("remove the host"))
    };
    written_down(desk, &profile, change, removing).await?;
    desk.say(&format!("removed host {name}"));
    Ok(ExitCode::Done)
}

/// Lists the hosts.
pub async fn list(desk: &mut Desk<'_>, json: bool) -> Told {
    let profile = desk.open_or_create().await?;
    let hosts = profile.hosts().await.map_err(could_not("list the hosts"))?;
    if json {
        let text = crate::json::to_pretty(&hosts).unwrap_or_default();
        desk.say(&text);
        return Ok(ExitCode::Done);
    }
    if hosts.is_empty() {
        desk.note("no hosts yet; add one with `vmdeck host add NAME --address HOST --user USER`");
        return Ok(ExitCode::Done);
    }
    let heading = [
        "NAME", "ADDRESS", "USER", "KIND", "LOGIN", "TIER", "TAGS", "REMARKS",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(hosts.iter().map(row));
    desk.write(&columns::align(&rows));
    Ok(ExitCode::Done)
}

fn row(spec: &HostSpec) -> Vec<String> {
    let dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or("–".into());
    let tags: Vec<&str> = spec
        .tags
        .iter()
        .map(crate::domain::host::Tag::as_str)
        .collect();
    vec![
        spec.name.to_string(),
        spec.endpoint.to_string(),
        dash(spec.user.as_ref().map(ToString::to_string)),
        spec.kind.word().to_owned(),
        login_words(&spec.login),
        dash(spec.tier.as_ref().map(ToString::to_string)),
        dash(Some(tags.join(","))),
        dash(Some(remarks(spec).join(", "))),
    ]
}

fn remarks(spec: &HostSpec) -> Vec<String> {
    let jumps = spec.jumps.iter().map(|jump| format!("via {jump}"));
    let marks = [
        (spec.sudo, "sudo"),
        (spec.read_only, "read-only"),
        (!spec.enabled, "disabled"),
        (spec.accept_new_host_key, "accepts any new host key"),
    ];
    let marks = marks
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, word)| word.to_owned());
    jumps.chain(marks).collect()
}

fn login_words(login: &LoginMethod) -> String {
    match login {
        LoginMethod::Default => "as ssh would".to_owned(),
        LoginMethod::Agent => "agent".to_owned(),
        LoginMethod::Credential(name) => format!("credential {name}"),
        LoginMethod::KeyFile(path) => path.display().to_string(),
    }
}

/// Shows how a host is defined.
pub async fn show(desk: &mut Desk<'_>, name: &HostName, label: LabelOf<'_>) -> Told {
    let profile = desk.open().await?;
    let spec = find(&profile, name).await?;
    let unset = || "–".to_owned();
    let mut lines = vec![
        ("name", spec.name.to_string()),
        ("address", spec.endpoint.to_string()),
        (
            "user",
            spec.user.as_ref().map_or_else(unset, ToString::to_string),
        ),
        ("hypervisor", spec.kind.word().to_owned()),
        ("login", login_words(&spec.login)),
        (
            "tier",
            spec.tier.as_ref().map_or_else(unset, ToString::to_string),
        ),
    ];
    if spec.kind != KindChoice::HyperV {
        lines.push((
            "uri",
            spec.uri.as_ref().map_or_else(unset, ToString::to_string),
        ));
    }
    lines.extend(spec.tags.iter().map(|tag| ("tag", tag.to_string())));
    lines.extend(remarks(&spec).into_iter().map(|remark| ("remark", remark)));
    // Where that cannot be told yet (no account, say), what is known is shown all the same.
    let filed = label(&spec).ok();
    let pinned = profile
        .pinned_keys()
        .await
        .map_err(could_not("read the host keys"))?;
    for pin in pinned
        .iter()
        .filter(|pin| Some(&pin.label) == filed.as_ref())
    {
        let word = if pin.revoked {
            "revoked key"
        } else {
            "host key"
        };
        lines.push((word, pin.key.to_string()));
    }
    for (word, value) in lines {
        desk.say(&format!("{word:<12} {value}"));
    }
    Ok(ExitCode::Done)
}

/// Finds a host by its name; the nearest name is suggested.
pub async fn find(profile: &Profile, name: &HostName) -> Result<HostSpec, Complaint> {
    let hosts = profile.hosts().await.map_err(could_not("read the hosts"))?;
    if let Some(found) = hosts.iter().find(|spec| spec.name == *name) {
        return Ok(found.clone());
    }
    let nearest = hosts
        .iter()
        .map(|spec| {
            (
                strsim::jaro_winkler(spec.name.as_str(), name.as_str()),
                spec,
            )
        })
        .filter(|(near, _)| *near > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let hint = match nearest {
        Some((_, spec)) => format!("did you mean {}?", spec.name),
        None => "`vmdeck host list` shows the hosts".to_owned(),
    };
    Err(refuse(
        ErrorKind::NotFound,
        format!("there is no host `{name}`"),
        &hint,
    ))
}

fn read_key(line: &str) -> Result<HostKey, Complaint> {
    host_key::read(line).ok_or_else(|| {
        refuse(
            ErrorKind::Usage,
            "--host-key is no public key",
            "write it as in known_hosts: --host-key 'ssh-ed25519 AAAA...'",
        )
    })
}

fn login(args: &LoginArgs) -> Result<Option<LoginMethod>, Complaint> {
    Ok(match args {
        LoginArgs {
            credential: Some(name),
            ..
        } => Some(LoginMethod::Credential(name.clone())),
        LoginArgs {
            key_file: Some(path),
            ..
        } => Some(LoginMethod::KeyFile(absolute(path)?)),
        LoginArgs { agent: true, .. } => Some(LoginMethod::Agent),
        LoginArgs { .. } => None,
    })
}

/// A relative path would mean another file from another directory.
fn absolute(path: &Path) -> Result<PathBuf, Complaint> {
    let found = std::path::absolute(path);
    found.map_err(|error| {
        let message = format!("could not find {}: {error}", path.display());
        refuse(ErrorKind::Usage, message, "write the whole path")
    })
}

async fn check_login(profile: &Profile, login: &LoginMethod) -> Result<(), Complaint> {
    match login {
        LoginMethod::Credential(name) => {
            let sealed = profile.sealed_credential(name).await;
            sealed.map(drop).map_err(|error| Complaint::of(&error))
        }
        LoginMethod::KeyFile(_) | LoginMethod::Default | LoginMethod::Agent => {
            check_key_file(login)
        }
    }
}

fn check_key_file(login: &LoginMethod) -> Result<(), Complaint> {
    match login {
        LoginMethod::KeyFile(path) if !path.is_file() => Err(refuse(
            ErrorKind::Usage,
            format!("there is no key file {}", path.display()),
            "check the path, or make a key with `vmdeck credential add NAME --generate ed25519`",
        )),
        LoginMethod::KeyFile(_)
        | LoginMethod::Credential(_)
        | LoginMethod::Default
        | LoginMethod::Agent => Ok(()),
    }
}

/// Quotes a name for a command line, where it needs it.
pub(super) fn quoted(name: &HostName) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if name.as_str().chars().all(plain) {
        name.to_string()
    } else {
        format!("'{}'", name.as_str().replace('\'', "'\\''"))
    }
}
