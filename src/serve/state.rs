//! What every handler works with.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use super::contract::bot::Signatures;
use super::limit::Limits;
use super::meter::Meter;
use super::refusals::Refusals;
use super::tenant::{Fleets, Tenants};
use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::config::ServeConfig;
use crate::domain::secret::SecretText;
use crate::task::Tasks;

/// The server's state. Cloning is cheap; clones share everything.
#[derive(Debug, Clone)]
pub struct ServeState {
    /// Users, keys, grants, remembered answers.
    pub accounts: Accounts,
    /// The fleets of the profiles.
    pub tenants: Tenants,
    /// What was configured.
    pub config: Arc<ServeConfig>,
    /// Who may use the bot contract; `None` = it is off.
    pub bot: Option<Arc<BotAccess>>,
    /// What the bot contract remembers of signatures.
    pub signatures: Arc<Signatures>,
    /// Wall time.
    pub clock: Clock,
    /// When this run of the server began: no signature is older.
    pub began: jiff::Timestamp,
    /// Cancelled when the server ends: event streams and waits end with it.
    pub stop: CancellationToken,
    /// The server's own tasks: they end before the fleets do.
    pub tasks: Tasks,
    /// Rates and concurrency.
    pub limits: Arc<Limits>,
    /// What the metrics are made of.
    pub meter: Arc<Meter>,
    /// What was refused lately, for the log.
    pub refusals: Arc<Refusals>,
    /// Addresses that the server itself listens on: hosts added over the API may not have them.
    pub listening: Arc<[SocketAddr]>,
    /// Whether what clients send and get can be read on the way.
    pub plaintext: bool,
}

/// What the bot contract asks of its clients.
#[derive(Debug, Clone)]
pub struct BotAccess {
    /// The profile it is about.
    pub profile: String,
    /// The key.
    pub api_key: SecretText,
    /// The secret of its signatures; `None` = none is asked for.
    pub hmac_secret: Option<SecretText>,
    /// Who may ask; empty = everybody.
    pub allow: Vec<IpNet>,
}

impl ServeState {
    /// Puts the state together.
    pub fn new(
        accounts: Accounts,
        fleets: Arc<dyn Fleets>,
        config: Arc<ServeConfig>,
        clock: Clock,
        tasks: &Tasks,
    ) -> Self {
        let tasks = tasks.child();
        Self {
            tenants: Tenants::new(accounts.clone(), fleets, config.limit.fleets),
            accounts,
            bot: None,
            signatures: Arc::new(Signatures::new(&config.bot, clock.now())),
            began: clock.now(),
            clock,
            stop: tasks.token().clone(),
            tasks,
            limits: Arc::new(Limits::new(&config.limit)),
            meter: Arc::new(Meter::new()),
            refusals: Arc::default(),
            listening: Arc::from([]),
            plaintext: true,
            config,
        }
    }

    /// Switches the bot contract on.
    #[must_use]
    pub fn with_bot(mut self, bot: Option<BotAccess>) -> Self {
        self.bot = bot.map(Arc::new);
        self
    }

    /// Says where the server listens, and whether without TLS.
    #[must_use]
    pub fn listening_on(mut self, addresses: Vec<SocketAddr>, plaintext: bool) -> Self {
        self.listening = addresses.into();
        self.plaintext = plaintext;
        self
    }
}
