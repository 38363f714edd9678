//! Names of .NET types as scripts write them: accelerators, with or without `System.` before them.

/// Types the language converts to or whose members it carries: full name, then its accelerators.
const KNOWN: &[(&str, &[&str])] = &[
    ("System.Object", &["object"]),
    ("System.String", &["string"]),
    ("System.Boolean", &["bool"]),
    ("System.Char", &["char"]),
    ("System.Byte", &["byte"]),
    ("System.UInt16", &["uint16", "ushort"]),
    ("System.Int32", &["int", "int32"]),
    ("System.UInt32", &["uint32", "uint"]),
    ("System.Int64", &["long", "int64"]),
    ("System.UInt64", &["uint64", "ulong"]),
    ("System.Double", &["double"]),
    ("System.DateTime", &["datetime"]),
    ("System.DateTimeOffset", &[]),
    ("System.TimeSpan", &["timespan"]),
    ("System.Guid", &["guid"]),
    ("System.Version", &["version"]),
    ("System.Type", &["type"]),
    ("System.Array", &["array"]),
    ("System.Math", &[]),
    ("System.Convert", &[]),
    ("System.Console", &[]),
    ("System.Environment", &[]),
    ("System.Exception", &[]),
    ("System.Uri", &["uri"]),
    ("System.Enum", &[]),
    ("System.StringComparison", &[]),
    ("System.DateTimeKind", &[]),
    ("System.Text.Encoding", &[]),
    ("System.Text.UTF8Encoding", &[]),
    ("System.Text.UnicodeEncoding", &[]),
    ("System.Text.ASCIIEncoding", &[]),
    ("System.Text.StringBuilder", &[]),
    ("System.Text.RegularExpressions.Regex", &["regex"]),
    ("System.IO.MemoryStream", &[]),
    ("System.IO.StreamReader", &[]),
    ("System.IO.Stream", &[]),
    ("System.Security.SecureString", &["securestring"]),
    (
        "System.Management.Automation.PSCredential",
        &["pscredential"],
    ),
    ("System.Diagnostics.ProcessStartInfo", &[]),
    ("System.IO.Compression.GzipStream", &[]),
    ("System.IO.Compression.CompressionMode", &[]),
    ("System.Diagnostics.Stopwatch", &[]),
    ("System.Diagnostics.Process", &[]),
    ("System.Globalization.CultureInfo", &["cultureinfo"]),
    ("System.Collections.Hashtable", &["hashtable"]),
    ("System.Collections.ArrayList", &[]),
    ("System.Collections.Generic.List", &[]),
    (
        "System.Collections.Specialized.OrderedDictionary",
        &["ordered"],
    ),
    ("System.Management.Automation.PSCustomObject", &[]),
    (
        "System.Management.Automation.PSObject",
        &["psobject", "pscustomobject"],
    ),
    ("System.Management.Automation.ScriptBlock", &["scriptblock"]),
    ("System.Management.Automation.SwitchParameter", &["switch"]),
    (
        "System.Management.Automation.WildcardPattern",
        &["wildcardpattern"],
    ),
    ("System.Management.Automation.ErrorRecord", &[]),
    ("System.Management.Automation.ErrorCategory", &[]),
    ("System.Management.Automation.RuntimeException", &[]),
    ("System.Management.Automation.LanguageMode", &[]),
    ("System.Void", &["void"]),
];

/// Types allowed in constrained language (`about_Language_Modes`).
const CORE: &[&str] = &[
    "System.Array",
    "System.Boolean",
    "System.Byte",
    "System.Char",
    "System.Collections.Hashtable",
    "System.Collections.Specialized.OrderedDictionary",
    "System.DateTime",
    "System.Double",
    "System.Globalization.CultureInfo",
    "System.Guid",
    "System.Int32",
    "System.Int64",
    "System.Management.Automation.PSCustomObject",
    "System.Management.Automation.PSObject",
    "System.Management.Automation.SwitchParameter",
    "System.Management.Automation.WildcardPattern",
    "System.Object",
    "System.String",
    "System.Text.RegularExpressions.Regex",
    "System.TimeSpan",
    "System.UInt16",
    "System.UInt32",
    "System.UInt64",
    "System.Uri",
    "System.Version",
    "System.Void",
];

/// Returns the full name of a type the language carries, without the `[]` of an array.
pub(super) fn known(written: &str) -> Option<&'static str> {
    let bare = written.split(['[', '`']).next().unwrap_or(written);
    let lower = bare.to_ascii_lowercase();
    let with_system = format!("system.{lower}");
    KNOWN
        .iter()
        .find(|(full, short)| {
            short.contains(&lower.as_str())
                || full.eq_ignore_ascii_case(&lower)
                || full.eq_ignore_ascii_case(&with_system)
        })
        .map(|(full, _)| *full)
}

/// Returns a type's full name; one the language does not carry is taken to be below `System` unless
/// it says otherwise.
pub(super) fn full_name(written: &str) -> String {
    match known(written) {
        Some(full) => {
            let array = written.ends_with("[]");
            format!("{full}{}", if array { "[]" } else { "" })
        }
        None if starts_with(written, "system.") || starts_with(written, "microsoft.") => {
            written.to_owned()
        }
        None => format!("System.{written}"),
    }
}

/// Whether constrained language allows a type.
pub(super) fn is_core(full: &str) -> bool {
    let bare = full.trim_end_matches("[]");
    CORE.contains(&bare)
}

/// Returns how a type reads as text: by its accelerator where it has one.
pub(super) fn shown(full: &str) -> String {
    let bare = full.trim_end_matches("[]");
    let short = KNOWN
        .iter()
        .find(|(known, _)| *known == bare)
        .and_then(|(_, short)| short.first().copied());
    match short {
        Some(short) if full.ends_with("[]") => format!("{short}[]"),
        Some(short) => short.to_owned(),
        None => full.to_owned(),
    }
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_written() {
        for (written, full) in [
            ("int", "System.Int32"),
            ("String[]", "System.String[]"),
            ("Text.Encoding", "System.Text.Encoding"),
            ("system.guid", "System.Guid"),
            ("Security.Principal.X", "System.Security.Principal.X"),
            ("Microsoft.A.B", "Microsoft.A.B"),
        ] {
            assert_eq!(full_name(written), full);
        }
        assert_eq!(known("Foo"), None);
        assert_eq!(shown("System.Int32"), "int");
    }
}
