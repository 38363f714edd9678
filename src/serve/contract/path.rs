//! Names in paths: decoded once, by one strict rule. Pure.
//!
//! The path is split where it was sent with `/`; a `%2F` is part of a name. What could mean two things
//! to two readers (a NUL, UTF-8 that is none, a dot segment, half an escape) is refused.

/// A path segment cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path holds a name that cannot be read")]
pub(super) struct Unreadable;

/// Returns the segment of a path at an index, decoded. The segment before the first `/` is number 0.
pub(super) fn segment(path: &str, index: usize) -> Result<String, Unreadable> {
    let raw = path
        .trim_start_matches('/')
        .split('/')
        .nth(index)
        .ok_or(Unreadable)?;
    decode(raw)
}

/// Decodes `%XX`; refuses what is no name.
pub(super) fn decode(raw: &str) -> Result<String, Unreadable> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (rest.next().and_then(digit), rest.next().and_then(digit))
        else {
            return Err(Unreadable);
        };
        bytes.push((high << 4) | low);
    }
    let text = String::from_utf8(bytes).map_err(|_not_utf8| Unreadable)?;
    if text.is_empty() || text == "." || text == ".." || text.contains('\0') {
        return Err(Unreadable);
    }
    Ok(text)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Returns the values of a member of a query, decoded; `+` is a blank there.
pub(super) fn query(query: Option<&str>, name: &str) -> Result<Vec<String>, Unreadable> {
    query
        .unwrap_or_default()
        .split('&')
        .filter_map(|member| {
            let (key, value) = member.split_once('=').unwrap_or((member, ""));
            (key == name).then_some(value)
        })
        .map(|value| {
            if value.is_empty() {
                return Ok(String::new());
            }
            decode(&value.replace('+', "%20"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_decoded_once_and_split_where_they_were_sent_split() {
        for (path, name) in [
            ("/vm/web-1/start", "web-1"),
            ("/vm/Windows%2010/state", "Windows 10"),
            ("/vm/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82/state", "привет"),
            ("/vm/kvm1%2Fweb-1/start", "kvm1/web-1"),
            ("/vm/a%252e/start", "a%2e"),
            ("/vm/%24%28reboot%29/start", "$(reboot)"),
            ("/vm/a%0Ab/start", "a\nb"),
        ] {
            assert_eq!(segment(path, 1).as_deref(), Ok(name), "{path}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for raw in [
            "",
            ".",
            "..",
            "%2e%2e",
            "%2E",
            "a%00b",
            "%",
            "%4",
            "%zz",
            "%c0%af",
            "%ff",
            "%ed%a0%80",
        ] {
            assert_eq!(decode(raw), Err(Unreadable), "{raw:?}");
        }
        assert_eq!(segment("/vm", 1), Err(Unreadable));
    }

    #[test]
    fn a_query_may_hold_a_member_more_than_once() {
        let all = query(Some("host=a&limit=3&host=b+c&flag"), "host").unwrap();
        assert_eq!(all, ["a", "b c"]);
        assert_eq!(query(Some("flag"), "flag").unwrap(), [""]);
        assert_eq!(query(None, "host").unwrap(), [] as [&str; 0]);
        assert!(query(Some("host=%ff"), "host").is_err());
    }

    proptest! {
        #[test]
        fn every_name_survives_being_encoded(name in "\\PC{1,30}") {
            prop_assume!(name != "." && name != "..");
            let raw: Vec<String> = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let raw = raw.concat();
            let decoded = decode(&raw);
            prop_assert_eq!(decoded.as_deref(), Ok(name.as_str()));
        }

        #[test]
        fn no_input_makes_it_fall_over(raw in "\\PC{0,60}|[%0-9a-f./]{0,40}") {
            let _read = decode(&raw);
            let _read = query(Some(&raw), "host");
        }
    }
}
