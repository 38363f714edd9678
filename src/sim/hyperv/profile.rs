//! Which Windows a simulated Hyper-V host is: version, PowerShell, language, outer shell and pace.
//! Data only.

use std::time::Duration;

use serde::Deserialize;

/// A version of Windows with Hyper-V.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Windows {
    /// Windows Server 2016.
    #[serde(rename = "2016")]
    Server2016,
    /// Windows Server 2019.
    #[serde(rename = "2019")]
    Server2019,
    /// Windows Server 2022.
    #[default]
    #[serde(rename = "2022")]
    Server2022,
    /// Windows Server 2025.
    #[serde(rename = "2025")]
    Server2025,
    /// Windows 11.
    #[serde(rename = "11")]
    Windows11,
}

impl Windows {
    /// Every version.
    pub const ALL: [Self; 5] = [
        Self::Server2016,
        Self::Server2019,
        Self::Server2022,
        Self::Server2025,
        Self::Windows11,
    ];

    /// The build number (Microsoft: Windows Server release information).
    pub(in crate::sim) const fn build(self) -> u32 {
        match self {
            Self::Server2016 => 14393,
            Self::Server2019 => 17763,
            Self::Server2022 => 20348,
            Self::Server2025 | Self::Windows11 => 26100,
        }
    }

    /// What the system calls itself.
    pub(in crate::sim) const fn caption(self) -> &'static str {
        match self {
            Self::Server2016 => "Microsoft Windows Server 2016 Standard",
            Self::Server2019 => "Microsoft Windows Server 2019 Standard",
            Self::Server2022 => "Microsoft Windows Server 2022 Standard",
            Self::Server2025 => "Microsoft Windows Server 2025 Standard",
            Self::Windows11 => "Microsoft Windows 11 Pro",
        }
    }

    /// The configuration version that new VMs get.
    pub(in crate::sim) const fn vm_version(self) -> &'static str {
        match self {
            Self::Server2016 => "8.0",
            Self::Server2019 => "9.0",
            Self::Server2022 => "10.0",
            Self::Server2025 | Self::Windows11 => "12.0",
        }
    }

    pub(in crate::sim) const fn is_server(self) -> bool {
        !matches!(self, Self::Windows11)
    }
}

/// Which `PowerShell` programs are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum PowerShells {
    /// Windows `PowerShell` 5.1, as on every Windows.
    #[default]
    #[serde(rename = "5.1")]
    Five,
    /// `PowerShell` 7 alone: `powershell.exe` has been taken away.
    #[serde(rename = "7")]
    Seven,
    /// Both, each under its own name.
    #[serde(rename = "both")]
    Both,
}

impl PowerShells {
    /// Returns true where `powershell.exe` can be started.
    pub(in crate::sim) const fn has_five(self) -> bool {
        matches!(self, Self::Five | Self::Both)
    }

    /// Returns true where `pwsh.exe` can be started.
    pub(in crate::sim) const fn has_seven(self) -> bool {
        matches!(self, Self::Seven | Self::Both)
    }
}

/// The language the system speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Language {
    /// English (United States).
    #[default]
    #[serde(rename = "en")]
    English,
    /// German.
    #[serde(rename = "de")]
    German,
}

impl Language {
    /// Returns the English or the German of two texts.
    pub(in crate::sim) const fn of<T: Copy>(self, english: T, german: T) -> T {
        match self {
            Self::English => english,
            Self::German => german,
        }
    }

    /// The name of its culture.
    pub(in crate::sim) const fn culture(self) -> &'static str {
        self.of("en-US", "de-DE")
    }

    /// Its locale identifier (MS-LCID).
    pub(in crate::sim) const fn lcid(self) -> u32 {
        self.of(0x0409, 0x0407)
    }
}

/// What sshd starts for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shell {
    /// `cmd.exe /c`, the default.
    #[default]
    Cmd,
    /// `powershell.exe -c`.
    PowerShell,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// As short as can still be seen: for tests.
    #[default]
    Fast,
    /// As on a real host.
    Realistic,
}

/// Times of one host. Real ones differ by machine; the realistic ones follow published measurements
/// (`docs/simulator.md` lists them), the fast ones are a hundred times shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A VM starts, until it is Running.
    pub start: Duration,
    /// A guest boots, until its services answer.
    pub boot: Duration,
    /// A guest shuts down after it has been asked to.
    pub shutdown: Duration,
    /// The power is cut.
    pub turn_off: Duration,
    /// Memory is saved, or read back.
    pub save: Duration,
    /// A VM is paused or goes on.
    pub pause: Duration,
    /// A VM is reset.
    pub reset: Duration,
    /// A checkpoint is made, applied or deleted.
    pub checkpoint: Duration,
    /// Settings are changed.
    pub settings: Duration,
    /// A job is kept after its end.
    pub job_kept: Duration,
    /// `Stop-VM -Force` waits before it cuts the power.
    pub force_after: Duration,
    /// A guest that ignores `Stop-VM` is given up.
    pub give_up_after: Duration,
    /// What cmdlets read is behind by this much.
    pub cmdlet_lag: Duration,
    /// The management service is away when it restarts.
    pub service_restart: Duration,
    /// The Hyper-V module is loaded, once a process.
    pub module_load: Duration,
    /// A cmdlet or a query runs.
    pub call: Duration,
    /// A `PowerShell` process starts.
    pub process_start: Duration,
}

impl Timing {
    /// Every timing.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Realistic];

    /// Returns its times.
    pub const fn pace(self) -> Pace {
        const fn ms(ms: u64) -> Duration {
            Duration::from_millis(ms)
        }
        match self {
            Self::Realistic => Pace {
                start: ms(2_500),
                boot: ms(12_000),
                shutdown: ms(8_000),
                turn_off: ms(600),
                save: ms(4_000),
                pause: ms(400),
                reset: ms(900),
                checkpoint: ms(3_000),
                settings: ms(400),
                job_kept: ms(60_000),
                force_after: ms(300_000),
                give_up_after: ms(120_000),
                cmdlet_lag: ms(1_000),
                service_restart: ms(6_000),
                module_load: ms(900),
                call: ms(30),
                process_start: ms(600),
            },
            Self::Fast => Pace {
                start: ms(60),
                boot: ms(60),
                shutdown: ms(80),
                turn_off: ms(20),
                save: ms(80),
                pause: ms(20),
                reset: ms(30),
                checkpoint: ms(40),
                settings: ms(20),
                job_kept: ms(5_000),
                force_after: ms(3_000),
                give_up_after: ms(1_200),
                cmdlet_lag: ms(0),
                service_restart: ms(300),
                module_load: ms(0),
                call: ms(0),
                process_start: ms(0),
            },
        }
    }
}
