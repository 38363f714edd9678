//! The architecture, held by a test: which layer may name which, which external crate stays in which
//! folder, that no two layers form a cycle, and that every file says what it is for.
//!
//! It reads the sources as text: `crate::x` paths and external crate paths outside `#[cfg(test)]`
//! modules. When a change fights this table, the table and `docs/architecture.md` change together.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Leaf utilities: usable from any layer but `domain`, and using nothing but `domain` and each other.
const LEAVES: &[&str] = &[
    "clock",
    "database",
    "json",
    "png",
    "private_file",
    "program",
    "resolve",
    "task",
];

/// What each layer may name, besides itself and the leaves.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("transport", &["domain"]),
    ("hypervisor", &["transport", "domain"]),
    ("session", &["hypervisor", "transport", "domain"]),
    ("profile", &["domain"]),
    ("vault", &["domain"]),
    ("audit", &["domain"]),
    ("config", &["domain"]),
    ("accounts", &["domain"]),
    (
        "fleet",
        &[
            "session",
            "hypervisor",
            "transport",
            "profile",
            "audit",
            "vault",
            "domain",
        ],
    ),
    ("tui", &["fleet", "domain", "config"]),
    ("once", &["fleet", "domain", "config", "report"]),
    ("serve", &["fleet", "accounts", "domain", "config"]),
    ("hooks", &["fleet", "domain", "config"]),
    ("sim", &["domain"]),
    ("report", &["domain"]),
    ("logging", &["domain", "config"]),
    ("cli", &["domain", "config"]),
    (
        "manage",
        &[
            "cli",
            "fleet",
            "hypervisor",
            "transport",
            "profile",
            "audit",
            "vault",
            "accounts",
            "config",
            "report",
            "domain",
        ],
    ),
    (
        "app",
        &[
            "cli",
            "manage",
            "tui",
            "once",
            "serve",
            "hooks",
            "accounts",
            "sim",
            "session",
            "fleet",
            "hypervisor",
            "transport",
            "profile",
            "audit",
            "vault",
            "config",
            "report",
            "logging",
            "domain",
        ],
    ),
    (
        "main",
        &["app", "cli", "report", "domain", "config", "logging"],
    ),
];

/// External crates and the only places that may name them.
const FENCES: &[(&str, &[&str])] = &[
    ("russh", &["transport/ssh", "sim"]),
    ("rusqlite", &["database.rs", "profile", "accounts"]),
    ("axum", &["serve"]),
    ("hyper", &["serve"]),
    ("hyper_util", &["serve"]),
    ("tower", &["serve"]),
    ("tokio_rustls", &["serve"]),
    ("governor", &["serve"]),
    ("utoipa", &["serve"]),
    ("utoipa_axum", &["serve"]),
    ("prometheus_client", &["serve"]),
    ("sd_notify", &["app"]),
    ("subtle", &["accounts", "serve"]),
    ("ipnet", &["config", "serve"]),
    ("age", &["vault"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("tui_input", &["tui"]),
    ("vt100", &["tui"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("anyhow", &["main.rs"]),
    ("rpassword", &["manage"]),
    ("directories", &["config"]),
    ("toml", &["config", "sim", "tui"]),
    ("roxmltree", &["hypervisor"]),
    ("similar", &["domain/definition.rs"]),
    ("nucleo_matcher", &["tui"]),
    ("tracing_subscriber", &["logging"]),
];

/// What the words of the field may be built on.
const DOMAIN_CRATES: &[&str] = &[
    "std",
    "core",
    "serde",
    "thiserror",
    "zeroize",
    "jiff",
    "regex",
    "similar",
    "unicode_width",
    "unicode_segmentation",
];

/// Longest file in lines without its tests; a longer one holds more than one concept.
const LONGEST_FILE: usize = 600;

struct Source {
    /// Path below `src`.
    path: PathBuf,
    /// Top-level module.
    layer: String,
    /// Whole text.
    text: String,
    /// Text without test modules and comments.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 10, "the sources were not found");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let below = path.strip_prefix(root).unwrap().to_path_buf();
            let first = below
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_string_lossy();
            let layer = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            // A file of tests or of fuzz targets belongs to the module beside it, behind its `#[cfg]`.
            let of_tests = ["tests.rs", "fuzz.rs"]
                .iter()
                .any(|end| below.to_string_lossy().ends_with(end));
            let code = if of_tests {
                String::new()
            } else {
                without_tests_and_comments(&text)
            };
            found.push(Source {
                path: below,
                layer,
                text,
                code,
            });
        }
    }
}

/// Drops everything from a `#[cfg(test)]` or `#[cfg(feature = "testing")]` item to its closing brace, and comments.
fn without_tests_and_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        if bare.starts_with("#[cfg(test)]") || bare.starts_with("#[cfg(feature = \"testing\")]") {
            skip_item(&mut lines);
        } else if !bare.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>) {
    let mut depth = 0_i64;
    let mut opened = false;
    for line in lines {
        if line.trim_start().starts_with("#[") && !opened {
            continue;
        }
        for c in line.chars() {
            match c {
                '{' => {
                    depth += 1;
                    opened = true;
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        if (opened && depth <= 0) || (!opened && line.trim_end().ends_with(';')) {
            return;
        }
    }
}

/// Every `crate::x` that the code names, braces of `use crate::{a, b}` included.
fn own_modules(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code.get(..at).unwrap_or_default().chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = code.get(at + found.len()..).unwrap_or_default();
        if let Some(list) = rest.strip_prefix('{') {
            let list = list.split("};").next().unwrap_or("");
            let mut depth = 0;
            let mut word = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        named.extend(first_word(word.trim()));
                        word.clear();
                    }
                    _ => word.push(c),
                }
            }
            named.extend(first_word(word.trim()));
        } else {
            named.extend(first_word(rest));
        }
    }
    named
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default().chars().next_back();
        let after = code.get(at + name.len()..).unwrap_or_default();
        let head = code.get(..at).unwrap_or_default();
        let own_path = head.ends_with("::") && !head.ends_with(" ::");
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"' || c == '.')
            && !own_path
            && after.starts_with("::")
    })
}

#[test]
fn arrows_point_one_way() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let layers: BTreeSet<String> = sources()
        .iter()
        .map(|source| source.layer.clone())
        .collect();
    let mut wrong = Vec::new();
    for source in sources() {
        if matches!(source.layer.as_str(), "lib" | "testing") {
            continue;
        }
        let leaf = LEAVES.contains(&source.layer.as_str());
        let allowed: &[&str] = match arrows.get(source.layer.as_str()) {
            Some(allowed) => allowed,
            None if leaf => &["domain"],
            None => {
                wrong.push(format!(
                    "{}: layer `{}` has no row in ARROWS",
                    source.path.display(),
                    source.layer
                ));
                continue;
            }
        };
        for named in own_modules(&source.code) {
            let known = layers.contains(&named);
            let fine = named == source.layer
                || allowed.contains(&named.as_str())
                || (LEAVES.contains(&named.as_str()) && source.layer != "domain");
            if known && !fine {
                wrong.push(format!(
                    "{}: `{}` may not name `{named}`",
                    source.path.display(),
                    source.layer
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn visit<'a>(layer: &'a str, arrows: &BTreeMap<&'a str, &'a [&'a str]>, path: &mut Vec<&'a str>) {
    assert!(!path.contains(&layer), "cycle: {path:?} -> {layer}");
    path.push(layer);
    for next in arrows.get(layer).copied().unwrap_or_default() {
        visit(next, arrows, path);
    }
    path.pop();
}

#[test]
fn the_table_of_arrows_has_no_cycle() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for (layer, _) in ARROWS {
        visit(layer, &arrows, &mut Vec::new());
    }
}

#[test]
fn external_crates_stay_in_their_folders() {
    let mut wrong = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy();
        for (name, places) in FENCES {
            let inside = places.iter().any(|place| path.starts_with(place));
            if !inside && names_crate(&source.code, name) {
                wrong.push(format!("{path} names `{name}`, which stays in {places:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn domain_is_pure() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.layer == "domain") {
        for line in source.code.lines() {
            let Some(path) = line.trim_start().strip_prefix("use ") else {
                continue;
            };
            let Some(first) = first_word(path) else {
                continue;
            };
            if !matches!(first.as_str(), "super" | "self" | "crate")
                && !DOMAIN_CRATES.contains(&first.as_str())
            {
                wrong.push(format!("{} uses `{first}`", source.path.display()));
            }
        }
        for forbidden in [
            "std::fs",
            "std::net::Tcp",
            "std::process",
            "std::thread",
            "std::env",
        ] {
            if source.code.contains(forbidden) {
                wrong.push(format!("{} names `{forbidden}`", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no `//!` head: {silent:?}");
}

#[test]
fn files_hold_one_concept() {
    let long: Vec<String> = sources()
        .iter()
        .map(|source| (source.code.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{} ({lines} lines)", path.display()))
        .collect();
    assert!(
        long.is_empty(),
        "longer than {LONGEST_FILE} lines without tests: {long:?}"
    );
}

#[test]
fn the_lock_file_keeps_russh_and_age_apart() {
    let lock =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let packages: Vec<(&str, &str)> = lock
        .split("[[package]]")
        .filter_map(|block| {
            let field = |name: &str| {
                block.lines().find_map(|line| {
                    line.strip_prefix(name)?
                        .strip_prefix(" = \"")?
                        .strip_suffix('"')
                })
            };
            Some((field("name")?, field("version")?))
        })
        .collect();
    let versions = |name: &str| -> Vec<&str> {
        packages
            .iter()
            .filter(|(found, _)| *found == name)
            .map(|(_, version)| *version)
            .collect()
    };
    assert!(
        versions("ml-kem")
            .iter()
            .all(|version| !version.starts_with("0.2")),
        "ml-kem 0.2 does not build beside russh"
    );
    for once in ["ratatui-core", "crossterm", "rusqlite", "russh", "tokio"] {
        assert_eq!(
            versions(once).len(),
            1,
            "{once} must be in the build exactly once"
        );
    }
}
