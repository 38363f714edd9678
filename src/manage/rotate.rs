//! `vmdeck credential rotate` and `vmdeck host deploy-key`: another key for hosts, one host after the other, with
//! a plan before and a word about each host after.

use super::desk::{Desk, Told, refuse};
use crate::cli::{CredentialRotate, HostDeployKey};
use crate::domain::credential::CredentialName;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::host::{HostId, HostName};
use crate::fleet::FleetHandle;
use crate::fleet::rotation::{Finished, RotationPlan, old_of};
use crate::report::Complaint;

/// Rotates a credential, or finishes an earlier rotation.
pub async fn run(desk: &mut Desk<'_>, handle: &FleetHandle, args: &CredentialRotate) -> Told {
    if args.remove_old {
        return remove_old(desk, handle, args).await;
    }
    let asked = handle.plan_rotation(args.name.clone(), args.host.clone());
    let plan = asked.await.map_err(Complaint::from)?;
    show(desk, &plan, args.keep_old);
    if args.dry_run {
        return Ok(ExitCode::Done);
    }
    if plan.hosts.is_empty() {
        return Err(refuse(
            ErrorKind::Usage,
            format!("no host logs in with {}", args.name),
            "remove it and add another: `vmdeck credential rm`, `vmdeck credential add`",
        ));
    }
    if !args.yes && !desk.agrees(&format!("Give {} hosts a new key?", plan.hosts.len())) {
        return Err(unasked());
    }
    let mut moved = Vec::new();
    let mut failed = 0;
    for host in &plan.hosts {
        let moving = handle.move_host(host.id, Some(plan.credential.clone()), None);
        match moving.await {
            Ok(lines) => {
                for line in &lines {
                    desk.say(line);
                }
                moved.push((host.id, host.name.clone()));
            }
            Err(cause) => {
                failed += 1;
                tell(desk, &host.name, cause);
            }
        }
    }
    let all = handle.credentials().await.map_err(Complaint::from)?;
    let old = all.iter().find(|found| found.name == plan.credential);
    let is_free = old.is_some_and(|old| old.used_by.is_empty());
    // Who still needs the old key must not lose it: it goes when everybody has moved.
    let kept = if args.keep_old || !is_free || plan.fingerprint.is_none() {
        args.keep_old
    } else if args.yes || desk.agrees("Take the old key off these hosts?") {
        let left = retire(desk, handle, &moved, &plan.credential).await;
        failed += left;
        left > 0
    } else {
        true
    };
    finish(desk, handle, &plan.credential, kept).await?;
    Ok(ended(failed, moved.len()))
}

fn ended(failed: usize, done: usize) -> ExitCode {
    match (failed, done) {
        (0, _) => ExitCode::Done,
        (_, 0) => ExitCode::Failed,
        _ => ExitCode::Partial,
    }
}

fn unasked() -> Complaint {
    refuse(
        ErrorKind::Refused,
        "nothing was changed: nobody agreed",
        "look at the plan with --dry-run, then add --yes",
    )
}

fn tell(desk: &mut Desk<'_>, host: &HostName, cause: Failure) {
    let text = Complaint::from(cause).on(host).to_text();
    desk.note(text.trim_end());
}

fn show(desk: &mut Desk<'_>, plan: &RotationPlan, keep_old: bool) {
    let key = if plan.resumed {
        format!(
            "the new key {} is there from an earlier run",
            plan.successor
        )
    } else {
        format!("a new ed25519 key is made and sealed as {}", plan.successor)
    };
    desk.note(&key);
    for host in &plan.hosts {
        if host.moved {
            desk.note(&format!("{}: logs in with the new key already", host.name));
            continue;
        }
        desk.note(&format!(
            "{}: log in as now and let the new key in:",
            host.name
        ));
        desk.note(&format!("  {}", host.add));
        if host.kind.is_none() {
            desk.note("  (shown as for a POSIX host: what it runs is found out at the login)");
        }
        desk.note(&format!(
            "{}: log in with the new key; only then use it from now on",
            host.name
        ));
    }
    let removals = plan
        .hosts
        .iter()
        .filter_map(|host| Some((&host.name, host.remove.as_ref()?)));
    for (name, command) in removals.filter(|_| !keep_old) {
        desk.note(&format!("{name}: take the old key away:"));
        desk.note(&format!("  {command}"));
    }
}

/// Takes a key off hosts; returns how many still have it.
async fn retire(
    desk: &mut Desk<'_>,
    handle: &FleetHandle,
    hosts: &[(HostId, HostName)],
    old: &CredentialName,
) -> usize {
    let mut left = 0;
    for (host, name) in hosts {
        match handle.retire_key(*host, old.clone()).await {
            Ok(said) => desk.say(&said),
            Err(cause) => {
                left += 1;
                tell(desk, name, cause);
            }
        }
    }
    left
}

async fn finish(
    desk: &mut Desk<'_>,
    handle: &FleetHandle,
    name: &CredentialName,
    keep_old: bool,
) -> Result<(), Complaint> {
    let finished = handle.finish_rotation(name.clone(), keep_old).await;
    match finished.map_err(Complaint::from)? {
        Finished::StillUsed(hosts) => {
            desk.note(&format!(
                "{} still log in with the old key; both are kept",
                hosts.join(", ")
            ));
            desk.note(&format!(
                "next: `vmdeck credential rotate {name}` goes on with them"
            ));
        }
        Finished::OldKept(kept) => {
            desk.say(&format!(
                "{name} is the new key; the old one is kept as {kept}"
            ));
            desk.note(&format!(
                "next: `vmdeck credential rotate {name} --remove-old` takes it off the hosts and forgets it"
            ));
        }
        Finished::OldForgotten => {
            desk.say(&format!("{name} is the new key; the old one is forgotten"));
        }
    }
    Ok(())
}

/// Takes a key that was kept off the hosts, and forgets it.
async fn remove_old(desk: &mut Desk<'_>, handle: &FleetHandle, args: &CredentialRotate) -> Told {
    let old = old_of(&args.name).map_err(Complaint::from)?;
    let all = handle.credentials().await.map_err(Complaint::from)?;
    let there = all.iter().any(|found| found.name == old);
    let current = all.iter().find(|found| found.name == args.name);
    let (true, Some(current)) = (there, current) else {
        return Err(refuse(
            ErrorKind::NotFound,
            format!("no old key of {} is kept", args.name),
            "`vmdeck credential list` shows what is kept",
        ));
    };
    let wanted = |name: &HostName| args.host.is_empty() || args.host.contains(name);
    let fleet = handle.snapshot();
    let hosts = fleet
        .hosts
        .iter()
        .map(|host| (host.spec.id, host.spec.name.clone()));
    let hosts: Vec<(HostId, HostName)> = hosts
        .filter(|(_, name)| current.used_by.iter().any(|user| user == name.as_str()))
        .filter(|(_, name)| wanted(name))
        .collect();
    for (_, name) in &hosts {
        desk.note(&format!(
            "{name}: log in with {} and take {old} away",
            args.name
        ));
    }
    if args.dry_run {
        return Ok(ExitCode::Done);
    }
    if !args.yes && !desk.agrees(&format!("Take {old} off {} hosts?", hosts.len())) {
        return Err(unasked());
    }
    let left = retire(desk, handle, &hosts, &old).await;
    if left == 0 && hosts.len() == current.used_by.len() {
        handle
            .remove_credential(old.clone())
            .await
            .map_err(Complaint::from)?;
        desk.say(&format!("{old} is forgotten"));
    } else {
        desk.note(&format!(
            "{old} is kept: not every host was seen without it"
        ));
    }
    Ok(ended(left, hosts.len() - left))
}

/// Moves one host to a key of the profile, whatever it logs in with now.
pub async fn deploy(desk: &mut Desk<'_>, handle: &FleetHandle, args: &HostDeployKey) -> Told {
    let fleet = handle.snapshot();
    let found = fleet.hosts.iter().find(|host| host.spec.name == args.name);
    let Some(host) = found else {
        return Err(refuse(
            ErrorKind::NotFound,
            format!("there is no host `{}`", args.name),
            "`vmdeck host list` shows the hosts",
        ));
    };
    desk.note(&format!(
        "{0}: log in as now, let the key of {1} in, log in with it, and use it from now on",
        args.name, args.credential
    ));
    if !args.yes && !desk.agrees("Do that?") {
        return Err(unasked());
    }
    let moving = handle.move_host(host.spec.id, None, Some(args.credential.clone()));
    let lines = moving
        .await
        .map_err(|cause| Complaint::from(cause).on(&args.name))?;
    for line in &lines {
        desk.say(line);
    }
    Ok(ExitCode::Done)
}
