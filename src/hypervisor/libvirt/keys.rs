//! Characters as the keys of a keyboard with the American layout, in the names that Linux gives keys
//! (`input-event-codes.h`), which is what `virsh send-key` takes. Pure.

/// The key that is held for capitals and the upper signs.
const SHIFT: &str = "KEY_LEFTSHIFT";

/// Keys beside the letters: its sign, its sign with shift, its name.
const SIGNS: [(char, char, &str); 21] = [
    ('1', '!', "KEY_1"),
    ('2', '@', "KEY_2"),
    ('3', '#', "KEY_3"),
    ('4', '$', "KEY_4"),
    ('5', '%', "KEY_5"),
    ('6', '^', "KEY_6"),
    ('7', '&', "KEY_7"),
    ('8', '*', "KEY_8"),
    ('9', '(', "KEY_9"),
    ('0', ')', "KEY_0"),
    ('-', '_', "KEY_MINUS"),
    ('=', '+', "KEY_EQUAL"),
    ('[', '{', "KEY_LEFTBRACE"),
    (']', '}', "KEY_RIGHTBRACE"),
    ('\\', '|', "KEY_BACKSLASH"),
    (';', ':', "KEY_SEMICOLON"),
    ('\'', '"', "KEY_APOSTROPHE"),
    ('`', '~', "KEY_GRAVE"),
    (',', '<', "KEY_COMMA"),
    ('.', '>', "KEY_DOT"),
    ('/', '?', "KEY_SLASH"),
];

/// Returns the keys that are pressed together for a character; `None` where that keyboard lacks it.
pub(super) fn chord(c: char) -> Option<String> {
    let plain = |name: &str| Some(name.to_owned());
    match c {
        'a'..='z' => return Some(format!("KEY_{}", c.to_ascii_uppercase())),
        'A'..='Z' => return Some(format!("{SHIFT} KEY_{c}")),
        ' ' => return plain("KEY_SPACE"),
        '\n' => return plain("KEY_ENTER"),
        '\t' => return plain("KEY_TAB"),
        _ => {}
    }
    SIGNS.iter().find_map(|(sign, upper, name)| {
        if *sign == c {
            plain(name)
        } else if *upper == c {
            Some(format!("{SHIFT} {name}"))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_ascii_has_its_keys() {
        for c in ' '..='~' {
            assert!(chord(c).is_some(), "{c}");
        }
        assert_eq!(chord('a').unwrap(), "KEY_A");
        assert_eq!(chord('A').unwrap(), "KEY_LEFTSHIFT KEY_A");
        assert_eq!(chord('?').unwrap(), "KEY_LEFTSHIFT KEY_SLASH");
        assert_eq!(chord('\n').unwrap(), "KEY_ENTER");
        assert_eq!(chord('é'), None);
    }
}
