//! The example configuration and its documentation say what the code does.

#![cfg(test)]

use vmdeck::config::{self, Config, Environment, Paths, Sources, reference};

/// Returns a file of the repository.
fn file(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_example_is_what_the_code_would_write() {
    #[expect(
        clippy::disallowed_methods,
        reason = "asks for the file to be rewritten"
    )]
    if std::env::var_os("VMDECK_UPDATE_DOCS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
        std::fs::write(path, reference::example()).unwrap();
    }
    assert_eq!(file("config.example.toml"), reference::example());
}

#[test]
fn the_example_says_exactly_the_defaults() {
    let root = tempfile::tempdir().unwrap();
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    let loaded = config::load(&Sources {
        file: Some(&example),
        paths: &Paths::under(root.path()),
        environment: &Environment::default(),
        arguments: &[],
    })
    .unwrap();
    assert_eq!(loaded.config, Config::default());
    let set: Vec<&str> = loaded.origins.keys().map(String::as_str).collect();
    let mut known = reference::key_paths();
    known.sort_unstable();
    assert_eq!(set, known, "every key is in the example");
}

#[test]
fn the_examples_of_rules_and_keys_are_valid_too() {
    let example = reference::example();
    let uncommented: String = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.starts_with('[')
                    || rest
                        .split_once(" = ")
                        .is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("config.toml");
    vmdeck::private_file::write_atomic(&path, uncommented.as_bytes()).unwrap();
    let loaded = config::load(&Sources {
        file: Some(&path),
        paths: &Paths::under(root.path()),
        environment: &Environment::default(),
        arguments: &[],
    })
    .unwrap();
    assert_eq!(loaded.config.policy.len(), 1);
    assert_eq!(loaded.config.tui.keys.len(), 1);
    vmdeck::tui::keymap::Keymap::new(&loaded.config.tui.keys).unwrap();
}

#[test]
fn the_documentation_holds_the_table_of_keys() {
    let page = file("docs/configuration.md");
    assert!(
        page.contains(&reference::markdown()),
        "docs/configuration.md must hold this:\n\n{}",
        reference::markdown()
    );
}
