//! CLIXML: the form in which errors and progress reach standard error when the command was encoded
//! (Microsoft: `MS-PSRP` serialisation of streams).

use super::interp::Stream;

const OPEN: &str = "#< CLIXML\r\n<Objs Version=\"1.1.0.1\" \
                    xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">";

/// A document that grows record by record.
#[derive(Debug, Default)]
pub(super) struct Document {
    open: bool,
    objects: u32,
}

impl Document {
    /// Returns what to write for lines of a stream.
    pub(super) fn lines(&mut self, stream: Stream, text: &str) -> String {
        let mut written = self.opened();
        match stream {
            Stream::Error => {
                for line in text.split("\r\n") {
                    let line = escaped(&format!("{line}\r\n"));
                    written.extend([format!("<S S=\"Error\">{line}</S>")]);
                }
            }
            Stream::Warning => {
                written.extend([format!("<S S=\"warning\">{}</S>", escaped(text))]);
            }
            Stream::Verbose => {
                written.extend([format!("<S S=\"verbose\">{}</S>", escaped(text))]);
            }
        }
        written
    }

    /// Returns what to write for a progress record that is over at once.
    pub(super) fn progress(&mut self, activity: &str) -> String {
        let mut written = self.opened();
        let id = self.objects;
        let types = if id == 0 {
            "<TN RefId=\"0\"><T>System.Management.Automation.PSCustomObject</T>\
             <T>System.Object</T></TN>"
        } else {
            "<TNRef RefId=\"0\" />"
        };
        self.objects += 1;
        written.extend([format!(
            "<Obj S=\"progress\" RefId=\"{id}\">{types}<MS><I64 N=\"SourceId\">1</I64>\
             <PR N=\"Record\"><AV>{}</AV><AI>0</AI><Nil /><PI>-1</PI><PC>-1</PC><T>Completed</T>\
             <SR>-1</SR><SD> </SD></PR></MS></Obj>",
            escaped(activity)
        )]);
        written
    }

    /// Returns what ends the document; nothing when none was begun.
    pub(super) const fn end(&self) -> &'static str {
        if self.open { "</Objs>" } else { "" }
    }

    fn opened(&mut self) -> String {
        if std::mem::replace(&mut self.open, true) {
            String::new()
        } else {
            OPEN.to_owned()
        }
    }
}

/// Escapes text: markup as XML does, control characters as UTF-16 units (`_x000D_`), and what looks
/// like such an escape.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '_' if rest.as_str().starts_with('x') => written.push_str("_x005F_"),
            c if c.is_control() => written.extend([format!("_x{:04X}_", u32::from(c))]),
            c => written.push(c),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_holds_lines_and_progress() {
        let mut document = Document::default();
        assert_eq!(document.end(), "");
        let mut text = document.progress("Preparing modules for first use.");
        text.push_str(&document.lines(Stream::Error, "a <b>\r\n_x0041_"));
        text.push_str(document.end());
        assert!(text.starts_with("#< CLIXML\r\n<Objs "));
        assert!(text.contains("<AV>Preparing modules for first use.</AV>"));
        assert!(text.ends_with(
            "<S S=\"Error\">a &lt;b&gt;_x000D__x000A_</S>\
             <S S=\"Error\">_x005F_x0041__x000D__x000A_</S></Objs>"
        ));
    }
}
