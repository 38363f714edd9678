//! What the probe finds out about a Windows host, as typed facts: for the driver's decisions, for the
//! host's details and for `host doctor`. It judges nothing but what a namespace's failure means.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::failure::{Cause, Record};
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;

/// Facts about a Windows host, each `None` where the host did not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Version of the PowerShell that answered (`5.1.17763.1`).
    pub powershell: Option<RemoteText>,
    /// Its edition: `Desktop` is Windows PowerShell, `Core` is PowerShell 6 and later.
    pub edition: Option<RemoteText>,
    /// Its language mode; anything but `FullLanguage` keeps most of our scripts from running.
    pub language_mode: Option<RemoteText>,
    /// Code page of its output before we changed it.
    pub code_page: Option<u32>,
    /// Culture of formats and of messages (`de-DE`).
    pub culture: Option<RemoteText>,
    /// Language of messages.
    pub ui_culture: Option<RemoteText>,
    /// The host's own name.
    pub host: Option<RemoteText>,
    /// The account we are.
    pub user: Option<RemoteText>,
    /// Whether the account's token holds Administrators (S-1-5-32-544), in force.
    pub is_admin: Option<bool>,
    /// Whether it holds Hyper-V Administrators (S-1-5-32-578), in force.
    pub is_hyperv_admin: Option<bool>,
    /// Name of the system, in the host's language.
    pub caption: Option<RemoteText>,
    /// Its version (`10.0.20348`).
    pub version: Option<RemoteText>,
    /// 1 = workstation, 2 = domain controller, 3 = server (Microsoft: `Win32_OperatingSystem`).
    pub product_type: Option<u32>,
    /// Logical processors.
    pub processors: Option<u32>,
    /// Memory.
    pub memory: Option<Bytes>,
    /// Versions of the PowerShell module Hyper-V; empty = it is not there.
    pub module: Option<Vec<RemoteText>>,
    /// State of the services asked for that are there, by service name (`vmms`, `vmcompute`, `ClusSvc`,
    /// `sshd`), in the words of `ServiceControllerStatus` (`Running`, `Stopped`).
    pub services: BTreeMap<String, RemoteText>,
    /// Paths of programs asked for that are there (`pwsh.exe`, `hvc.exe`).
    pub programs: BTreeMap<String, RemoteText>,
    /// How the CIM namespace `root\virtualization\v2` answered.
    pub namespace: Namespace,
    /// Its own time in UTC, ISO 8601.
    pub utc: Option<RemoteText>,
    /// What could not be found out, and why.
    pub gaps: Vec<RemoteText>,
}

/// How the CIM namespace of Hyper-V answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// It did; rows of `Msvm_ComputerSystem`, the host's own one included.
    Answers {
        /// How many.
        rows: u64,
    },
    /// It is not there: Hyper-V is not installed.
    Missing,
    /// The account may not.
    Denied(RemoteText),
    /// It failed in another way.
    Failed(RemoteText),
    /// It was not asked.
    NotAsked,
}

/// Releases by build, for systems whose caption is in the host's language. Microsoft: "Windows Server
/// release information" and "Windows 10/11 release information".
const RELEASES: [(u32, &str, &str); 8] = [
    (9600, "Windows Server 2012 R2", "Windows 8.1"),
    (14393, "Windows Server 2016", "Windows 10"),
    (17763, "Windows Server 2019", "Windows 10"),
    (19041, "Windows Server 2019", "Windows 10"),
    (20348, "Windows Server 2022", "Windows 10"),
    (22000, "Windows Server 2022", "Windows 11"),
    (25398, "Windows Server 23H2", "Windows 11"),
    (26100, "Windows Server 2025", "Windows 11"),
];

/// The service behind everything that is asked of Hyper-V.
pub(crate) const VMMS: &str = "vmms";

impl HostFacts {
    /// Returns whether the account is in a group that may manage Hyper-V; `None` where that is not known.
    pub fn may_manage(&self) -> Option<bool> {
        match (self.is_admin, self.is_hyperv_admin) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            (Some(false) | None, Some(false) | None) => None,
        }
    }

    /// Returns the state of the Virtual Machine Management service, where it is there.
    pub fn vmms(&self) -> Option<&RemoteText> {
        self.services.get(VMMS)
    }

    /// Returns whether that service is there and not running.
    pub fn vmms_is_down(&self) -> bool {
        self.vmms().is_some_and(|state| state.raw() != "Running")
    }

    /// Returns whether the module is there.
    pub fn has_module(&self) -> bool {
        self.module.as_ref().is_some_and(|found| !found.is_empty())
    }

    /// Returns whether the host is in a failover cluster.
    pub fn is_clustered(&self) -> bool {
        self.services
            .get("ClusSvc")
            .is_some_and(|state| state.raw() == "Running")
    }

    /// Returns whether its PowerShell gets mere copies of Hyper-V's objects: PowerShell 7 before Windows
    /// 10.0.17763 loads the module through a session of the other edition.
    pub fn gets_copies(&self) -> bool {
        let is_core = self.edition.as_ref().is_some_and(|is| is.raw() == "Core");
        is_core && self.build().is_some_and(|build| build < 17763)
    }

    fn build(&self) -> Option<u32> {
        let version = self.version.as_ref()?;
        version.raw().split('.').nth(2)?.parse().ok()
    }

    /// Returns whether PowerShell keeps our scripts from running.
    pub fn is_constrained(&self) -> bool {
        self.language_mode
            .as_ref()
            .is_some_and(|mode| mode.raw() != "FullLanguage")
    }

    /// Returns the release by its usual name (`Windows Server 2022`), else the host's own caption.
    pub fn release(&self) -> RemoteText {
        let known = self.build().and_then(|build| {
            RELEASES
                .iter()
                .rev()
                .find(|(first, _, _)| build >= *first)
                .copied()
        });
        match (known, self.product_type) {
            (Some((_, _, client)), Some(1)) => RemoteText::new(client),
            (Some((_, server, _)), Some(_)) => RemoteText::new(server),
            (Some(_) | None, _) => self
                .caption
                .clone()
                .unwrap_or_else(|| RemoteText::new("Windows")),
        }
    }

    /// Returns the PowerShell that answered, by its product name.
    pub fn shell(&self) -> String {
        let product = match self.edition.as_ref().map(RemoteText::raw) {
            Some("Core") => "PowerShell",
            Some(_) | None => "Windows PowerShell",
        };
        match &self.powershell {
            Some(version) => format!("{product} {version}"),
            None => product.to_owned(),
        }
    }
}

/// The probe's answer, as the script sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    powershell: Option<RemoteText>,
    edition: Option<RemoteText>,
    language_mode: Option<RemoteText>,
    code_page: Option<u32>,
    culture: Option<RemoteText>,
    ui_culture: Option<RemoteText>,
    host: Option<RemoteText>,
    user: Option<RemoteText>,
    is_admin: Option<bool>,
    #[serde(rename = "isHyperVAdmin")]
    is_hyperv_admin: Option<bool>,
    caption: Option<RemoteText>,
    version: Option<RemoteText>,
    product_type: Option<u32>,
    processors: Option<u32>,
    memory: Option<u64>,
    module: Option<Vec<RemoteText>>,
    services: BTreeMap<String, RemoteText>,
    programs: BTreeMap<String, RemoteText>,
    rows: Option<u64>,
    utc: Option<RemoteText>,
}

/// Reads the probe's answer and the gaps that came with it.
pub(crate) fn read(
    answer: &serde_json::Value,
    gaps: &[(RemoteText, Record)],
) -> Result<HostFacts, serde_json::Error> {
    let answer = Answer::deserialize(answer)?;
    let failed = gaps.iter().find(|(part, _)| part.raw() == "namespace");
    let namespace = match (answer.rows, failed) {
        (Some(rows), _) => Namespace::Answers { rows },
        (None, Some((_, record))) => match record.cause() {
            Cause::NoNamespace => Namespace::Missing,
            Cause::Denied => Namespace::Denied(record.said()),
            Cause::PerhapsDenied
            | Cause::NoCmdlet
            | Cause::NotRunning
            | Cause::NotFound
            | Cause::WrongState
            | Cause::GuestSilent
            | Cause::OutOfMemory
            | Cause::WouldAsk
            | Cause::OurMistake
            | Cause::Constrained
            | Cause::Gone
            | Cause::NoSuchPath
            | Cause::SharedName
            | Cause::NotAllowed
            | Cause::Other => Namespace::Failed(record.said()),
        },
        (None, None) => Namespace::NotAsked,
    };
    let some = |text: Option<RemoteText>| text.filter(|text| !text.is_empty());
    Ok(HostFacts {
        powershell: some(answer.powershell),
        edition: some(answer.edition),
        language_mode: some(answer.language_mode),
        code_page: answer.code_page.filter(|page| *page > 0),
        culture: some(answer.culture),
        ui_culture: some(answer.ui_culture),
        host: some(answer.host),
        user: some(answer.user),
        is_admin: answer.is_admin,
        is_hyperv_admin: answer.is_hyperv_admin,
        caption: some(answer.caption),
        version: some(answer.version),
        product_type: answer.product_type.filter(|kind| *kind > 0),
        processors: answer.processors.filter(|count| *count > 0),
        memory: answer.memory.filter(|bytes| *bytes > 0).map(Bytes),
        module: answer.module,
        services: answer.services,
        programs: answer.programs,
        namespace,
        utc: some(answer.utc),
        gaps: gaps
            .iter()
            .filter(|(part, _)| part.raw() != "namespace")
            .map(|(part, record)| {
                RemoteText::new(&format!("{}: {}", part.raw(), record.said().raw()))
            })
            .collect(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// What a healthy Windows Server 2022 answers.
    pub(crate) fn healthy() -> serde_json::Value {
        json!({
            "powershell": "5.1.20348.2", "edition": "Desktop", "languageMode": "FullLanguage",
            "codePage": 437, "process": 4711, "utc": "2026-01-01T00:00:00.0000000Z",
            "culture": "de-DE", "uiCulture": "de-DE", "host": "HV1", "user": "HV1\\ann",
            "isAdmin": false, "isHyperVAdmin": true,
            "caption": "Microsoft Windows Server 2022 Standard", "version": "10.0.20348",
            "productType": 3, "freeKib": 1000, "processors": 16, "memory": 68_719_476_736_u64,
            "module": ["2.0.0.0"], "services": {"vmms": "Running", "sshd": "Running"},
            "programs": {}, "rows": 3
        })
    }

    fn facts(change: impl FnOnce(&mut serde_json::Value)) -> HostFacts {
        let mut answer = healthy();
        change(&mut answer);
        read(&answer, &[]).unwrap()
    }

    #[test]
    fn a_healthy_host_is_told_in_full() {
        let facts = facts(|_| {});
        assert_eq!(facts.release().raw(), "Windows Server 2022");
        assert_eq!(facts.shell(), "Windows PowerShell 5.1.20348.2");
        assert_eq!(facts.may_manage(), Some(true));
        assert_eq!(facts.namespace, Namespace::Answers { rows: 3 });
        assert!(facts.has_module() && !facts.vmms_is_down() && !facts.is_constrained());
        assert_eq!(facts.memory, Some(Bytes(64 << 30)));
    }

    #[test]
    fn releases_are_told_by_build_and_kind_and_else_by_caption() {
        for (version, kind, expected) in [
            ("10.0.14393", 3, "Windows Server 2016"),
            ("10.0.17763", 3, "Windows Server 2019"),
            ("10.0.26100", 2, "Windows Server 2025"),
            ("10.0.26200", 1, "Windows 11"),
            ("10.0.19045", 1, "Windows 10"),
            ("6.2.9200", 3, "Microsoft Windows Server 2022 Standard"),
            ("?", 3, "Microsoft Windows Server 2022 Standard"),
        ] {
            let facts = facts(|answer| {
                answer["version"] = json!(version);
                answer["productType"] = json!(kind);
            });
            assert_eq!(facts.release().raw(), expected, "{version}");
        }
    }

    #[test]
    fn what_the_host_did_not_say_is_unknown_and_never_false() {
        let facts = read(&json!({}), &[]).unwrap();
        assert_eq!(facts.may_manage(), None);
        assert_eq!(facts.namespace, Namespace::NotAsked);
        assert_eq!(facts.module, None);
        assert!(!facts.vmms_is_down() && !facts.has_module());
        assert_eq!(facts.release().raw(), "Windows");
        let half = read(&json!({"isAdmin": false}), &[]).unwrap();
        assert_eq!(half.may_manage(), None);
    }

    #[test]
    fn a_namespace_that_fails_says_how() {
        let failed = |fqid: &str| {
            let record = Record::of_fqid(fqid, "Invalid namespace");
            let answer = json!({});
            read(&answer, &[(RemoteText::new("namespace"), record)])
                .unwrap()
                .namespace
        };
        let cim = "Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand";
        assert_eq!(
            failed(&format!("HRESULT 0x8004100e,{cim}")),
            Namespace::Missing
        );
        assert!(matches!(
            failed(&format!("HRESULT 0x80041003,{cim}")),
            Namespace::Denied(_)
        ));
        assert!(matches!(
            failed(&format!("HRESULT 0x80041001,{cim}")),
            Namespace::Failed(_)
        ));
    }
}
