//! `vmdeck host doctor`: the findings, step by step, each with what mends it.

use super::desk::{Desk, Told, refuse};
use crate::domain::error_kind::{ErrorKind, ExitCode, Hint};
use crate::domain::host::HostName;
use crate::fleet::FleetHandle;
use crate::report::Complaint;

/// Checks one host and prints what was found.
pub async fn run(desk: &mut Desk<'_>, handle: &FleetHandle, name: &HostName, json: bool) -> Told {
    let fleet = handle.snapshot();
    let Some(host) = fleet.hosts.iter().find(|host| host.spec.name == *name) else {
        return Err(refuse(
            ErrorKind::NotFound,
            format!("there is no host `{name}`"),
            "`vmdeck host list` shows the hosts",
        ));
    };
    let findings = handle.doctor(host.spec.id).await.map_err(Complaint::from)?;
    if json {
        desk.say(&crate::json::to_pretty(&findings).unwrap_or_default());
    } else {
        for finding in &findings {
            let mark = match finding.ok {
                Some(true) => "ok  ",
                Some(false) => "FAIL",
                None => "–   ",
            };
            desk.say(format!("{mark} {:<12} {}", finding.step, finding.seen).trim_end());
            if let Some(fix) = finding.fix.clone() {
                let fix = Hint(fix).naming(name.as_str());
                desk.say(&format!("     {:<12} {fix}", ""));
            }
        }
    }
    Ok(
        if findings.iter().any(|finding| finding.ok == Some(false)) {
            ExitCode::Failed
        } else {
            ExitCode::Done
        },
    )
}
