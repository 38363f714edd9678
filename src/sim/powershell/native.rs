//! Objects of the .NET classes the language carries itself.

/// An object of a .NET class.
#[derive(Debug)]
pub(in crate::sim) enum Native {
    /// `System.Text.Encoding` and its kinds.
    Encoding(Encoding),
}

/// How text becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Encoding {
    /// With or without a byte order mark before the first output.
    Utf8 {
        marked: bool,
    },
    Utf16,
    Ascii,
    /// A code page by its number.
    Page(u16),
}

impl Native {
    /// Returns the class's full name.
    pub(in crate::sim) const fn type_name(&self) -> &'static str {
        match self {
            Self::Encoding(Encoding::Utf8 { .. }) => "System.Text.UTF8Encoding",
            Self::Encoding(Encoding::Utf16) => "System.Text.UnicodeEncoding",
            Self::Encoding(Encoding::Ascii) => "System.Text.ASCIIEncoding",
            Self::Encoding(Encoding::Page(_)) => "System.Text.SBCSCodePageEncoding",
        }
    }
}
