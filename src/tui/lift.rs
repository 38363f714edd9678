//! `:rw prod 30`: the read-only of a tier's hosts, or of one host, lifted for a while; `:ro prod` ends it.

use std::time::Duration;

use super::app::App;
use super::effect::Effect;
use super::keeping::Keep;
use super::theme::Role;
use crate::config::keys::{parse_duration, render_duration};
use crate::domain::host::{HostId, HostSpec, Tier};
use crate::fleet::lift::LONGEST;

/// The shortest that can be typed.
const SHORTEST: Duration = Duration::from_secs(1);

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    /// Whether to end it.
    end: bool,
    /// The name of a tier or a host.
    of: String,
    /// For how long; `None` = as configured.
    lasting: Option<Duration>,
}

/// Reads `rw WORD [TIME]` or `ro WORD`; `None` when it is something else. A bare number is one of minutes.
fn read(text: &str) -> Option<Result<Wish, String>> {
    let mut words = text.split_whitespace();
    let end = match words.next()? {
        "rw" => false,
        "ro" => true,
        _ => return None,
    };
    let of = words.next()?.to_owned();
    let lasting = match (words.next(), end) {
        (None, _) => None,
        (Some(_), true) => {
            return Some(Err(
                "`ro` takes a tier or a host and nothing else".to_owned()
            ));
        }
        (Some(word), false) => match time(word) {
            Some(time) => Some(time),
            None => {
                return Some(Err(format!(
                    "`{word}` is no time from 1s to {} (a bare number is one of minutes)",
                    render_duration(LONGEST)
                )));
            }
        },
    };
    match words.next() {
        None => Some(Ok(Wish { end, of, lasting })),
        Some(more) => Some(Err(format!("`{more}` is one word too many"))),
    }
}

fn time(word: &str) -> Option<Duration> {
    let time = match word.parse::<u64>() {
        Ok(minutes) => Duration::from_secs(minutes.checked_mul(60)?),
        Err(_) => parse_duration(word)?,
    };
    (SHORTEST..=LONGEST).contains(&time).then_some(time)
}

fn fits(spec: &HostSpec, of: &str) -> bool {
    spec.read_only && (spec.name.as_str() == of || spec.tier.as_ref().map(Tier::as_str) == Some(of))
}

/// Tells whether a text in the palette is about this.
pub fn is_about(text: &str) -> bool {
    read(text).is_some()
}

/// Tells whether what is named there is read-only by its own flag.
pub fn names_something(app: &App, text: &str) -> bool {
    match read(text) {
        Some(Ok(wish)) => {
            let mut hosts = app.snapshot.hosts.iter();
            hosts.any(|host| fits(&host.spec, &wish.of))
        }
        Some(Err(_)) => true,
        None => false,
    }
}

/// Does what was typed into the palette, where it is about this.
pub fn typed(app: &mut App, text: &str) -> Option<Vec<Effect>> {
    let wish = match read(text)? {
        Ok(wish) => wish,
        Err(why) => {
            app.say(Role::Warning, why);
            return Some(Vec::new());
        }
    };
    if app.snapshot.read_only {
        app.say(
            Role::Warning,
            "the program is read-only: that is not lifted host by host",
        );
        return Some(Vec::new());
    }
    let hosts = app.snapshot.hosts.iter();
    let hosts: Vec<HostId> = hosts
        .filter(|host| fits(&host.spec, &wish.of))
        .map(|host| host.spec.id)
        .collect();
    if hosts.is_empty() {
        let text = format!(
            "no host that is called `{0}`, or of tier `{0}`, is read-only",
            wish.of
        );
        app.say(Role::Warning, text);
        return Some(Vec::new());
    }
    let lasting = if wish.end {
        Duration::ZERO
    } else {
        wish.lasting.unwrap_or(app.settings.lift_for)
    };
    Some(vec![Effect::Keep(Keep::Lift(hosts, lasting))])
}

/// Says what may be typed, for the palette: each tier and host that is read-only by its own flag.
pub fn offers(app: &App) -> Vec<(String, String)> {
    let mut words: Vec<&str> = Vec::new();
    for host in app.snapshot.hosts.iter().filter(|host| host.spec.read_only) {
        let tier = host.spec.tier.as_ref().map(Tier::as_str);
        for word in tier.into_iter().chain([host.spec.name.as_str()]) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    let minutes = app.settings.lift_for.as_secs() / 60;
    words
        .into_iter()
        .map(|word| {
            (
                format!("rw {word}"),
                format!("changes allowed for {minutes} min"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_or_told_what_is_wrong_with_it() {
        let wish = |end, seconds: Option<u64>| Wish {
            end,
            of: "prod".to_owned(),
            lasting: seconds.map(Duration::from_secs),
        };
        for (text, expected) in [
            ("rw prod", Some(Ok(wish(false, None)))),
            (" rw  prod 30 ", Some(Ok(wish(false, Some(1800))))),
            ("rw prod 5m", Some(Ok(wish(false, Some(300))))),
            ("rw prod 90s", Some(Ok(wish(false, Some(90))))),
            ("rw prod 1h30m", Some(Ok(wish(false, Some(5400))))),
            ("ro prod", Some(Ok(wish(true, None)))),
            ("rw", None),
            ("reboot", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in [
            "rw prod 0",
            "rw prod 481",
            "rw prod 9h",
            "rw prod 999ms",
            "rw prod 99999999999999999999",
            "rw prod 18446744073709551615",
            "rw prod soon",
            "ro prod 5",
            "rw prod 5 6",
        ] {
            assert!(matches!(read(text), Some(Err(_))), "{text}");
        }
    }
}
