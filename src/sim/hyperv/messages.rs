//! The errors of Hyper-V: text in English and German, category, and identity. Texts follow public
//! transcripts word for word where one is known; German ones and those marked as assumed in
//! `docs/simulator.md` are ours. Categories, identities and numbers never change with the language.

use serde::Deserialize;

use super::cim::hresult;
use super::profile::Language;

/// The namespace of the module's command classes.
const COMMANDS: &str = "Microsoft.HyperV.PowerShell.Commands";
/// The type of nearly every error of the module.
const VIRTUALIZATION: &str = "Microsoft.HyperV.PowerShell.VirtualizationException";
/// The type of what lies below it.
pub(in crate::sim) const OPERATION_FAILED: &str =
    "Microsoft.Virtualization.Client.Management.VirtualizationOperationFailedException";

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Situation {
    /// No VM of that name.
    NoSuchName,
    /// No VM of that id.
    NoSuchId,
    /// Several VMs where one was expected.
    MoreThanOne,
    /// Settings cannot be changed in this state.
    WrongStateForSettings,
    /// An action cannot be done in this state.
    WrongState,
    /// The state could not be changed, with error 32788.
    FailedToChange,
    /// The guest did not stop.
    FailedToStop,
    /// The account may not.
    Denied,
    /// Not enough memory to start.
    OutOfMemory,
    /// Not enough of another resource to start.
    InsufficientResources,
    /// A person would have to be asked.
    PromptNeeded,
    /// An integration service does not answer.
    DeviceNotReady,
    /// The object is gone, or the management service is stopped.
    ObjectNotFound,
    /// A file or folder is not there.
    BadPath,
    /// A parameter's value is refused.
    BadParameter,
    /// A general failure of WMI (0x80041001).
    GeneralFailure,
    /// Security settings without a key protector.
    KeyProtector,
    /// A clustered VM must be handled by its cluster.
    Clustered,
}

impl Situation {
    /// Every situation.
    pub const ALL: [Self; 18] = [
        Self::NoSuchName,
        Self::NoSuchId,
        Self::MoreThanOne,
        Self::WrongStateForSettings,
        Self::WrongState,
        Self::FailedToChange,
        Self::FailedToStop,
        Self::Denied,
        Self::OutOfMemory,
        Self::InsufficientResources,
        Self::PromptNeeded,
        Self::DeviceNotReady,
        Self::ObjectNotFound,
        Self::BadPath,
        Self::BadParameter,
        Self::GeneralFailure,
        Self::KeyProtector,
        Self::Clustered,
    ];

    /// The error number of WMI's methods and jobs (Microsoft: `RequestStateChange`).
    pub(in crate::sim) const fn code(self) -> u16 {
        match self {
            Self::Denied => 32769,
            Self::PromptNeeded | Self::Clustered | Self::KeyProtector => 32770,
            Self::BadParameter => 32773,
            Self::WrongState | Self::WrongStateForSettings => 32775,
            Self::NoSuchName | Self::NoSuchId | Self::ObjectNotFound => 32777,
            Self::OutOfMemory | Self::InsufficientResources => 32778,
            Self::BadPath => 32779,
            Self::DeviceNotReady => 32780,
            Self::FailedToChange => 32788,
            // Only a cmdlet looks for things by name.
            Self::FailedToStop | Self::GeneralFailure | Self::MoreThanOne => 32768,
        }
    }

    /// The error of WMI itself where a method's object is gone or WMI gives no reason (Microsoft: WMI
    /// error constants); everything else is an answer of the method.
    pub(in crate::sim) const fn in_wmi(self) -> Option<u32> {
        match self {
            Self::NoSuchName | Self::NoSuchId | Self::ObjectNotFound => Some(hresult::NOT_FOUND),
            Self::GeneralFailure => Some(hresult::GENERAL_FAILURE),
            _ => None,
        }
    }

    /// Whether a WMI method answers it at once; everything else shows in the job.
    pub(in crate::sim) const fn is_at_once(self) -> bool {
        matches!(
            self,
            Self::Denied
                | Self::WrongState
                | Self::WrongStateForSettings
                | Self::BadParameter
                | Self::NoSuchName
                | Self::NoSuchId
                | Self::ObjectNotFound
        )
    }
}

/// Whom an error is about.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sim) struct About<'a> {
    /// The VM's name, or what was asked for.
    pub(in crate::sim) vm: &'a str,
    pub(in crate::sim) id: &'a str,
    pub(in crate::sim) host: &'a str,
    pub(in crate::sim) memory_mib: u64,
    /// Whether it is said by `PowerShell` 7.
    pub(in crate::sim) seven: bool,
}

/// An error as a cmdlet reports it, not yet in an evaluator's own type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Failure {
    /// The message and what lies below it.
    pub(in crate::sim) messages: Vec<String>,
    pub(in crate::sim) category: &'static str,
    pub(in crate::sim) target: Option<String>,
    pub(in crate::sim) exception: &'static str,
    pub(in crate::sim) fqid: String,
    pub(in crate::sim) hresult: Option<u32>,
    pub(in crate::sim) command: String,
}

/// Category, identity and code of a row.
type Row = (&'static str, &'static str, Option<u32>);

/// Makes the error of a situation as a cmdlet reports it.
pub(in crate::sim) fn failure(
    situation: Situation,
    cmdlet: &str,
    about: About<'_>,
    language: Language,
) -> Failure {
    let gets = cmdlet.eq_ignore_ascii_case("Get-VM");
    let (category, id, hresult): Row = match situation {
        Situation::NoSuchName if gets => ("InvalidArgument", "InvalidParameter", None),
        Situation::NoSuchName | Situation::NoSuchId | Situation::ObjectNotFound => {
            ("ObjectNotFound", "ObjectNotFound", None)
        }
        Situation::MoreThanOne
        | Situation::PromptNeeded
        | Situation::KeyProtector
        | Situation::Clustered => ("InvalidOperation", "InvalidOperation", None),
        Situation::WrongStateForSettings | Situation::WrongState => {
            ("InvalidOperation", "InvalidState", None)
        }
        Situation::FailedToChange | Situation::FailedToStop => {
            ("NotSpecified", "OperationFailed", None)
        }
        Situation::Denied
            if cmdlet
                .get(..4)
                .is_some_and(|v| v.eq_ignore_ascii_case("get-")) =>
        {
            ("NotSpecified", "Unspecified", None)
        }
        Situation::Denied => ("PermissionDenied", "AccessDenied", None),
        Situation::OutOfMemory => ("FromStdErr", "OutOfMemory", Some(0x8007_000E)),
        Situation::InsufficientResources => ("NotSpecified", "Unspecified", Some(0x8007_05AA)),
        Situation::DeviceNotReady => ("NotSpecified", "Unspecified", Some(0x8007_10DF)),
        Situation::BadPath => ("ObjectNotFound", "ObjectNotFound", Some(0x8007_0003)),
        Situation::BadParameter => ("InvalidData", "ParameterArgumentValidationError", None),
        Situation::GeneralFailure => ("NotSpecified", "OperationFailed", Some(0x8004_1001)),
    };
    let message = message(situation, cmdlet, about, language);
    let below = match situation {
        Situation::PromptNeeded | Situation::BadParameter | Situation::NoSuchName => None,
        _ => Some(message.clone()),
    };
    Failure {
        messages: std::iter::once(message).chain(below).collect(),
        category,
        target: (situation == Situation::NoSuchName && gets).then(|| about.vm.to_owned()),
        exception: match situation {
            Situation::BadParameter => {
                "System.Management.Automation.ParameterBindingValidationException"
            }
            _ => VIRTUALIZATION,
        },
        fqid: format!("{id},{COMMANDS}.{}", cmdlet.replace('-', "")),
        hresult,
        command: cmdlet.to_owned(),
    }
}

/// What WMI's own errors look like (`CimException`).
pub(in crate::sim) fn cim_failure(
    hresult: u32,
    target: Option<&str>,
    cmdlet: &str,
    language: Language,
) -> Failure {
    let (category, english, german) = match hresult {
        0x8004_1001 => ("NotSpecified", "Generic failure ", "Allgemeiner Fehler "),
        0x8004_1002 => ("ObjectNotFound", "Not found ", "Nicht gefunden "),
        0x8004_1003 => ("PermissionDenied", "Access denied ", "Zugriff verweigert "),
        0x8004_1008 => (
            "InvalidArgument",
            "Invalid parameter ",
            "Ungültiger Parameter ",
        ),
        0x8004_100E => (
            "MetadataError",
            "Invalid namespace ",
            "Ungültiger Namespace ",
        ),
        0x8004_1010 => ("MetadataError", "Invalid class ", "Ungültige Klasse "),
        0x8004_1017 => ("InvalidArgument", "Invalid query ", "Ungültige Abfrage "),
        0x8004_102E => ("MetadataError", "Invalid method ", "Ungültige Methode "),
        0x8004_102F => (
            "InvalidArgument",
            "Invalid method Parameter(s) ",
            "Ungültige(r) Methodenparameter ",
        ),
        0x8007_0005 => (
            "PermissionDenied",
            "Access is denied. ",
            "Zugriff verweigert ",
        ),
        0x8007_0422 => (
            "NotSpecified",
            "The service cannot be started, either because it is disabled or because it has no enabled devices associated with it. ",
            "Der Dienst kann nicht gestartet werden, da er deaktiviert oder nicht mit aktivierten Geräten verbunden ist. ",
        ),
        _ => (
            "NotSpecified",
            "Provider load failure ",
            "Fehler beim Laden des Anbieters ",
        ),
    };
    Failure {
        messages: vec![language.of(english, german).to_owned()],
        category,
        target: target.map(str::to_owned),
        exception: "Microsoft.Management.Infrastructure.CimException",
        fqid: format!(
            "HRESULT 0x{hresult:08x},Microsoft.Management.Infrastructure.CimCmdlets.{}Command",
            cmdlet.replace('-', "")
        ),
        hresult: None,
        command: cmdlet.to_owned(),
    }
}

/// Returns the verb of a failed action in English and German.
fn verb(cmdlet: &str) -> (&'static str, &'static str) {
    match cmdlet.to_ascii_lowercase().as_str() {
        "start-vm" => ("start", "gestartet"),
        "stop-vm" => ("stop", "beendet"),
        "suspend-vm" => ("pause", "angehalten"),
        "resume-vm" => ("resume", "fortgesetzt"),
        "save-vm" => ("save", "gespeichert"),
        "restart-vm" => ("restart", "neu gestartet"),
        "new-vm" => ("be created", "erstellt"),
        "checkpoint-vm" => ("create a checkpoint", "mit einem Prüfpunkt versehen"),
        "restore-vmsnapshot" => ("apply the checkpoint", "zurückgesetzt"),
        "remove-vmsnapshot" => ("delete the checkpoint", "bereinigt"),
        _ => ("complete the operation", "geändert"),
    }
}

/// What a situation says; lines are separated by line feeds.
pub(in crate::sim) fn message(
    situation: Situation,
    cmdlet: &str,
    about: About<'_>,
    language: Language,
) -> String {
    match language {
        Language::English => english(situation, cmdlet, about),
        Language::German => german(situation, cmdlet, about),
    }
}

fn english(situation: Situation, cmdlet: &str, about: About<'_>) -> String {
    let About {
        vm,
        id,
        host,
        memory_mib,
        seven,
    } = about;
    let (verb, _) = verb(cmdlet);
    let denied = format!(
        "You do not have the required permission to complete this task. Contact the administrator of the authorization policy for the computer '{host}'."
    );
    match situation {
        Situation::NoSuchName => {
            format!("Hyper-V was unable to find a virtual machine with name \"{vm}\".")
        }
        Situation::NoSuchId => {
            format!("Hyper-V was unable to find a virtual machine with id \"{id}\".")
        }
        Situation::MoreThanOne => "Sequence contains more than one element".to_owned(),
        Situation::WrongStateForSettings => format!(
            "Modifying the properties of '{vm}' failed.\nThe operation cannot be performed while the object is in its current state."
        ),
        Situation::WrongState => format!(
            "'{vm}' failed to {verb}.\nThe operation cannot be performed while the object is in its current state."
        ),
        Situation::FailedToChange => format!(
            "'{vm}' failed to change state.\nThe operation failed with error code '32788'."
        ),
        Situation::FailedToStop => "Failed to stop.".to_owned(),
        Situation::Denied if is_get(cmdlet) => denied,
        Situation::Denied => {
            format!("'{vm}' failed to {verb}. (Virtual machine ID {id})\n{denied}")
        }
        Situation::OutOfMemory => starved(vm, id, memory_mib, "Not enough memory resources are available to complete this operation. (0x8007000E)."),
        Situation::InsufficientResources => starved(vm, id, memory_mib, "Insufficient system resources exist to complete the requested service. (0x800705AA)."),
        Situation::PromptNeeded => format!(
            "{} is in NonInteractive mode. Read and Prompt functionality is not available.",
            if seven { "PowerShell" } else { "Windows PowerShell" }
        ),
        Situation::DeviceNotReady => format!("'{vm}' failed to {verb}.\nThe device is not ready for use. (0x800710DF)."),
        Situation::ObjectNotFound => format!(
            "Hyper-V encountered an error trying to access an object on computer '{host}' because the object was not found. The object might have been deleted, or you might not have permission to perform the task. Verify that the Virtual Machine Management service on the computer is running. If the service is running, try to perform the task again by using Run as Administrator."
        ),
        Situation::BadPath => format!("'{vm}' failed to {verb}.\nThe system cannot find the path specified. (0x80070003)."),
        Situation::BadParameter => {
            "Cannot validate argument on parameter 'Name'. The argument is null or empty. Provide an argument that is not null or empty, and then try the command again.".to_owned()
        }
        Situation::GeneralFailure => format!("Modifying the properties of '{vm}' failed.\nGeneric failure (0x80041001)."),
        Situation::KeyProtector => "the selected security settings of a virtual machine cannot be changed without a valid key protector configured.".to_owned(),
        Situation::Clustered => format!("'{vm}' failed to {verb}.\nThe virtual machine is managed by a failover cluster. Use the cluster's tools for this operation."),
    }
}

fn is_get(cmdlet: &str) -> bool {
    cmdlet.to_ascii_lowercase().starts_with("get-")
}

fn starved(vm: &str, id: &str, memory_mib: u64, why: &str) -> String {
    format!(
        "'{vm}' failed to start.\nNot enough memory in the system to start the virtual machine {vm}.\nCould not initialize memory: {why}\n'{vm}' failed to start. (Virtual machine ID {id})\nNot enough memory in the system to start the virtual machine {vm} with ram size {memory_mib} megabytes. (Virtual machine ID {id})\nCould not initialize memory: {why} (Virtual machine ID {id})"
    )
}

fn german(situation: Situation, cmdlet: &str, about: About<'_>) -> String {
    let About {
        vm,
        id,
        host,
        memory_mib,
        seven,
    } = about;
    let (_, verb) = verb(cmdlet);
    let denied = format!(
        "Sie verfügen nicht über die erforderliche Berechtigung, um diese Aufgabe auszuführen. Wenden Sie sich an den Administrator der Autorisierungsrichtlinie für den Computer \"{host}\"."
    );
    let starved = |why: &str| {
        format!(
            "\"{vm}\" konnte nicht gestartet werden.\nIm System ist nicht genügend Arbeitsspeicher vorhanden, um den virtuellen Computer \"{vm}\" zu starten.\nDer Arbeitsspeicher konnte nicht initialisiert werden: {why}\n\"{vm}\" konnte nicht gestartet werden. (ID des virtuellen Computers: {id})\nIm System ist nicht genügend Arbeitsspeicher vorhanden, um den virtuellen Computer \"{vm}\" mit einer RAM-Größe von {memory_mib} MB zu starten. (ID des virtuellen Computers: {id})"
        )
    };
    match situation {
        Situation::NoSuchName => {
            format!("Hyper-V konnte keinen virtuellen Computer mit dem Namen \"{vm}\" finden.")
        }
        Situation::NoSuchId => {
            format!("Hyper-V konnte keinen virtuellen Computer mit der ID \"{id}\" finden.")
        }
        Situation::MoreThanOne => "Die Sequenz enthält mehrere Elemente.".to_owned(),
        Situation::WrongStateForSettings => format!(
            "Fehler beim Ändern der Eigenschaften von \"{vm}\".\nDer Vorgang kann nicht ausgeführt werden, während sich das Objekt in seinem aktuellen Zustand befindet."
        ),
        Situation::WrongState => format!(
            "\"{vm}\" konnte nicht {verb} werden.\nDer Vorgang kann nicht ausgeführt werden, während sich das Objekt in seinem aktuellen Zustand befindet."
        ),
        Situation::FailedToChange => format!(
            "Fehler beim Ändern des Zustands von \"{vm}\".\nFehler bei dem Vorgang. Fehlercode: '32788'."
        ),
        Situation::FailedToStop => "Fehler beim Beenden.".to_owned(),
        Situation::Denied if is_get(cmdlet) => denied,
        Situation::Denied => format!(
            "\"{vm}\" konnte nicht {verb} werden. (ID des virtuellen Computers: {id})\n{denied}"
        ),
        Situation::OutOfMemory => starved("Es sind nicht genügend Arbeitsspeicherressourcen verfügbar, um diesen Vorgang auszuführen. (0x8007000E)."),
        Situation::InsufficientResources => starved("Nicht genügend Systemressourcen, um den angeforderten Dienst auszuführen. (0x800705AA)."),
        Situation::PromptNeeded => format!(
            "{} befindet sich im NonInteractive-Modus. Die Lese- und Eingabeaufforderungsfunktion ist nicht verfügbar.",
            if seven { "PowerShell" } else { "Windows PowerShell" }
        ),
        Situation::DeviceNotReady => format!("\"{vm}\" konnte nicht {verb} werden.\nDas Gerät kann nicht verwendet werden. (0x800710DF)."),
        Situation::ObjectNotFound => format!(
            "Beim Zugriff auf ein Objekt auf dem Computer \"{host}\" ist in Hyper-V ein Fehler aufgetreten, weil das Objekt nicht gefunden wurde. Möglicherweise wurde das Objekt gelöscht, oder Sie sind nicht berechtigt, die Aufgabe auszuführen. Stellen Sie sicher, dass der Dienst \"Verwaltung virtueller Computer\" auf dem Computer ausgeführt wird."
        ),
        Situation::BadPath => format!("\"{vm}\" konnte nicht {verb} werden.\nDas System kann den angegebenen Pfad nicht finden. (0x80070003)."),
        Situation::BadParameter => "Das Argument für den Parameter \"Name\" kann nicht überprüft werden. Das Argument ist NULL oder leer. Geben Sie ein Argument an, das nicht NULL oder leer ist, und führen Sie dann den Befehl erneut aus.".to_owned(),
        Situation::GeneralFailure => format!("Fehler beim Ändern der Eigenschaften von \"{vm}\".\nAllgemeiner Fehler (0x80041001)."),
        Situation::KeyProtector => "Die ausgewählten Sicherheitseinstellungen eines virtuellen Computers können nur geändert werden, wenn eine gültige Schlüsselschutzvorrichtung konfiguriert ist.".to_owned(),
        Situation::Clustered => format!("\"{vm}\" konnte nicht {verb} werden.\nDer virtuelle Computer wird von einem Failovercluster verwaltet. Verwenden Sie für diesen Vorgang die Werkzeuge des Clusters."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'_> = About {
        vm: "minikube",
        id: "B1A7C0DE-0000-4000-8000-00000000000A",
        host: "HV1",
        memory_mib: 2200,
        seven: false,
    };

    #[test]
    fn recorded_errors_are_word_for_word() {
        let english = |situation, cmdlet| failure(situation, cmdlet, ABOUT, Language::English);
        let none = english(Situation::NoSuchName, "Get-VM");
        assert_eq!(
            none.messages,
            ["Hyper-V was unable to find a virtual machine with name \"minikube\"."]
        );
        assert_eq!(none.category, "InvalidArgument");
        assert_eq!(none.target.as_deref(), Some("minikube"));
        assert_eq!(
            none.fqid,
            "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"
        );
        let set = english(Situation::NoSuchName, "Set-VM");
        assert_eq!(set.category, "ObjectNotFound");
        assert_eq!(set.target, None);
        let denied = english(Situation::Denied, "Start-VM");
        assert_eq!(
            denied.fqid,
            "AccessDenied,Microsoft.HyperV.PowerShell.Commands.StartVM"
        );
        assert!(denied.messages[0].starts_with(
            "'minikube' failed to start. (Virtual machine ID B1A7C0DE-0000-4000-8000-00000000000A)\nYou do not have the required permission"
        ));
        assert_eq!(
            english(Situation::Denied, "Get-VM").fqid,
            "Unspecified,Microsoft.HyperV.PowerShell.Commands.GetVM"
        );
        let starved = english(Situation::OutOfMemory, "Start-VM");
        assert!(starved.messages[0].contains("with ram size 2200 megabytes."));
        assert_eq!(starved.category, "FromStdErr");
    }

    #[test]
    fn only_texts_change_with_the_language() {
        for situation in Situation::ALL {
            for cmdlet in ["Get-VM", "Start-VM", "Stop-VM", "Set-VM"] {
                let english = failure(situation, cmdlet, ABOUT, Language::English);
                let german = failure(situation, cmdlet, ABOUT, Language::German);
                assert_ne!(english.messages, german.messages, "{situation:?}");
                assert_eq!(english.fqid, german.fqid);
                assert_eq!(english.category, german.category);
                assert_eq!(english.hresult, german.hresult);
            }
        }
    }
}
