//! The configuration: behaviour, never hosts, never secrets. Validated once, then immutable.
//!
//! One table ([`keys::KEYS`]) says for every key what it means, its unit, range and default; reading,
//! layering, `config show --origin`, `config.example.toml` and the documentation follow from it. Layers:
//! default < file < environment < arguments, and the source of each value is kept. Nothing outside this
//! folder reads the environment, and this folder knows none of the layers it configures.

pub mod environment;
pub mod error;
mod file;
#[cfg(feature = "testing")]
pub(crate) mod fuzz;
pub mod keys;
mod nearest;
pub mod paths;
mod policy;
pub mod reference;
pub mod resolve;
mod serve_keys;
pub mod values;

pub use self::environment::Environment;
pub use self::error::{ConfigError, Place};
pub use self::paths::Paths;
pub use self::resolve::{Loaded, Origin, Sources, load};
pub use self::values::{
    AuditConfig, BotConfig, ColorChoice, CompatConfig, Config, LogConfig, LogLevel, OnceConfig,
    OutputChoice, PictureChoice, PollConfig, ServeConfig, ServeLimits, SshConfig, TuiConfig,
    VaultConfig,
};
