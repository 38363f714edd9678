//! Hosts as a person defined them.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::directory::Profile;
use super::error::ProfileError;
use crate::domain::host::{
    Endpoint, HostId, HostName, HostSpec, HostSpecError, Jump, LibvirtUri, LoginMethod, Tag, Tier,
    UserName,
};

const SELECT: &str = "SELECT h.id, h.name, h.address, h.port, h.user, h.kind, h.uri, h.sudo, h.login, \
     c.name, h.key_file, h.jumps, h.tier, h.tags, h.read_only, h.accept_new_host_key, h.enabled \
     FROM host h LEFT JOIN credential c ON c.id = h.credential_id ORDER BY h.name, h.id";

const INSERT: &str = "INSERT INTO host (name, address, port, user, kind, uri, sudo, login, credential_id, \
     key_file, jumps, tier, tags, read_only, accept_new_host_key, enabled) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

const UPDATE: &str = "UPDATE host SET name = ?1, address = ?2, port = ?3, user = ?4, kind = ?5, uri = ?6, \
     sudo = ?7, login = ?8, credential_id = ?9, key_file = ?10, jumps = ?11, tier = ?12, tags = ?13, \
     read_only = ?14, accept_new_host_key = ?15, enabled = ?16 WHERE id = ?17";

impl Profile {
    /// Returns the hosts, ordered by name.
    pub async fn hosts(&self) -> Result<Vec<HostSpec>, ProfileError> {
        self.store
            .run(|connection| {
                let failed = |error| ProfileError::of("reading hosts", error);
                let mut query = connection.prepare_cached(SELECT).map_err(failed)?;
                let rows = query.query_map([], RawHost::read).map_err(failed)?;
                rows.map(|row| row.map_err(failed)?.parse()).collect()
            })
            .await
    }

    /// Adds a host (id 0) or changes one, and returns its id.
    pub async fn upsert_host(&self, spec: HostSpec) -> Result<HostId, ProfileError> {
        self.store
            .write("saving a host", move |transaction| {
                refuse_duplicate(transaction, &spec)?;
                save(transaction, &spec)
            })
            .await
    }

    /// Forgets a host and its cached inventory.
    pub async fn remove_host(&self, id: HostId) -> Result<(), ProfileError> {
        self.store
            .write("removing a host", move |transaction| {
                let removed = transaction
                    .execute("DELETE FROM host WHERE id = ?1", [id.0])
                    .map_err(|error| ProfileError::of("removing a host", error))?;
                if removed == 0 {
                    return Err(ProfileError::UnknownHost { id });
                }
                Ok(())
            })
            .await
    }
}

fn refuse_duplicate(transaction: &Transaction<'_>, spec: &HostSpec) -> Result<(), ProfileError> {
    let twin: Option<i64> = transaction
        .query_row(
            "SELECT id FROM host WHERE name = ?1 AND id <> ?2",
            params![spec.name.as_str(), spec.id.0],
            |row| row.get(0),
        )
        .optional()
        .map_err(|error| ProfileError::of("looking for a host", error))?;
    match twin {
        Some(_) => Err(ProfileError::DuplicateHost {
            name: spec.name.clone(),
        }),
        None => Ok(()),
    }
}

fn save(transaction: &Transaction<'_>, spec: &HostSpec) -> Result<HostId, ProfileError> {
    let failed = |error| ProfileError::of("saving a host", error);
    let (login, credential, key_file) = match &spec.login {
        LoginMethod::Default => ("default", None, None),
        LoginMethod::Agent => ("agent", None, None),
        LoginMethod::Credential(name) => {
            let id = super::credentials::id_of(transaction, name)?;
            ("credential", Some(id.0), None)
        }
        LoginMethod::KeyFile(path) => ("key_file", None, Some(path.to_string_lossy())),
    };
    let jumps = words(spec.jumps.iter())?;
    let tags = words(spec.tags.iter())?;
    let is_new = spec.id.0 == 0;
    let mut statement = transaction
        .prepare_cached(if is_new { INSERT } else { UPDATE })
        .map_err(failed)?;
    let fields = params![
        spec.name.as_str(),
        spec.endpoint.address,
        spec.endpoint.port,
        spec.user.as_ref().map(UserName::as_str),
        spec.kind.word(),
        spec.uri.as_ref().map(LibvirtUri::as_str),
        spec.sudo,
        login,
        credential,
        key_file,
        jumps,
        spec.tier.as_ref().map(Tier::as_str),
        tags,
        spec.read_only,
        spec.accept_new_host_key,
        spec.enabled,
    ];
    if is_new {
        statement.execute(fields).map_err(failed)?;
        return Ok(HostId(transaction.last_insert_rowid()));
    }
    let mut all = fields.to_vec();
    all.push(&spec.id.0);
    match statement.execute(all.as_slice()).map_err(failed)? {
        0 => Err(ProfileError::UnknownHost { id: spec.id }),
        _ => Ok(spec.id),
    }
}

fn words<T: ToString>(list: impl Iterator<Item = T>) -> Result<String, ProfileError> {
    let list: Vec<String> = list.map(|word| word.to_string()).collect();
    crate::json::to_line(&list).map_err(|error| ProfileError::Unreadable {
        what: error.to_string(),
    })
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "the columns of the table, one by one"
)]
/// A row as it is stored, before the rules of the domain have looked at it.
struct RawHost {
    id: i64,
    name: String,
    address: String,
    port: Option<u16>,
    user: Option<String>,
    kind: String,
    uri: Option<String>,
    sudo: bool,
    login: String,
    credential: Option<String>,
    key_file: Option<String>,
    jumps: String,
    tier: Option<String>,
    tags: String,
    read_only: bool,
    accept_new_host_key: bool,
    enabled: bool,
}

impl RawHost {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            address: row.get(2)?,
            port: row.get(3)?,
            user: row.get(4)?,
            kind: row.get(5)?,
            uri: row.get(6)?,
            sudo: row.get(7)?,
            login: row.get(8)?,
            credential: row.get(9)?,
            key_file: row.get(10)?,
            jumps: row.get(11)?,
            tier: row.get(12)?,
            tags: row.get(13)?,
            read_only: row.get(14)?,
            accept_new_host_key: row.get(15)?,
            enabled: row.get(16)?,
        })
    }

    /// Applies the domain's rules: a row edited by hand must not get past them.
    fn parse(self) -> Result<HostSpec, ProfileError> {
        let id = self.id;
        let bad = |field: &str, error: &dyn std::fmt::Display| ProfileError::Unreadable {
            what: format!("host {id}, {field}: {error}"),
        };
        let rule = |field: &'static str| move |error: HostSpecError| bad(field, &error);
        let name: HostName = self.name.parse().map_err(rule("name"))?;
        let checked: Endpoint = Endpoint {
            address: self.address,
            port: None,
        };
        // An address is checked in the form in which it is written, with brackets where they belong.
        let written = if checked.address.contains(':') {
            format!("[{}]", checked.address)
        } else {
            checked.address.clone()
        };
        let mut endpoint: Endpoint = written.parse().map_err(rule("address"))?;
        endpoint.port = self.port;
        let login = match (self.login.as_str(), self.credential, self.key_file) {
            ("agent", _, _) => LoginMethod::Agent,
            ("credential", Some(name), _) => {
                LoginMethod::Credential(name.parse().map_err(|error| bad("credential", &error))?)
            }
            ("key_file", _, Some(path)) => LoginMethod::KeyFile(PathBuf::from(path)),
            _ => LoginMethod::Default,
        };
        let jumps: Vec<Jump> =
            serde_json::from_str(&self.jumps).map_err(|error| bad("jumps", &error))?;
        let tags: Vec<Tag> =
            serde_json::from_str(&self.tags).map_err(|error| bad("tags", &error))?;
        let user = self.user.map(|user| user.parse()).transpose();
        let uri = self.uri.map(|uri| uri.parse()).transpose();
        let tier = self.tier.map(|tier| tier.parse()).transpose();
        Ok(HostSpec {
            user: user.map_err(rule("user"))?,
            kind: self
                .kind
                .parse()
                .map_err(|error: String| bad("kind", &error))?,
            uri: uri.map_err(rule("uri"))?,
            sudo: self.sudo,
            login,
            jumps,
            tier: tier.map_err(rule("tier"))?,
            tags,
            read_only: self.read_only,
            accept_new_host_key: self.accept_new_host_key,
            enabled: self.enabled,
            id: HostId(id),
            ..HostSpec::new(name, endpoint)
        })
    }
}
