//! What can go wrong on a Hyper-V host, one way after the other: each is provoked on the emulated host by
//! a command that has that consequence there, and ends in the one kind of error that it means, with the
//! host's own words and something to do, in English and in German.

use std::fmt::Write as _;

use vmdeck::domain::action::ActionKind;
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::vm::PowerState;
use vmdeck::hypervisor::HypervisorError;
use vmdeck::hypervisor::hyperv::HyperV;
use vmdeck::sim::hyperv::{
    Account, ModuleHealth, Provocation, Situation, WindowsFaults, WmiDenial,
};

use crate::driver_suite::{self as suite, Bench};
use crate::hyperv::{EmulatedHost, LANGUAGES, Profile};

/// VMs in every state that some command does not like.
const VMS: &str = r#"
[[host.vm]]
name = "one"
state = "running"
[[host.vm]]
name = "off"
state = "off"
[[host.vm]]
name = "twice"
state = "off"
[[host.vm]]
name = "twice"
state = "off"
[[host.vm]]
name = "deaf"
obeys_shutdown = false
[[host.vm]]
name = "bare"
guest_services = false
[[host.vm]]
name = "lost"
state = "off-critical"
"#;

fn on(windows: &'static str, powershell: &'static str, language: &'static str) -> Profile {
    Profile {
        windows,
        powershell,
        language,
        shell: "cmd",
    }
}

/// One row: how it comes about, and what it has to end in.
struct Row {
    /// What a person types there.
    body: &'static str,
    /// What is wrong with the host.
    fault: fn(&mut WindowsFaults),
    windows: &'static str,
    powershells: &'static [&'static str],
    /// `None` where nothing fails.
    kind: Option<ErrorKind>,
    /// Words of the host's own, in English and in German.
    says: [&'static str; 2],
    /// A word of what to do.
    hint: &'static str,
}

fn row(body: &'static str, kind: ErrorKind) -> Row {
    Row {
        body,
        fault: |_| {},
        windows: "2022",
        powershells: &["5.1"],
        kind: Some(kind),
        says: ["", ""],
        hint: "",
    }
}

/// A row whose error comes for no reason that the emulated host has.
macro_rules! provoked {
    ($cmdlet:literal, $error:ident, $body:literal, $kind:expr) => {
        row($body, $kind).with(|faults| {
            faults.provoke = vec![Provocation {
                on: $cmdlet.to_owned(),
                error: Situation::$error,
                times: None,
                at_once: false,
            }];
        })
    };
}

impl Row {
    fn with(mut self, fault: fn(&mut WindowsFaults)) -> Self {
        self.fault = fault;
        self
    }

    fn on(mut self, windows: &'static str, powershells: &'static [&'static str]) -> Self {
        (self.windows, self.powershells) = (windows, powershells);
        self
    }

    fn says(mut self, english: &'static str, german: &'static str) -> Self {
        self.says = [english, german];
        self
    }

    fn hints(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    fn works(mut self) -> Self {
        self.kind = None;
        self
    }
}

const BOTH: &[&str] = &["5.1", "7"];

fn looking() -> Vec<Row> {
    use ErrorKind::{Internal, NotFound, Permission, Protocol, Refused, Remote};
    vec![
        row(r"Hyper-V\Get-VM -Name 'nobody'", NotFound)
            .says("with name \"nobody\"", "mit dem Namen \"nobody\"")
            .hints("removed"),
        row(
            r"Hyper-V\Set-VM -Name 'nobody' -Notes 'x' -Confirm:$false",
            NotFound,
        )
        .says("with name \"nobody\"", "mit dem Namen \"nobody\"")
        .hints("removed"),
        row(
            r"Hyper-V\Get-VM -Id ([guid]'00000000-0000-4000-8000-000000000001')",
            NotFound,
        )
        .says("with id", "mit der ID")
        .hints("removed"),
        row(
            r"Hyper-V\Get-VM -Id ([guid]'00000000-0000-4000-8000-000000000001')",
            NotFound,
        )
        .on("2016", &["5.1"])
        .says("with id", "mit der ID")
        .hints("removed"),
        row(r"@(Hyper-V\Get-VM -Name 'zz*').Count", NotFound).works(),
        row(r"Hyper-V\Get-VM -Name ''", Internal)
            .says("Cannot validate argument", "kann nicht")
            .hints("report"),
        row(r"Hyper-V\Get-VM", Permission)
            .with(|faults| faults.account = Account::Neither)
            .says("required permission", "erforderliche Berechtigung")
            .hints("S-1-5-32-578"),
        row(
            r"Get-CimInstance -Namespace 'root\virtualization\v2' -ClassName Msvm_ComputerSystem",
            Permission,
        )
        .with(|faults| {
            faults.account = Account::Neither;
            faults.wmi_denial = WmiDenial::Error;
        })
        .says("Access denied", "Zugriff verweigert")
        .hints("S-1-5-32-578"),
        row(
            r"Get-CimInstance -Namespace 'root\virtualization\v2' -ClassName Msvm_ComputerSystem",
            Permission,
        )
        .with(|faults| {
            faults.account = Account::Neither;
            faults.wmi_denial = WmiDenial::System;
        })
        .says("Access is denied", "Zugriff verweigert")
        .hints("S-1-5-32-578"),
        row(r"Hyper-V\Get-VM", Remote)
            .with(|faults| faults.service_stopped = true)
            .says(
                "Virtual Machine Management service",
                "Verwaltung virtueller Computer",
            )
            .hints("Start-Service vmms"),
        row("Get-VM", Protocol)
            .on("2022", BOTH)
            .with(|faults| faults.module = ModuleHealth::Missing)
            .hints("Install-WindowsFeature Hyper-V-PowerShell"),
        row(r"Hyper-V\Get-VM", Protocol)
            .with(|faults| faults.module = ModuleHealth::Unloadable)
            .hints("Install-WindowsFeature Hyper-V-PowerShell"),
        row(r"Hyper-V\Get-VM", Refused)
            .with(|faults| faults.constrained_language = true)
            .hints("AppLocker"),
    ]
}

fn changing() -> Vec<Row> {
    use ErrorKind::{Ambiguous, Permission, Refused, Remote};
    vec![
        row(
            r"Hyper-V\New-VM -Name 'twice' -NoVHD -Confirm:$false",
            Ambiguous,
        )
        .says("more than one element", "mehrere Elemente")
        .hints("different names"),
        row(
            r"Hyper-V\New-VM -Name 'new' -Generation 2 -MemoryStartupBytes 1GB -Path 'Q:\nowhere' -NoVHD -Confirm:$false",
            Remote,
        )
        .says("0x80070003", "0x80070003")
        .hints("storage"),
        row(
            r"Hyper-V\New-VM -Name 'new' -VHDPath 'C:\Hyper-V\gone.vhdx' -Confirm:$false",
            Remote,
        )
        .says("path", "Pfad")
        .hints("storage"),
        row(
            r"Hyper-V\Set-VM -Name 'one' -ProcessorCount 4 -Confirm:$false",
            Refused,
        )
        .says("Modifying the properties of 'one'", "Eigenschaften von \"one\"")
        .hints("look at the VM"),
        row(
            r"Hyper-V\Set-VM -Name 'one' -AutomaticStopAction Save -Confirm:$false",
            Remote,
        )
        .says("0x80041001", "0x80041001")
        .hints("host doctor"),
        row(r"Hyper-V\Start-VM -Name 'lost' -Confirm:$false", Remote)
            .says("'32788'", "'32788'")
            .hints("host doctor"),
        row(r"Hyper-V\Resume-VM -Name 'off' -Confirm:$false", Refused)
            .says("'off' failed to resume", "\"off\" konnte nicht")
            .hints("look at the VM"),
        row(r"Hyper-V\Stop-VM -Name 'deaf' -Confirm:$false", Remote)
            .says("Failed to stop.", "Fehler beim Beenden.")
            .hints("host doctor"),
        row(r"Hyper-V\Stop-VM -Name 'bare' -Confirm:$false", Refused)
            .on("2022", BOTH)
            .says(
                "PowerShell is in NonInteractive mode",
                "PowerShell befindet sich im NonInteractive-Modus",
            )
            .hints("force it off"),
        row(r"Hyper-V\Start-VM -Name 'off' -Confirm:$false", Permission)
            .with(|faults| faults.account = Account::Neither)
            .says("'off' failed to start", "\"off\" konnte nicht gestartet")
            .hints("S-1-5-32-578"),
    ]
}

fn by_chance() -> Vec<Row> {
    use ErrorKind::{NotFound, Refused, Remote};
    vec![
        provoked!(
            "Start-VM",
            OutOfMemory,
            r"Hyper-V\Start-VM -Name 'off' -Confirm:$false",
            Remote
        )
        .says(
            "Not enough memory in the system",
            "nicht genügend Arbeitsspeicher",
        )
        .hints("less memory"),
        provoked!(
            "Start-VM",
            InsufficientResources,
            r"Hyper-V\Start-VM -Name 'off' -Confirm:$false",
            Remote
        )
        .says("0x800705AA", "0x800705AA")
        .hints("less memory"),
        provoked!(
            "Stop-VM",
            DeviceNotReady,
            r"Hyper-V\Stop-VM -Name 'one' -Confirm:$false",
            Refused
        )
        .says("not ready", "kann nicht verwendet werden")
        .hints("integration services"),
        provoked!(
            "Set-VM",
            KeyProtector,
            r"Hyper-V\Set-VM -Name 'off' -Notes 'x' -Confirm:$false",
            Refused
        )
        .says("key protector", "Schlüsselschutzvorrichtung")
        .hints("security"),
        provoked!(
            "Start-VM",
            Clustered,
            r"Hyper-V\Start-VM -Name 'off' -Confirm:$false",
            Refused
        )
        .says("failover cluster", "Failovercluster")
        .hints("cluster"),
        provoked!(
            "Start-VM",
            ObjectNotFound,
            r"Hyper-V\Start-VM -Name 'off' -Confirm:$false",
            NotFound
        )
        .says("was not found", "nicht gefunden wurde")
        .hints("removed"),
    ]
}

async fn provokes(row: &Row, profile: Profile, says: &str) -> Option<HypervisorError> {
    let host = EmulatedHost::with(profile, VMS).await;
    let mut faults = host.control().faults();
    (row.fault)(&mut faults);
    host.control().set_faults(faults);
    let driver = HyperV::new(host.connect().await);
    // Judges nothing: whatever is wrong shows when something is asked.
    driver.ask_facts().await.expect("facts");
    let ran = driver.try_body(row.body).await;
    let Some(kind) = row.kind else {
        assert_eq!(ran.unwrap(), 0, "{}", row.body);
        return None;
    };
    let error = ran.expect_err(row.body);
    assert_eq!(error.kind(), kind, "{}: {error}", row.body);
    assert!(error.to_string().contains(says), "{}: {error}", row.body);
    let hint = error.hint().map(|hint| hint.0).unwrap_or_default();
    let is_ours = !hint.is_empty() && hint.contains(row.hint);
    assert!(is_ours, "{}: {error} ({hint})", row.body);
    Some(error)
}

async fn provoke_all(rows: Vec<Row>) {
    for row in rows {
        for powershell in row.powershells {
            let mut told = Vec::new();
            for (language, says) in LANGUAGES.into_iter().zip(row.says) {
                let profile = on(row.windows, powershell, language);
                told.push(provokes(&row, profile, says).await);
            }
            if let [Some(english), Some(german)] = told.as_slice() {
                assert_eq!(english.hint(), german.hint(), "{}", row.body);
                let own_words = !row.says[0].is_empty() && row.says[0] != row.says[1];
                assert_eq!(
                    english.to_string() != german.to_string(),
                    own_words || row.says[0].starts_with("0x") || row.says[0].starts_with('\''),
                    "{english} / {german}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_while_looking_ends_in_its_kind_with_the_words_of_the_host() {
    provoke_all(looking()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_while_changing_ends_in_its_kind_with_the_words_of_the_host() {
    provoke_all(changing()).await;
    provoke_all(by_chance()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_of_wmi_is_a_refusal_for_an_account_that_may_not() {
    for language in LANGUAGES {
        for denial in [WmiDenial::Empty, WmiDenial::Error, WmiDenial::System] {
            let host = EmulatedHost::with(on("2022", "5.1", language), VMS).await;
            let mut faults = host.control().faults();
            faults.account = Account::Neither;
            faults.wmi_denial = denial;
            host.control().set_faults(faults);
            let driver = suite::bind(&host).await;
            for error in [
                driver.probe().await.expect_err("no access"),
                driver.inventory(Scope::Fast).await.expect_err("no access"),
            ] {
                assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
                let hint = error.hint().map(|hint| hint.0).unwrap_or_default();
                assert!(hint.contains("S-1-5-32-578"), "{hint}");
            }
        }
    }
}

/// The kind that each situation means when a verb meets it, by what is known of it. What only a cmdlet
/// can say has no number among WMI's, and is there the general failure of a job, in its words.
const fn means(situation: Situation) -> ErrorKind {
    match situation {
        Situation::NoSuchName | Situation::NoSuchId | Situation::ObjectNotFound => {
            ErrorKind::NotFound
        }
        Situation::Denied => ErrorKind::Permission,
        Situation::WrongState
        | Situation::WrongStateForSettings
        | Situation::PromptNeeded
        | Situation::DeviceNotReady
        | Situation::KeyProtector
        | Situation::Clustered => ErrorKind::Refused,
        Situation::BadParameter => ErrorKind::Internal,
        Situation::MoreThanOne
        | Situation::FailedToChange
        | Situation::FailedToStop
        | Situation::OutOfMemory
        | Situation::InsufficientResources
        | Situation::BadPath
        | Situation::GeneralFailure => ErrorKind::Remote,
    }
}

/// Saves a VM whose host answers with an error.
async fn refused(language: &'static str, error: Situation) -> HypervisorError {
    let host = EmulatedHost::with(on("2022", "5.1", language), VMS).await;
    host.control().provoke(Provocation {
        on: "RequestStateChange".to_owned(),
        error,
        times: None,
        at_once: false,
    });
    let driver = suite::open(&host).await;
    let vm = host.vm("one");
    let saved = suite::perform(&host, driver.as_ref(), &vm, ActionKind::Save).await;
    let error = saved.expect_err("the host says no");
    let after = suite::until(driver.as_ref(), Scope::Fast, &vm, "read", |_| true).await;
    assert_eq!(after.state, PowerState::Running, "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_a_verb_means_the_same_in_every_language() {
    let mut told_in_words = String::new();
    for situation in Situation::ALL {
        let [english, german] = [
            refused(LANGUAGES[0], situation).await,
            refused(LANGUAGES[1], situation).await,
        ];
        for error in [&english, &german] {
            assert_eq!(error.kind(), means(situation), "{situation:?}: {error}");
            assert!(error.hint().is_some(), "{situation:?}: {error}");
        }
        assert_eq!(english.hint(), german.hint(), "{situation:?}");
        if english.to_string() != german.to_string() {
            write!(told_in_words, "{situation:?} ").unwrap();
        }
    }
    // The others are numbers that Hyper-V gives no words to.
    let words = told_in_words.split_whitespace().count();
    assert!(words >= 12, "{told_in_words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lost_its_namespace_is_read_and_says_why_nothing_can_be_changed() {
    for language in LANGUAGES {
        let host = EmulatedHost::with(on("2022", "5.1", language), VMS).await;
        let mut faults = host.control().faults();
        faults.lost_namespace = true;
        host.control().set_faults(faults);
        let driver = suite::open(&host).await;
        let read = driver
            .inventory(Scope::Full)
            .await
            .expect("through cmdlets");
        assert_eq!(read.vms.len(), 7);
        for (kind, vm) in [
            (ActionKind::Start, "off"),
            (ActionKind::Save, "one"),
            (ActionKind::Shutdown, "one"),
        ] {
            let done = suite::perform(&host, driver.as_ref(), &host.vm(vm), kind).await;
            let error = done.expect_err("there is no way to change it");
            let text = error.to_string();
            assert!(
                text.contains("Hyper-V is installed, but its CIM namespace"),
                "{kind}: {text}"
            );
            let hint = error.hint().map(|hint| hint.0).unwrap_or_default();
            assert!(hint.contains("mofcomp"), "{hint}");
        }
        host.control().set_faults(WindowsFaults {
            lost_namespace: true,
            module: ModuleHealth::Missing,
            ..WindowsFaults::default()
        });
        let error = suite::bind(&host).await.probe().await.expect_err("no way");
        assert!(error.to_string().contains("CIM namespace"), "{error}");
    }
}
