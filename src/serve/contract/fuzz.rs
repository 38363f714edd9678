//! Fuzz targets of names in paths. See `crate::testing::fuzz`.

use super::path::{decode, query, segment};

fn hex(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or('0')
}

/// A path and a query: decoded once, and never to what could be read twice.
pub(crate) fn paths(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = decode(&text) {
        assert!(name.len() <= text.len());
        assert!(!matches!(name.as_str(), "" | "." | "..") && !name.contains('\0'));
        // Written with every byte escaped it is the same name.
        let escaped = name
            .bytes()
            .flat_map(|byte| ['%', hex(byte >> 4), hex(byte & 15)]);
        assert_eq!(decode(&escaped.collect::<String>()).as_ref(), Ok(&name));
    }
    let (path, asked) = text.split_once('?').unwrap_or((&text, ""));
    for index in 0..6 {
        if let Ok(name) = segment(path, index) {
            assert!(!name.is_empty() && !name.contains('\0'));
        }
    }
    if let Ok(values) = query(Some(asked), "name") {
        assert!(values.len() <= asked.len() + 1);
    }
}
