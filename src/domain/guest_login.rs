//! How somebody logs in to a VM itself: as whom, with what, where. Kept in the profile as a line of words.

use std::net::IpAddr;

use super::host::{Endpoint, LoginMethod, UserName};
use super::vm::VmId;

/// A login to a VM over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLogin {
    /// The account in the VM.
    pub user: UserName,
    /// What to log in with.
    pub login: LoginMethod,
    /// Where its SSH server listens, as its host reaches it.
    pub at: Endpoint,
}

impl GuestLogin {
    /// Reads what was typed into a form; the error says what is wrong, in a sentence's fragment.
    pub fn read(user: &str, with: &str, at: &str) -> Result<Self, String> {
        let user = user.trim().parse::<UserName>();
        let user = user.map_err(|error| error.to_string())?;
        let at: Endpoint = at
            .trim()
            .parse()
            .map_err(|_odd| "an address is needed, like 10.0.3.17 or [fd00::5]:2222".to_owned())?;
        let login = method(with.trim())?;
        Ok(Self { user, login, at })
    }

    /// Returns what it logs in with, as it is typed: nothing for what the SSH client would do.
    pub fn with(&self) -> String {
        match &self.login {
            LoginMethod::Default => String::new(),
            LoginMethod::Agent => AGENT.to_owned(),
            LoginMethod::Credential(name) => name.to_string(),
            LoginMethod::KeyFile(path) => path.display().to_string(),
        }
    }

    /// Returns it as it is kept: account, port, address, and what it logs in with.
    pub fn words(&self) -> String {
        let (port, address) = (self.at.port_or_default(), &self.at.address);
        format!("{} {port} {address} {}", self.user, self.with())
    }

    /// Reads what was kept. A VM that is at another address by now is logged in to there.
    pub fn of_words(words: &str, now_at: Option<&str>) -> Option<Self> {
        let mut parts = words.splitn(4, ' ');
        let user = parts.next()?.parse().ok()?;
        let port: u16 = parts.next()?.parse().ok()?;
        let then_at = parts.next()?;
        Some(Self {
            user,
            at: Endpoint::new(now_at.unwrap_or(then_at), port),
            login: method(parts.next().unwrap_or_default()).ok()?,
        })
    }
}

/// Word for the SSH agent.
const AGENT: &str = "agent";

fn method(with: &str) -> Result<LoginMethod, String> {
    Ok(match with {
        "" => LoginMethod::Default,
        AGENT => LoginMethod::Agent,
        path if path.contains('/') => LoginMethod::KeyFile(path.into()),
        name => LoginMethod::Credential(
            name.parse()
                .map_err(|_odd| "that is no credential's name and no path".to_owned())?,
        ),
    })
}

/// Returns the name that the key of a VM's SSH server is filed under: its own, whatever its address is.
pub fn key_label(vm: &VmId) -> String {
    format!("vm-{vm}").to_ascii_lowercase()
}

/// Returns the address to log in at, of those that are known: one that its host can reach as it is.
pub fn best_address(addresses: impl IntoIterator<Item = IpAddr>) -> Option<IpAddr> {
    let mut usable: Vec<IpAddr> = addresses
        .into_iter()
        .filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified(),
            // A link's own address means nothing without the name of the link.
            IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified(),
        })
        .collect();
    usable.sort_by_key(IpAddr::is_ipv6);
    usable.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_found_again() {
        for with in ["", "agent", "web-key", "/home/ann/.ssh/id"] {
            let login = GuestLogin::read(" root ", with, "10.0.3.17:2222").unwrap();
            assert_eq!(login.with(), with);
            let again = GuestLogin::of_words(&login.words(), None).unwrap();
            assert_eq!(again, login);
            let moved = GuestLogin::of_words(&login.words(), Some("10.0.3.18")).unwrap();
            assert_eq!(moved.at.to_string(), "10.0.3.18:2222");
        }
        for (user, with, at) in [
            ("", "", "10.0.3.17"),
            ("a b", "", "10.0.3.17"),
            ("root", "no name!", "10.0.3.17"),
            ("root", "", ""),
            ("root", "", "10.0.3.17:99999"),
        ] {
            assert!(
                GuestLogin::read(user, with, at).is_err(),
                "{user} {with} {at}"
            );
        }
        for odd in [
            "",
            "root",
            "root x 10.0.3.17 agent",
            "root 70000 10.0.3.17 agent",
        ] {
            assert_eq!(GuestLogin::of_words(odd, None), None, "{odd}");
        }
    }

    #[test]
    fn an_address_that_its_host_can_reach_is_chosen() {
        let best = |all: &[&str]| best_address(all.iter().map(|ip| ip.parse().unwrap()));
        let of = |ip: &str| Some(ip.parse().unwrap());
        assert_eq!(best(&["fe80::1", "fd00::5", "10.0.3.17"]), of("10.0.3.17"));
        assert_eq!(best(&["fe80::1", "169.254.3.4", "fd00::5"]), of("fd00::5"));
        assert_eq!(best(&["fe80::1"]), None);
    }
}
