//! The roles: what a piece of the screen means. A theme says how each of them looks.

use crate::domain::vm::PowerState;

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What a piece of the screen means; a theme says how that looks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role {
            $($(#[$doc])* $name,)*
        }

        impl Role {
            /// Every role.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Finds a role by its name in theme files.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|role| role.word() == word)
            }

            /// Returns the name in theme files.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

roles! {
    /// Ordinary text.
    Text = "text";
    /// Text that matters less.
    Dim = "dim";
    /// Text that matters more.
    Strong = "strong";
    /// The one accent.
    Accent = "accent";
    /// The program's name.
    Brand = "brand";
    /// Column titles.
    Title = "title";
    /// The line they stand on.
    TitleLine = "title.line";
    /// The column that is sorted by.
    Sorted = "sorted";
    /// The row under the cursor.
    Selection = "selection";
    /// The bar beside it.
    Cursor = "cursor";
    /// The sign of a marked row.
    Mark = "mark";
    /// A running VM.
    Running = "vm.running";
    /// A stopped VM.
    Stopped = "vm.stopped";
    /// A paused VM.
    Paused = "vm.paused";
    /// A saved VM.
    Saved = "vm.saved";
    /// A VM on its way to another state.
    Changing = "vm.changing";
    /// A crashed VM.
    Crashed = "vm.crashed";
    /// A VM in a state we have no word for.
    Unknown = "vm.unknown";
    /// Anything that is older than it should be.
    Stale = "stale";
    /// A host that answers.
    HostUp = "host.up";
    /// A host that answers late.
    HostSlow = "host.slow";
    /// A host that does not answer.
    HostDown = "host.down";
    /// A host that needs a decision.
    HostNeeds = "host.needs";
    /// A host that is switched off or being dialled.
    HostIdle = "host.idle";
    /// Tier `prod`.
    TierProd = "tier.prod";
    /// The frame of what is about production.
    ProdFrame = "prod.frame";
    /// The word in it.
    ProdBadge = "prod.badge";
    /// Tier `stage`.
    TierStage = "tier.stage";
    /// Tier `dev`.
    TierDev = "tier.dev";
    /// Any other tier.
    TierOther = "tier.other";
    /// A low share.
    Low = "load.low";
    /// A middling share.
    Middle = "load.middle";
    /// A high share.
    High = "load.high";
    /// Good news.
    Success = "success";
    /// Something to look at.
    Warning = "warning";
    /// Something wrong, or about to hurt.
    Danger = "danger";
    /// Frames.
    Border = "border";
    /// Background of what lies over the screen.
    Overlay = "overlay";
    /// Title of what lies over the screen.
    OverlayTitle = "overlay.title";
    /// A key in the footer or a menu.
    Key = "key";
    /// What it does.
    KeyLabel = "key.label";
    /// Text being typed.
    Input = "input";
    /// Where typed text is wrong.
    Mistake = "input.mistake";
    /// Characters that matched.
    Match = "match";
}

impl Role {
    /// Returns the role of a power state.
    pub const fn of_state(state: &PowerState) -> Self {
        match state {
            PowerState::Running => Self::Running,
            PowerState::Paused => Self::Paused,
            PowerState::Stopped => Self::Stopped,
            PowerState::Saved => Self::Saved,
            PowerState::Starting | PowerState::Stopping => Self::Changing,
            PowerState::Crashed => Self::Crashed,
            PowerState::Unknown(_) => Self::Unknown,
        }
    }

    /// Returns the role of a tier.
    pub fn of_tier(tier: Option<&str>) -> Self {
        match tier {
            None => Self::Text,
            Some("prod") => Self::TierProd,
            Some("stage") => Self::TierStage,
            Some("dev") => Self::TierDev,
            Some(_) => Self::TierOther,
        }
    }
}
