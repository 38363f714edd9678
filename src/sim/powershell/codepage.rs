//! Code pages of consoles, as far as Western texts need them: 437, 850 and 1252. What a page does not
//! have becomes `?`, as on a real console.

/// Characters of a page beyond ASCII that this table knows, with their bytes.
type Page = &'static [(char, u8)];

/// IBM 437 (Microsoft: code page identifiers; Unicode consortium: CP437.TXT).
const P437: Page = &[
    ('ä', 0x84),
    ('ö', 0x94),
    ('ü', 0x81),
    ('Ä', 0x8e),
    ('Ö', 0x99),
    ('Ü', 0x9a),
    ('ß', 0xe1),
    ('é', 0x82),
    ('è', 0x8a),
    ('à', 0x85),
    ('ç', 0x87),
    ('ñ', 0xa4),
    ('°', 0xf8),
    ('µ', 0xe6),
    ('»', 0xaf),
    ('«', 0xae),
    ('\u{a0}', 0xff),
];

/// IBM 850.
const P850: Page = &[
    ('ä', 0x84),
    ('ö', 0x94),
    ('ü', 0x81),
    ('Ä', 0x8e),
    ('Ö', 0x99),
    ('Ü', 0x9a),
    ('ß', 0xe1),
    ('é', 0x82),
    ('è', 0x8a),
    ('à', 0x85),
    ('ç', 0x87),
    ('ñ', 0xa4),
    ('°', 0xf8),
    ('µ', 0xe6),
    ('»', 0xaf),
    ('«', 0xae),
    ('©', 0xb8),
    ('®', 0xa9),
    ('\u{a0}', 0xff),
];

/// Characters that 1252 has outside Latin-1.
const P1252: Page = &[
    ('€', 0x80),
    ('‚', 0x82),
    ('„', 0x84),
    ('…', 0x85),
    ('‘', 0x91),
    ('’', 0x92),
    ('“', 0x93),
    ('”', 0x94),
    ('–', 0x96),
    ('—', 0x97),
    ('™', 0x99),
];

const fn page(number: u16) -> Page {
    match number {
        850 => P850,
        1252 => P1252,
        _ => P437,
    }
}

/// Makes bytes of a text.
pub(super) fn encode(number: u16, text: &str) -> Vec<u8> {
    if number == 65001 {
        return text.as_bytes().to_vec();
    }
    text.chars()
        .map(|c| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => byte,
            Ok(byte) if number == 1252 && byte >= 0xa0 => byte,
            _ => page(number)
                .iter()
                .find(|(known, _)| *known == c)
                .map_or(b'?', |(_, byte)| *byte),
        })
        .collect()
}

/// Makes a text of bytes.
pub(super) fn decode(number: u16, bytes: &[u8]) -> String {
    if number == 65001 {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii() || number == 1252 && *byte >= 0xa0 {
                char::from(*byte)
            } else {
                page(number)
                    .iter()
                    .find(|(_, known)| known == byte)
                    .map_or('\u{fffd}', |(c, _)| *c)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn german_letters_survive_their_page_and_no_other() {
        for number in [437, 850, 1252, 65001] {
            assert_eq!(
                decode(number, &encode(number, "Größe: über")),
                "Größe: über"
            );
        }
        assert_eq!(encode(850, "ä€"), [0x84, b'?']);
        assert_ne!(String::from_utf8_lossy(&encode(850, "ä")), "ä");
    }
}
