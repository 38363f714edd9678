//! Argument lists with placeholders. A value is always a part of one argument, whatever it holds.

use super::error::ProgramError;
use super::values::Values;
use crate::domain::text::{RemoteText, is_hostile};

/// The longest value that is put into an argument, in characters; no name is longer.
const LONGEST: usize = 4096;

/// Says whether an argument list can be filled at all, given the placeholders there are.
pub fn check(argv: &[String], known: &[&'static str]) -> Result<(), ProgramError> {
    let values = known
        .iter()
        .fold(Values::default(), |values, name| values.with(name, "x"));
    fill(argv, &values).map(drop)
}

/// Fills an argument list. One that would hold an unknown or dangerous value is refused.
pub fn fill(argv: &[String], values: &Values) -> Result<Vec<String>, ProgramError> {
    let (program, arguments) = argv.split_first().ok_or(ProgramError::Empty)?;
    if program.is_empty() {
        return Err(ProgramError::Empty);
    }
    if program.contains(['{', '}']) {
        return Err(ProgramError::NotFixed(visible(program)));
    }
    let mut filled = vec![program.clone()];
    for argument in arguments {
        filled.push(fill_one(argument, values)?);
    }
    Ok(filled)
}

/// Returns an argument list for people and records: each argument that is more than one plain word in
/// quotes, so that it is seen where one ends.
pub fn shown(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let words = argv.iter().map(|argument| {
        if !argument.is_empty() && argument.chars().all(plain) {
            argument.clone()
        } else {
            format!("{:?}", RemoteText::new(argument).shown())
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn visible(text: &str) -> String {
    RemoteText::new(text).fit(60)
}

fn fill_one(argument: &str, values: &Values) -> Result<String, ProgramError> {
    let mut text = String::with_capacity(argument.len());
    let mut chars = argument.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.next_if_eq(&c).is_some() => text.push(c),
            '{' => {
                let name: String = std::iter::from_fn(|| chars.next_if(|c| *c != '}')).collect();
                if chars.next().is_none() {
                    return Err(ProgramError::Brace(visible(argument)));
                }
                let value = value_of(&name, values)?;
                if text.is_empty() && value.starts_with('-') {
                    return Err(ProgramError::Unfit {
                        name,
                        why: "begins with `-` and would be read as an option",
                    });
                }
                text.push_str(value);
            }
            '}' => return Err(ProgramError::Brace(visible(argument))),
            c => text.push(c),
        }
    }
    Ok(text)
}

fn value_of<'a>(name: &str, values: &'a Values) -> Result<&'a str, ProgramError> {
    let value = values.get(name).ok_or_else(|| ProgramError::Unknown {
        name: visible(name),
        known: values.in_words(),
    })?;
    let value = value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| ProgramError::NoValue(name.to_owned()))?;
    let unfit = |why| ProgramError::Unfit {
        name: name.to_owned(),
        why,
    };
    if value.chars().any(is_hostile) {
        return Err(unfit("holds characters that nobody sees"));
    }
    if value.chars().count() > LONGEST {
        return Err(unfit("is too long"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::names;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn filled(template: &[&str], value: Option<&str>) -> Result<Vec<String>, String> {
        let values = match value {
            Some(value) => Values::default().with("vm.name", value),
            None => Values::default().without("vm.name"),
        };
        fill(&argv(template), &values).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_stays_one_argument_whatever_it_holds() {
        let name = "$(reboot); `id` \"' && web-1 *";
        let all = filled(
            &["ping", "--host={vm.name}", "{vm.name}", "{{}}"],
            Some(name),
        )
        .unwrap();
        let first = format!("--host={name}");
        assert_eq!(all, ["ping", first.as_str(), name, "{}"]);
    }

    #[test]
    fn what_is_empty_unknown_or_an_option_refuses_the_whole() {
        for (template, value, said) in [
            (&["p", "{vm.name}"][..], None, "not known now"),
            (&["p", "{vm.name}"], Some(""), "not known now"),
            (&["p", "{vm.name}"], Some("--all"), "as an option"),
            (&["p", "{vm.name}"], Some("a\u{202e}b"), "nobody sees"),
            (&["p", "{vm.name}"], Some("a\nb"), "nobody sees"),
            (&["p", "{vm.name}"], Some("a\0b"), "nobody sees"),
            (
                &["p", "{host}"],
                Some("x"),
                "no placeholder here ({vm.name})",
            ),
            (&["p", "{vm.name"], Some("x"), "partner"),
            (&["p", "name}"], Some("x"), "partner"),
            (&["{vm.name}"], Some("x"), "as it is"),
            (&[""], Some("x"), "no program"),
            (&[], Some("x"), "no program"),
        ] {
            let error = filled(template, value).unwrap_err();
            assert!(error.contains(said), "{template:?} with {value:?}: {error}");
        }
        assert!(filled(&["p", "--vm={vm.name}"], Some("--all")).is_ok());
        assert!(
            check(&argv(&["p", "{x}"]), &[])
                .unwrap_err()
                .to_string()
                .contains("none")
        );
    }

    #[test]
    fn every_hostile_name_is_refused_or_one_argument_exactly_as_it_is() {
        let mut taken = 0;
        for name in names::hostile() {
            match filled(&["p", "{vm.name}", "x={vm.name}"], Some(&name)) {
                Ok(all) => {
                    assert_eq!(all, ["p", name.as_str(), &format!("x={name}")]);
                    assert!(!name.starts_with('-') && !name.chars().any(is_hostile));
                    taken += 1;
                }
                Err(why) => assert!(
                    name.starts_with('-')
                        || name.is_empty()
                        || name.chars().count() > LONGEST
                        || name.chars().any(is_hostile),
                    "{}: {why}",
                    visible(&name)
                ),
            }
        }
        assert!(taken > 100, "{taken}");
    }

    #[test]
    fn a_list_is_shown_so_that_it_is_seen_where_an_argument_ends() {
        let all = argv(&["ssh", "root@10.0.0.1", "a b", "", "x\"y", "\u{1b}[2J"]);
        assert_eq!(
            shown(&all),
            "ssh root@10.0.0.1 \"a b\" \"\" \"x\\\"y\" \"␛[2J\""
        );
    }
}
