//! Code pages of consoles, as far as Western texts need them: 437, 850 and 1252. What a page does not
//! have becomes `?`, as on a real console.

/// Characters of a page beyond ASCII that this table knows, with their bytes.
type Page = &'static [(char, u8)];

/// What IBM 437 and IBM 850 have in the same places (Microsoft: code page identifiers; Unicode
/// consortium: CP437.TXT, CP850.TXT).
const OEM: Page = &[
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
    ('»', 0xaf),
    ('«', 0xae),
    ('\u{a0}', 0xff),
];

/// What IBM 437 has besides.
const P437: Page = &[('µ', 0xe6)];

/// What IBM 850 has besides.
const P850: Page = &[('µ', 0xe6), ('©', 0xb8), ('®', 0xa9)];

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

const fn pages(number: u16) -> (Page, Page) {
    match number {
        850 => (OEM, P850),
        1252 => (P1252, &[]),
        _ => (OEM, P437),
    }
}

/// Each character that a page has beyond ASCII, with its byte.
fn characters(number: u16) -> impl Iterator<Item = (char, u8)> {
    // 1252 is Latin-1 from here on.
    let latin = (number == 1252).then_some(0xa0..=0xff_u8);
    let latin = latin.into_iter().flatten();
    let (common, own) = pages(number);
    let listed = common.iter().chain(own).copied();
    listed.chain(latin.map(|byte| (char::from(byte), byte)))
}

/// Makes bytes of a text.
pub(super) fn encode(number: u16, text: &str) -> Vec<u8> {
    if number == 65001 {
        return text.as_bytes().to_vec();
    }
    // Latin-1 has a character for each byte.
    if number == 28591 {
        return text
            .chars()
            .map(|c| u8::try_from(c).unwrap_or(b'?'))
            .collect();
    }
    let byte = |c: char| match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => byte,
        _ => characters(number)
            .find(|(known, _)| *known == c)
            .map_or(b'?', |(_, byte)| byte),
    };
    text.chars().map(byte).collect()
}

/// Makes a text of bytes.
pub(super) fn decode(number: u16, bytes: &[u8]) -> String {
    if number == 65001 {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if number == 28591 {
        return bytes.iter().map(|byte| char::from(*byte)).collect();
    }
    let character = |byte: &u8| match byte {
        byte if byte.is_ascii() => char::from(*byte),
        byte => characters(number)
            .find(|(_, known)| known == byte)
            .map_or('\u{fffd}', |(c, _)| c),
    };
    bytes.iter().map(character).collect()
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
        assert_eq!(encode(1252, "Ð€\u{3b1}"), [0xd0, 0x80, b'?']);
        assert_eq!(encode(850, "©"), [0xb8]);
        assert_eq!(encode(437, "©"), b"?");
        assert_eq!(decode(437, &[0xb8]), "\u{fffd}");
    }
}
