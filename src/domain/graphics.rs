//! A VM's graphical display: which protocol it speaks, and where its host listens for it.

use std::net::IpAddr;

/// The protocol of a display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisplayKind {
    /// RFB (RFC 6143).
    Vnc,
    /// SPICE.
    Spice,
    /// RDP with the VM's id in its preconnection data, as Hyper-V has it.
    Rdp,
}

impl DisplayKind {
    /// Returns the scheme of its addresses.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Vnc => "vnc",
            Self::Spice => "spice",
            Self::Rdp => "rdp",
        }
    }

    /// Returns how many connections one viewer makes at most: SPICE has one for each of its channels.
    pub const fn connections(self) -> usize {
        match self {
            Self::Vnc | Self::Rdp => 2,
            Self::Spice => 16,
        }
    }
}

/// Where something listens, as its host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisplayPlace {
    /// A port.
    Tcp {
        /// An address, or `localhost`.
        address: String,
        /// The port.
        port: u16,
    },
    /// A socket in the host's file system.
    Socket(String),
}

/// A VM's display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    /// What it speaks.
    pub kind: DisplayKind,
    /// Where.
    pub place: DisplayPlace,
    /// Where others than those on the host can connect to it, if they can.
    pub exposed: Option<String>,
}

impl Display {
    /// A display at an address. One that is not the host's own is exposed.
    pub fn at(kind: DisplayKind, address: &str, port: u16) -> Self {
        let is_own = !address
            .parse::<IpAddr>()
            .is_ok_and(|address| !address.is_loopback());
        let display = Self {
            kind,
            place: DisplayPlace::Tcp {
                address: address.to_owned(),
                port,
            },
            exposed: None,
        };
        if is_own {
            return display;
        }
        Self {
            exposed: Some(display.shown()),
            ..display
        }
    }

    /// Says where it is.
    pub fn shown(&self) -> String {
        match &self.place {
            DisplayPlace::Tcp { address, port } if address.contains(':') => {
                format!("[{address}]:{port}")
            }
            DisplayPlace::Tcp { address, port } => format!("{address}:{port}"),
            DisplayPlace::Socket(path) => path.clone(),
        }
    }
}
