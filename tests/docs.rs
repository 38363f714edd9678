//! What the documents say is what the code does: the parts between `<!-- generated:NAME -->` and
//! `<!-- /generated:NAME -->` are made here. `VMDECK_UPDATE_DOCS=1 cargo test --test docs` rewrites them.

#![cfg(test)]

#[path = "docs/size.rs"]
mod size;

use std::path::{Path, PathBuf};

use vmdeck::config::reference;
use vmdeck::domain::action::{ActionKind, Ask};
use vmdeck::domain::error_kind::{ErrorKind, ExitCode};
use vmdeck::domain::selector;
use vmdeck::domain::store_action::StoreVerb;

/// Every generated part by its name.
fn part(name: &str) -> Option<String> {
    if let Some(words) = name.strip_prefix("help") {
        return Some(help(words));
    }
    Some(match name {
        "exit-codes" => exit_codes(),
        "error-kinds" => error_kinds(),
        "verbs" => verbs(),
        "filter" => filter(),
        "columns-vms" => columns(0),
        "columns-hosts" => columns(1),
        "columns-snapshots" => columns(2),
        "columns-pools" => columns(3),
        "columns-volumes" => columns(4),
        "columns-networks" => columns(5),
        "store-verbs" => store_verbs(),
        "keys" => vmdeck::tui::command::markdown_table(),
        "config" => reference::markdown(),
        "size" => size::table(),
        _ => return None,
    })
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn exit_codes() -> String {
    let mut text = String::from("| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in ExitCode::ALL {
        text.extend([format!("| {} | {meaning} |\n", code.code())]);
    }
    text
}

fn error_kinds() -> String {
    let mut text = String::from("| kind | exit code |\n| --- | --- |\n");
    for row in ErrorKind::TABLE {
        text.extend([format!("| `{}` | {} |\n", row.word, row.exit.code())]);
    }
    text
}

fn verbs() -> String {
    let asks = |ask: Ask| match ask {
        Ask::Nothing => "–",
        Ask::Confirm => "`--yes`",
        Ask::TypeName => "`--yes`, named in full",
    };
    let mut text = String::from(
        "| verb | what | from | asks | on tier `prod` | for several |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for spec in &ActionKind::TABLE {
        let from = if spec.from.is_empty() {
            "any".to_owned()
        } else {
            spec.from.join(", ")
        };
        let word = match spec.kind {
            ActionKind::AutostartOn => "autostart on",
            ActionKind::AutostartOff => "autostart off",
            ActionKind::SnapshotCreate => "snapshot create",
            ActionKind::SnapshotRevert => "snapshot revert",
            ActionKind::SnapshotDelete => "snapshot delete",
            ActionKind::Edit => "set",
            _ => spec.id,
        };
        text.extend([format!(
            "| `{word}` | {} | {from} | {} | {} | {} |\n",
            spec.summary,
            asks(spec.asks),
            asks(spec.asks_on_prod),
            asks(spec.asks_in_bulk)
        )]);
    }
    text
}

fn store_verbs() -> String {
    let asks = |ask: Ask| match ask {
        Ask::Nothing => "–",
        Ask::Confirm => "`--yes`",
        Ask::TypeName => "`--yes`; in the dashboard the name typed",
    };
    let mut text =
        String::from("| verb | what | asks | on tier `prod` |\n| --- | --- | --- | --- |\n");
    for spec in &StoreVerb::TABLE {
        text.extend([format!(
            "| `{}` | {} | {} | {} |\n",
            spec.id,
            spec.summary,
            asks(spec.asks),
            asks(spec.asks_on_prod)
        )]);
    }
    text
}

fn filter() -> String {
    let mut text = String::from("| written | matches when |\n| --- | --- |\n");
    for (example, meaning) in selector::SYNTAX {
        text.extend([format!("| `{}` | {} |\n", cell(example), cell(meaning))]);
    }
    text
}

fn columns(which: usize) -> String {
    let mut text = String::from("| column | what |\n| --- | --- |\n");
    for (id, about) in &vmdeck::once::columns()[which] {
        text.extend([format!("| `{id}` | {} |\n", cell(about))]);
    }
    text
}

/// The help of a command: `help`, `help host add`.
fn help(words: &str) -> String {
    let mut definition = vmdeck::cli::command();
    definition.build();
    let mut page = &mut definition;
    for word in words.split_whitespace() {
        page = page
            .find_subcommand_mut(word)
            .unwrap_or_else(|| panic!("there is no command `{word}`"));
    }
    let text = page.clone().term_width(100).render_long_help().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("```text\n{}\n```\n", lines.join("\n").trim_end())
}

/// Returns a document with its generated parts as they should be.
fn renewed(text: &str, path: &Path) -> String {
    const OPEN: &str = "<!-- generated:";
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once(OPEN) {
        let (name, old) = from.split_once(" -->").expect("an end of the mark");
        let close = format!("<!-- /generated:{name} -->");
        let (_, after) = old
            .split_once(&close)
            .unwrap_or_else(|| panic!("{}: `{name}` is not closed", path.display()));
        let part =
            part(name).unwrap_or_else(|| panic!("{}: nothing makes `{name}`", path.display()));
        done.extend([before, OPEN, name, " -->\n", &part, &close]);
        rest = after;
    }
    done + rest
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md")];
    found.extend(
        std::fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "md")),
    );
    found.sort();
    found
}

#[test]
fn generated_parts_are_what_the_code_says() {
    #[expect(
        clippy::disallowed_methods,
        reason = "asks for the files to be rewritten"
    )]
    let update = std::env::vars().any(|(name, _)| name == "VMDECK_UPDATE_DOCS");
    let mut stale = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        let wanted = renewed(&text, &path);
        if wanted == text {
            continue;
        }
        if update {
            vmdeck::private_file::write_atomic(&path, wanted.as_bytes()).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(&path, mode).unwrap();
        } else {
            stale.push(path.display().to_string());
        }
    }
    assert!(
        stale.is_empty(),
        "out of date: {stale:?}; run `VMDECK_UPDATE_DOCS=1 cargo test --test docs`"
    );
}

#[test]
fn every_command_is_in_the_page_of_the_command_line() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md")).unwrap();
    for command in vmdeck::cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(page.contains(name), "`{name}` is not in docs/cli.md");
    }
}

/// The headings of a page as the ends of links: small letters, blanks as dashes, other signs left out.
fn anchors(text: &str) -> Vec<String> {
    let mut inside_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside_code = !inside_code;
        }
        if inside_code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        found.push(kept.collect::<String>().replace(' ', "-"));
    }
    found
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut broken = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let at = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            let leads = match std::fs::read_to_string(&at) {
                Ok(page) => anchor.is_empty() || anchors(&page).iter().any(|name| name == anchor),
                Err(_) => at.exists() && anchor.is_empty(),
            };
            if !leads {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

/// As the pictures of the dashboard: `VMDECK_UPDATE_PICTURES=1` writes it anew.
#[test]
fn the_plot_of_what_size_costs_is_of_the_last_run() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures/size.svg");
    let drawn = size::plot();
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of this test, not of the program"
    )]
    if std::env::var_os("VMDECK_UPDATE_PICTURES").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == drawn,
        "docs/pictures/size.svg is not of docs/size.csv; run this with VMDECK_UPDATE_PICTURES=1"
    );
}

#[test]
fn every_picture_is_shown_in_a_document() {
    let pages: String = documents()
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    for picture in std::fs::read_dir(folder).unwrap() {
        let name = picture.unwrap().file_name().into_string().unwrap();
        assert!(
            pages.contains(&format!("pictures/{name})")),
            "{name} is shown nowhere"
        );
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_test_that_the_checklist_names_is_there() {
    let page = read("docs/asvs.md");
    let named = regex::Regex::new(r"`((?:src|tests)/[a-z0-9_/]+\.rs)::([a-z0-9_]+)`").unwrap();
    let mut found = 0;
    let mut missing = Vec::new();
    for name in named.captures_iter(&page) {
        let (file, function) = (&name[1], &name[2]);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = std::fs::read_to_string(path).unwrap_or_default();
        found += 1;
        if !source.contains(&format!("fn {function}(")) {
            missing.push(format!("{file}::{function}"));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(found >= 100, "{found} names in docs/asvs.md");
}

#[test]
fn the_checklist_counts_its_rows() {
    let page = read("docs/asvs.md");
    let row = regex::Regex::new(
        r"(?m)^\| ([0-9]+\.[0-9]+\.[0-9]+) \| [12] \| [^|]+ \| (test|page|n/a|open) \| [^|]+ \|$",
    )
    .unwrap();
    let mut numbers = std::collections::BTreeSet::new();
    let mut words = Vec::new();
    for found in row.captures_iter(&page) {
        assert!(numbers.insert(found[1].to_owned()), "{} twice", &found[1]);
        words.push(found[2].to_owned());
    }
    let numbered = page.lines().filter(|line| {
        let rest = line.strip_prefix("| ").unwrap_or_default();
        rest.starts_with(|first: char| first.is_ascii_digit())
    });
    assert_eq!(numbered.count(), words.len(), "rows that are not read");
    let all = words.len();
    let of = |word: &str| words.iter().filter(|found| *found == word).count();
    let apply = all - of("n/a");
    let share = |part: usize, whole: usize| (part * 100 + whole / 2) / whole;
    let mut lines = vec![
        format!("| n/a | {} | {} % | – |", of("n/a"), share(of("n/a"), all)),
        format!("| all | {all} | 100 % | {apply} apply |"),
    ];
    for word in ["test", "page", "open"] {
        let count = of(word);
        let (of_all, of_these) = (share(count, all), share(count, apply));
        lines.push(format!("| {word} | {count} | {of_all} % | {of_these} % |"));
    }
    for line in lines {
        assert!(page.lines().any(|have| have == line), "should be: {line}");
    }
}
