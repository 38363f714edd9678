//! `vmdeck user rekey`: another key of the digests, and the end of the one before it.
//!
//! Nothing ends at the first step; what would end at the second one is said before it is asked about.

use std::collections::BTreeMap;

use super::desk::{Desk, Told, could_not, refuse};
use super::user::{whom, written};
use crate::accounts::{Accounts, KeyInfo, User};
use crate::domain::error_kind::{ErrorKind, ExitCode};
use crate::report::Complaint;

/// Replaces it.
pub(super) async fn begin(desk: &mut Desk<'_>, accounts: &Accounts, yes: bool) -> Told {
    let question = "Replace the key of the digests? No API key ends by it.";
    if !(yes || desk.agrees(question)) {
        return Err(refuse(
            ErrorKind::Refused,
            "the key of the digests would be replaced; no API key ends by it",
            "add --yes if that is meant",
        ));
    }
    let replaced = accounts.replace_pepper().await;
    replaced.map_err(could_not("replace the key of the digests"))?;
    everywhere(
        desk,
        accounts,
        "digest-key-replaced",
        "the former one is still in use",
    )
    .await?;
    desk.say("replaced the key of the digests");
    let behind = accounts.keys_behind().await;
    let behind = behind.map_err(could_not("list the keys"))?.len();
    desk.note(&format!(
        "{behind} API keys pass over when somebody comes with them next; then `vmdeck user rekey --finish` ends the former one"
    ));
    Ok(ExitCode::Done)
}

/// Ends the former one.
pub(super) async fn finish(desk: &mut Desk<'_>, accounts: &Accounts, yes: bool) -> Told {
    if !accounts.is_rekeying() {
        // Says so in the words of the one who knows.
        let ended = accounts.retire_pepper().await;
        ended.map_err(could_not("end the former key of the digests"))?;
        return Ok(ExitCode::Done);
    }
    let behind = behind(accounts).await?;
    for (user, key) in &behind {
        let used = key.last_used.map_or_else(
            || "never used".to_owned(),
            |at| format!("last used {}", at.strftime("%Y-%m-%d %H:%M")),
        );
        desk.note(&format!("ends: {} of {}, {used}", key.id, whom(user)));
    }
    let what = match behind.len() {
        0 => "no API key ends by it".to_owned(),
        1 => "1 API key that has not passed over would end".to_owned(),
        many => format!("{many} API keys that have not passed over would end"),
    };
    if !(yes || desk.agrees(&format!("End the former key of the digests; {what}?"))) {
        return Err(refuse(
            ErrorKind::Refused,
            format!("the former key of the digests would end; {what}"),
            "let their holders use them once, or add --yes if that is meant",
        ));
    }
    let ended = accounts.retire_pepper().await;
    ended.map_err(could_not("end the former key of the digests"))?;
    for (user, key) in &behind {
        let details = format!(
            "{}: key {}, with the former key of the digests",
            whom(user),
            key.id
        );
        written(desk, user, "user-key-revoked", details).await;
    }
    everywhere(
        desk,
        accounts,
        "digest-key-ended",
        "the former one was removed",
    )
    .await?;
    desk.say("ended the former key of the digests");
    Ok(ExitCode::Done)
}

/// The live keys that have not passed over, with their users.
async fn behind(accounts: &Accounts) -> Result<Vec<(User, KeyInfo)>, Complaint> {
    let keys = accounts.keys_behind().await;
    let keys = keys.map_err(could_not("list the keys"))?;
    let users = accounts.users().await;
    let users = users.map_err(could_not("list the users"))?;
    let users: BTreeMap<i64, User> = users.into_iter().map(|user| (user.id, user)).collect();
    let with_user = keys
        .into_iter()
        .filter_map(|key| Some((users.get(&key.user_id)?.clone(), key)));
    Ok(with_user.collect())
}

/// Writes it down in the audit log of every profile that somebody works in with a key.
async fn everywhere(
    desk: &mut Desk<'_>,
    accounts: &Accounts,
    action: &'static str,
    how: &str,
) -> Result<(), Complaint> {
    let users = accounts.users().await;
    let users = users.map_err(could_not("list the users"))?;
    let profiles: BTreeMap<&str, &User> = users
        .iter()
        .map(|user| (user.profile.as_str(), user))
        .collect();
    for user in profiles.values() {
        let details = format!("key of the digests of all API keys: {how}");
        written(desk, user, action, details).await;
    }
    Ok(())
}
