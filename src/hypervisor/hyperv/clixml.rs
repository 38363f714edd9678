//! CLIXML: how PowerShell serialises its error stream when a command was encoded. Pure.
//!
//! The text is a header line `#< CLIXML` and one or more documents of `<S S="Error">` lines among progress
//! records, each character that XML or a console could mind as `_xDDDD_` (a UTF-16 unit). Documents follow
//! one another, stand inside each other's strings, or break off; so this looks for the strings only and
//! trusts no structure. What it finds is for diagnosis: an answer is in frames, never here.

/// What begins a document.
const HEADER: &str = "#< CLIXML";

/// How deep documents in strings of documents are followed.
const DEEPEST: usize = 3;

/// Bytes of one stream that are looked at.
const LONGEST: usize = 256 * 1024;

/// What a process wrote to its error stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Error text, or everything when it was plain text.
    pub(crate) errors: String,
    /// Warnings.
    pub(crate) warnings: String,
    /// Whether PowerShell wrote it (it was CLIXML), so that one surely ran.
    pub(crate) by_powershell: bool,
}

/// Reads an error stream.
pub(crate) fn read(stderr: &[u8]) -> Said {
    let bounded = stderr.get(..stderr.len().min(LONGEST)).unwrap_or(stderr);
    let text = String::from_utf8_lossy(bounded);
    if !text.contains(HEADER) {
        return Said {
            errors: text.trim().to_owned(),
            ..Said::default()
        };
    }
    let mut said = Said {
        by_powershell: true,
        ..Said::default()
    };
    collect(&text, DEEPEST, &mut said);
    said.errors = said.errors.trim().to_owned();
    said.warnings = said.warnings.trim().to_owned();
    said
}

fn collect(text: &str, depth: usize, said: &mut Said) {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<S S=\"") {
        let Some((stream, after)) = after.split_once("\">") else {
            break;
        };
        // A string that breaks off ends where the text does.
        let (content, after) = after.split_once("</S>").unwrap_or((after, ""));
        rest = after;
        let content = unescaped(content);
        if content.contains(HEADER) && depth > 1 {
            collect(&content, depth - 1, said);
        } else if stream.eq_ignore_ascii_case("Error") {
            said.errors.push_str(&content);
        } else if stream.eq_ignore_ascii_case("Warning") {
            said.warnings.push_str(&content);
        }
    }
}

/// Undoes the entities of XML and the escapes of CLIXML.
fn unescaped(text: &str) -> String {
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&");
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("_x") {
        let (before, escape) = rest.split_at(at);
        units.extend(before.encode_utf16());
        let unit = escape
            .get(2..6)
            .filter(|_| escape.get(6..7) == Some("_"))
            .and_then(|digits| u16::from_str_radix(digits, 16).ok());
        if let Some(unit) = unit {
            units.push(unit);
            rest = escape.get(7..).unwrap_or_default();
        } else {
            units.extend("_x".encode_utf16());
            rest = escape.get(2..).unwrap_or_default();
        }
    }
    units.extend(rest.encode_utf16());
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRESS: &str = "<Obj S=\"progress\" RefId=\"0\"><TN RefId=\"0\"><T>System.Management.Automation.PSCustomObject</T></TN><MS><I64 N=\"SourceId\">1</I64><PR N=\"Record\"><AV>Preparing modules for first use.</AV><AI>0</AI><Nil /><PI>-1</PI><PC>-1</PC><T>Completed</T><SR>-1</SR><SD> </SD></PR></MS></Obj>";

    fn document(inner: &str) -> String {
        format!(
            "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">{inner}</Objs>"
        )
    }

    fn error(text: &str) -> String {
        format!("<S S=\"Error\">{text}_x000D__x000A_</S>")
    }

    #[test]
    fn errors_and_warnings_are_told_from_progress() {
        let inner = format!(
            "{PROGRESS}{}<S S=\"warning\">mind</S><S S=\"verbose\">x</S>{}",
            error("first &lt;a&gt; &amp; &quot;b&quot;"),
            error("+ FullyQualifiedErrorId : X")
        );
        let said = read(document(&inner).as_bytes());
        assert_eq!(
            said.errors,
            "first <a> & \"b\"\r\n+ FullyQualifiedErrorId : X"
        );
        assert_eq!(said.warnings, "mind");
        assert!(said.by_powershell);
    }

    #[test]
    fn escapes_are_utf16_and_what_only_looks_like_one_stays() {
        let said = read(
            document(&error(
                "a_xD83D__xDE00_b_x005F_x000A_ _xZZZZ_ _x12 caf_x00E9_",
            ))
            .as_bytes(),
        );
        assert_eq!(said.errors, "a\u{1f600}b_x000A_ _xZZZZ_ _x12 caf\u{e9}");
        // Half a pair is replaced, not trusted.
        assert_eq!(
            read(document(&error("_xD83D_")).as_bytes()).errors,
            "\u{fffd}"
        );
    }

    #[test]
    fn several_documents_nested_ones_and_broken_ones_are_read_as_far_as_they_go() {
        let two = format!("{}\r\n{}", document(&error("one")), document(&error("two")));
        assert_eq!(read(two.as_bytes()).errors, "one\r\ntwo");
        let inner = document(&error("deep"))
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        assert_eq!(read(document(&error(&inner)).as_bytes()).errors, "deep");
        let broken = document(&error("whole"));
        let broken = format!("{}<S S=\"Error\">half", broken.trim_end_matches("</Objs>"));
        assert_eq!(read(broken.as_bytes()).errors, "whole\r\nhalf");
        let mut bomb = document(&error("x"));
        for _ in 0..6 {
            bomb = document(&error(&bomb.replace('&', "&amp;").replace('<', "&lt;")));
        }
        assert!(read(bomb.as_bytes()).by_powershell);
    }

    #[test]
    fn plain_text_is_taken_as_it_is() {
        let said = read(b"'powershell.exe' is not recognized\r\n\xff\r\n");
        assert_eq!(
            said.errors,
            "'powershell.exe' is not recognized\r\n\u{fffd}"
        );
        assert!(!said.by_powershell);
        assert_eq!(read(b""), Said::default());
    }
}
