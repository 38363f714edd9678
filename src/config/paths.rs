//! Where things are: by the platform's conventions, or everything under `VMDECK_HOME`.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::environment::Environment;
use super::error::ConfigError;

/// The directories and files of the program. None of them need exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The configuration file.
    pub config_file: PathBuf,
    /// What must not be lost: the profiles.
    pub data_root: PathBuf,
    /// What may be lost: logs.
    pub state: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
}

impl Paths {
    /// Finds them.
    pub fn resolve(environment: &Environment) -> Result<Self, ConfigError> {
        let mut paths = match environment.vmdeck_home() {
            Some(home) => Self::under(&home),
            None => Self::by_convention()?,
        };
        if let Some(file) = environment.config() {
            paths.config_file = file;
        }
        Ok(paths)
    }

    /// Puts everything under one folder.
    pub fn under(home: &Path) -> Self {
        Self {
            config_file: home.join("config.toml"),
            data_root: home.to_owned(),
            state: home.join("state"),
            cache: home.join("cache"),
        }
    }

    fn by_convention() -> Result<Self, ConfigError> {
        let dirs = ProjectDirs::from("", "", "vmdeck").ok_or(ConfigError::NoHome)?;
        Ok(Self {
            config_file: dirs.config_dir().join("config.toml"),
            data_root: dirs.data_dir().to_owned(),
            state: dirs
                .state_dir()
                .unwrap_or_else(|| dirs.data_local_dir())
                .to_owned(),
            cache: dirs.cache_dir().to_owned(),
        })
    }

    /// Returns the directory that holds the profiles: what `Profile` calls its root.
    pub fn profiles(&self) -> PathBuf {
        self.data_root.join("profiles")
    }

    /// Returns the directory of the server's accounts.
    pub fn server(&self) -> PathBuf {
        self.data_root.join("server")
    }

    /// Returns the directory of a person's own themes.
    pub fn themes(&self) -> PathBuf {
        self.config_file
            .parent()
            .unwrap_or(Path::new("."))
            .join("themes")
    }

    /// Returns the log file that is used when none is configured.
    pub fn log_file(&self) -> PathBuf {
        self.state.join("vmdeck.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_folder_holds_everything_when_asked_to() {
        let environment = Environment::of([("VMDECK_HOME", "/x"), ("VMDECK_CONFIG", "/y.toml")]);
        let paths = Paths::resolve(&environment).unwrap();
        assert_eq!(paths.config_file, Path::new("/y.toml"));
        assert_eq!(paths.profiles(), Path::new("/x/profiles"));
        assert_eq!(paths.log_file(), Path::new("/x/state/vmdeck.log"));
        assert_eq!(paths.cache, Path::new("/x/cache"));
    }
}
