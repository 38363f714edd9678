//! What `virsh domdisplay` says: where a VM's display is. Pure; what a host says goes to no command and no
//! viewer but as a checked address, port or path.
//!
//! Seen with libvirt 9.0: `vnc://127.0.0.1:0` (the display's number, which is its port less 5900),
//! `vnc://localhost:99` for one that listens on every address, `vnc://[::1]:0`, `spice://127.0.0.1:5900`,
//! `vnc+unix:///path`, `spice://127.0.0.1?tls-port=5901`.

use std::net::IpAddr;

use crate::domain::graphics::{Display, DisplayKind, DisplayPlace};

/// The port of VNC's display 0 (RFC 6143, section 3).
const VNC_BASE: u16 = 5900;

/// Longest path of a unix socket (`unix(7)`).
const MAX_PATH: usize = 107;

/// Why what was said is no display that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoDisplay {
    /// It is encrypted by itself, with a certificate that is made for the host's name.
    OnlyTls,
    /// A protocol that is not known here.
    OtherKind,
    /// No address at all.
    Unreadable,
}

/// Reads the address of a display.
pub(super) fn read(said: &[u8]) -> Result<Display, NoDisplay> {
    let text = std::str::from_utf8(said).map_err(|_odd| NoDisplay::Unreadable)?;
    let (scheme, rest) = text.trim().split_once("://").ok_or(NoDisplay::Unreadable)?;
    let (scheme, is_socket) = match scheme.strip_suffix("+unix") {
        Some(scheme) => (scheme, true),
        None => (scheme, false),
    };
    let kind = match scheme {
        "vnc" => DisplayKind::Vnc,
        "spice" => DisplayKind::Spice,
        _ => return Err(NoDisplay::OtherKind),
    };
    if is_socket {
        return Ok(Display {
            kind,
            place: DisplayPlace::Socket(path(rest)?),
            exposed: None,
        });
    }
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (address, number) = split(place)?;
    let Some(number) = number else {
        return Err(if options.contains("tls-port=") {
            NoDisplay::OnlyTls
        } else {
            NoDisplay::Unreadable
        });
    };
    let number: u16 = number.parse().map_err(|_odd| NoDisplay::Unreadable)?;
    let port = match kind {
        DisplayKind::Vnc => VNC_BASE.checked_add(number),
        DisplayKind::Spice | DisplayKind::Rdp => (number > 0).then_some(number),
    };
    let port = port.ok_or(NoDisplay::Unreadable)?;
    // What listens everywhere is told as the name; a display of the host alone is told by its address.
    let everywhere = address == "localhost";
    if !everywhere && address.parse::<IpAddr>().is_err() {
        return Err(NoDisplay::Unreadable);
    }
    let display = Display::at(kind, address, port);
    Ok(if everywhere {
        Display {
            exposed: Some(format!("port {port} of every address")),
            ..display
        }
    } else {
        display
    })
}

/// Takes an address and what follows its colon.
fn split(place: &str) -> Result<(&str, Option<&str>), NoDisplay> {
    if let Some(rest) = place.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(NoDisplay::Unreadable)?;
        return Ok((address, rest.strip_prefix(':')));
    }
    Ok(match place.split_once(':') {
        Some((address, number)) => (address, Some(number)),
        None => (place, None),
    })
}

fn path(text: &str) -> Result<String, NoDisplay> {
    let is_sound = text.starts_with('/')
        && text.len() <= MAX_PATH
        && text.chars().all(|c| !c.is_control() && c != '?');
    is_sound
        .then(|| text.to_owned())
        .ok_or(NoDisplay::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(said: &str) -> (DisplayKind, String, bool) {
        let display = read(said.as_bytes()).unwrap();
        (display.kind, display.shown(), display.exposed.is_some())
    }

    #[test]
    fn every_form_of_virsh_is_read() {
        use DisplayKind::{Spice, Vnc};
        let cases = [
            ("vnc://127.0.0.1:0\n", Vnc, "127.0.0.1:5900", false),
            ("vnc://localhost:99", Vnc, "localhost:5999", true),
            ("vnc://10.0.0.7:3", Vnc, "10.0.0.7:5903", true),
            ("vnc://[::1]:1", Vnc, "[::1]:5901", false),
            ("spice://127.0.0.1:5900", Spice, "127.0.0.1:5900", false),
            (
                "spice://127.0.0.1:5900?tls-port=5901",
                Spice,
                "127.0.0.1:5900",
                false,
            ),
            (
                "vnc+unix:///run/vm/vnc.sock",
                Vnc,
                "/run/vm/vnc.sock",
                false,
            ),
        ];
        for (said, kind, shown, exposed) in cases {
            assert_eq!(place(said), (kind, shown.to_owned(), exposed), "{said}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        let cases = [
            ("", NoDisplay::Unreadable),
            ("vnc://", NoDisplay::Unreadable),
            ("vnc://127.0.0.1:65535", NoDisplay::Unreadable),
            ("vnc://127.0.0.1:-1", NoDisplay::Unreadable),
            ("vnc://evil.example.com:0", NoDisplay::Unreadable),
            ("vnc://127.0.0.1 -o x:0", NoDisplay::Unreadable),
            ("spice://127.0.0.1:0", NoDisplay::Unreadable),
            ("spice://127.0.0.1?tls-port=5901", NoDisplay::OnlyTls),
            ("rdp://127.0.0.1:3389", NoDisplay::OtherKind),
            ("vnc+unix://relative", NoDisplay::Unreadable),
            ("vnc+unix:///a\u{1b}[2J", NoDisplay::Unreadable),
        ];
        for (said, why) in cases {
            assert_eq!(read(said.as_bytes()), Err(why), "{said}");
        }
        assert_eq!(read(b"vnc://\xff"), Err(NoDisplay::Unreadable));
    }
}
