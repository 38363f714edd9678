//! Hosts of the SSH client's configuration. Only the alias becomes the address of a host: what the configuration
//! says about it stays there and goes on being honoured.

use super::target::AliasSource;
use crate::domain::error_kind::Failure;
use crate::domain::host::{HostName, HostSpec, Jump};

/// A host that the configuration names; patterns are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Importable {
    /// Its name there.
    pub alias: String,
    /// Where it leads: `user@host:port`.
    pub leads_to: String,
    /// With what, and over which stops: `key ~/.ssh/lab, via gate`.
    pub how: String,
    /// The host it would become; `None` when its name cannot be used.
    pub spec: Option<HostSpec>,
}

impl Importable {
    /// Tells whether it is among these already, by its name or as an address.
    pub fn is_known<'a>(&self, hosts: impl IntoIterator<Item = &'a HostSpec>) -> bool {
        let known = |spec: &HostSpec| {
            spec.name.as_str() == self.alias || spec.endpoint.address == self.alias
        };
        hosts.into_iter().any(known)
    }
}

/// Lists what can be taken over.
pub fn importable(aliases: &dyn AliasSource) -> Result<Vec<Importable>, Failure> {
    let names = aliases.names()?;
    names.into_iter().map(|name| read(aliases, name)).collect()
}

fn read(aliases: &dyn AliasSource, alias: String) -> Result<Importable, Failure> {
    let found = aliases.resolve(&alias)?;
    let user = found.user.map(|user| format!("{user}@"));
    let port = found.port.map(|port| format!(":{port}"));
    let host = found.hostname.unwrap_or_else(|| alias.clone());
    let keys = found.identity_files.iter();
    let mut how: Vec<String> = keys.map(|path| format!("key {}", path.display())).collect();
    let jumps: Vec<String> = found.jumps.iter().map(Jump::to_string).collect();
    if !jumps.is_empty() {
        how.push(format!("via {}", jumps.join(" ")));
    }
    let parsed = (alias.parse::<HostName>(), alias.parse());
    let spec = match parsed {
        (Ok(name), Ok(endpoint)) => Some(HostSpec::new(name, endpoint)),
        _ => None,
    };
    Ok(Importable {
        leads_to: format!(
            "{}{host}{}",
            user.unwrap_or_default(),
            port.unwrap_or_default()
        ),
        how: how.join(", "),
        spec,
        alias,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error_kind::ErrorKind;
    use crate::fleet::target::Alias;

    #[derive(Debug)]
    struct Book(Result<Vec<(&'static str, Alias)>, Failure>);

    impl AliasSource for Book {
        fn resolve(&self, name: &str) -> Result<Alias, Failure> {
            let book = self.0.clone()?;
            let found = book.into_iter().find(|(known, _)| *known == name);
            Ok(found.map(|(_, alias)| alias).unwrap_or_default())
        }

        fn names(&self) -> Result<Vec<String>, Failure> {
            let book = self.0.clone()?;
            Ok(book.into_iter().map(|(name, _)| name.to_owned()).collect())
        }
    }

    #[test]
    fn an_alias_says_where_it_leads_and_becomes_a_host_that_keeps_asking_the_configuration() {
        let lab = Alias {
            hostname: Some("10.0.0.7".into()),
            port: Some(2222),
            user: Some("root".parse().unwrap()),
            identity_files: vec!["/keys/lab".into()],
            jumps: vec!["ops@gate".parse().unwrap()],
            ..Alias::default()
        };
        let book = Book(Ok(vec![("lab", lab), ("plain", Alias::default())]));
        let all = importable(&book).unwrap();
        assert_eq!(all[0].leads_to, "root@10.0.0.7:2222");
        assert_eq!(all[0].how, "key /keys/lab, via ops@gate");
        let spec = all[0].spec.clone().unwrap();
        assert_eq!(
            (spec.name.as_str(), spec.endpoint.to_string()),
            ("lab", "lab".to_owned())
        );
        assert_eq!(spec.user, None);
        assert_eq!(all[1].leads_to, "plain");
        assert!(all[0].is_known([&spec]) && !all[1].is_known([&spec]));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_no_empty_one() {
        let broken = Failure::new(ErrorKind::Config, "line 3 is broken");
        let refusal = importable(&Book(Err(broken.clone()))).unwrap_err();
        assert_eq!(refusal, broken);
    }
}
