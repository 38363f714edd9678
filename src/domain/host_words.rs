//! A host's definition in words, and what changed between two of them: for records that people read later.
//! A definition names credentials and key files and never holds one, so nothing secret can stand here.

use super::host::{HostSpec, KindChoice, LoginMethod};

/// Returns what a definition says, in one line; what is left at its default is left out.
pub fn summary(spec: &HostSpec) -> String {
    let facts = facts(spec);
    let said = facts
        .into_iter()
        .filter_map(|(word, value)| value.map(|value| phrase(word, &value)));
    said.collect::<Vec<String>>().join(", ")
}

/// Returns what changed, in one line.
pub fn changes(before: &HostSpec, after: &HostSpec) -> String {
    let mut changed = Vec::new();
    if before.name != after.name {
        changed.push(format!("name {} -> {}", before.name, after.name));
    }
    for ((word, old), (_, new)) in facts(before).into_iter().zip(facts(after)) {
        if old != new {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
            changed.push(format!("{word} {} -> {}", shown(old), shown(new)));
        }
    }
    changed.join(", ")
}

fn phrase(word: &str, value: &str) -> String {
    if value == YES {
        word.to_owned()
    } else {
        format!("{word} {value}")
    }
}

const YES: &str = "yes";

/// Every member but name and id; `None` = as it is when nobody says anything.
fn facts(spec: &HostSpec) -> [(&'static str, Option<String>); 12] {
    let yes = |on: bool| on.then(|| YES.to_owned());
    let joined = |words: Vec<String>| (!words.is_empty()).then(|| words.join(" "));
    [
        ("address", Some(spec.endpoint.to_string())),
        ("user", spec.user.as_ref().map(ToString::to_string)),
        (
            "hypervisor",
            (spec.kind != KindChoice::Auto).then(|| spec.kind.word().to_owned()),
        ),
        ("uri", spec.uri.as_ref().map(ToString::to_string)),
        ("sudo", yes(spec.sudo)),
        ("login", login(&spec.login)),
        (
            "through",
            joined(spec.jumps.iter().map(ToString::to_string).collect()),
        ),
        ("tier", spec.tier.as_ref().map(ToString::to_string)),
        (
            "tags",
            joined(spec.tags.iter().map(ToString::to_string).collect()),
        ),
        ("read-only", yes(spec.read_only)),
        ("accepts any first host key", yes(spec.accept_new_host_key)),
        ("switched off", yes(!spec.enabled)),
    ]
}

fn login(login: &LoginMethod) -> Option<String> {
    match login {
        LoginMethod::Default => None,
        LoginMethod::Agent => Some("agent".to_owned()),
        LoginMethod::Credential(name) => Some(format!("credential {name}")),
        LoginMethod::KeyFile(path) => Some(format!("key file {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> HostSpec {
        HostSpec::new("kvm1".parse().unwrap(), "kvm1.lan:2222".parse().unwrap())
    }

    #[test]
    fn a_definition_in_words_has_what_was_said() {
        assert_eq!(summary(&spec()), "address kvm1.lan:2222");
        let spec = HostSpec {
            user: Some("ops".parse().unwrap()),
            kind: KindChoice::Libvirt,
            sudo: true,
            tags: vec!["waw".parse().unwrap(), "lab".parse().unwrap()],
            read_only: true,
            ..spec()
        };
        assert_eq!(
            summary(&spec),
            "address kvm1.lan:2222, user ops, hypervisor libvirt, sudo, tags waw lab, read-only"
        );
    }

    #[test]
    fn changes_name_both_sides() {
        let after = HostSpec {
            name: "kvm2".parse().unwrap(),
            user: Some("ops".parse().unwrap()),
            enabled: false,
            ..spec()
        };
        assert_eq!(
            changes(&spec(), &after),
            "name kvm1 -> kvm2, user – -> ops, switched off – -> yes"
        );
        assert_eq!(changes(&after, &after), "");
    }
}
