//! JSON that no terminal acts on: what `serde_json` leaves raw (C1, bidirectional and zero-width
//! characters) is written as `\uXXXX`. Lossless: reading it back gives the same text.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::domain::text::is_hostile;

/// Renders a value on one line.
pub fn to_line<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    render(value, Safe(CompactFormatter))
}

/// Renders a value over several lines, indented by two blanks.
pub fn to_pretty<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    render(value, Safe(PrettyFormatter::new()))
}

fn render<T: Serialize + ?Sized, F: Formatter>(
    value: &T,
    formatter: F,
) -> serde_json::Result<String> {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer)?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

struct Safe<F>(F);

macro_rules! forward {
    ($($name:ident($($arg:ident: $kind:ty),*);)*) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $arg: $kind)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        })*
    };
}

impl<F: Formatter> Formatter for Safe<F> {
    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Nearly everything: letters, digits, signs. Read by the byte, not by the character.
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut plain_from = 0;
        for (at, c) in fragment.char_indices() {
            if is_hostile(c) {
                writer.write_all(fragment.as_bytes().get(plain_from..at).unwrap_or_default())?;
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
                plain_from = at + c.len_utf8();
            }
        }
        writer.write_all(fragment.as_bytes().get(plain_from..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        let line = to_line(&"a\u{9b}2J\u{202e}b\u{1b}[0m\u{e0041}").unwrap();
        assert_eq!(line, r#""a\u009b2J\u202eb\u001b[0m\udb40\udc41""#);
    }

    proptest! {
        #[test]
        fn reading_back_gives_the_same_text(text in "\\PC*|.{0,40}") {
            let line = to_line(&text).unwrap();
            prop_assert!(!line.chars().any(is_hostile));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
