//! A Windows process's view of its host: what the `PowerShell` evaluator asks for beyond the language.
//! One machine serves one process; the host behind it is shared.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::cell::Thing;
use super::cmdlets::{self, Queued};
use super::convert::{self, Style};
use super::events::Watcher;
use super::faults::{Account, ModuleHealth};
use super::files;
use super::guest::{self, Visit};
use super::host::WinHost;
use super::profile::{self, Language};
use crate::sim::powershell::call::Call;
use crate::sim::powershell::error::{Category, ErrorRecord};
use crate::sim::powershell::life::{Life, Processes};
use crate::sim::powershell::machine::{
    self as facts, DefaultShell, Edition, Installed, LanguageMode, Machine, PathKind, Reply,
    Started,
};
use crate::sim::powershell::object::Object;
use crate::sim::powershell::spec::Spec;
use crate::sim::powershell::value::{Value, Version};

/// Security identifiers of the groups that count (Microsoft: well-known SIDs).
const ADMINISTRATORS: &str = "S-1-5-32-544";
const HYPER_V_ADMINISTRATORS: &str = "S-1-5-32-578";

/// A process's view of a Windows host.
#[derive(Debug)]
pub(in crate::sim) struct WinMachine {
    host: Arc<WinHost>,
    processes: Processes,
    loaded: bool,
    /// `PowerShell` 7 on a system whose module knows only 5.1.
    deserialised: bool,
    pub(super) watchers: Vec<Watcher>,
    pub(super) queue: Vec<Queued>,
    /// Number of the last event.
    pub(super) events: i32,
    /// The session in a VM that is open.
    visit: Option<Visit>,
}

impl WinMachine {
    /// Makes the view of a new command line: the process that starts it, and its number.
    pub(in crate::sim) fn new(host: Arc<WinHost>, processes: Processes) -> Self {
        Self {
            host,
            processes,
            loaded: false,
            deserialised: false,
            watchers: Vec::new(),
            queue: Vec::new(),
            events: 0,
            visit: None,
        }
    }

    pub(super) fn host(&self) -> &WinHost {
        &self.host
    }

    pub(super) fn language(&self) -> Language {
        self.host.world(|world| world.plan.language)
    }

    pub(super) const fn style(&self) -> Style {
        Style {
            utc_offset: 0,
            deserialised: self.deserialised,
        }
    }

    pub(super) fn objects(&self, things: Vec<Thing>) -> Vec<Value> {
        let style = self.style();
        let objects = things.into_iter();
        objects.map(|thing| convert::object(thing, style)).collect()
    }

    pub(super) fn is_denied(&self) -> bool {
        self.host
            .world(|world| world.faults.account == Account::Neither)
    }

    pub(super) fn module_is(&self, health: ModuleHealth) -> bool {
        self.host.world(|world| world.faults.module == health)
    }

    pub(super) const fn module_loaded(&self) -> bool {
        self.loaded
    }

    /// Lets time pass; false when the process is being ended.
    pub(super) fn wait(&self, life: &Life, time: Duration) -> bool {
        self.host.sleep(life, time)
    }

    /// Loads the Hyper-V module, once.
    pub(super) fn load_module(&mut self, life: &Life) -> bool {
        if self.loaded {
            return true;
        }
        self.loaded = true;
        let time = self.host.world(|world| world.pace().module_load);
        time.is_zero() || self.wait(life, time)
    }

    pub(super) fn hangs(&self, what: &str) -> bool {
        self.host.world(|world| world.faults.hangs(what))
    }

    /// Never answers, until the process is ended.
    pub(super) fn hang(&self, call: &Call) -> Reply {
        while self.wait(&call.life, Duration::from_millis(200)) {}
        Reply::nothing()
    }

    /// What keeps a command from running at all; takes the time that a call takes.
    pub(super) fn hurdle(&mut self, call: &Call) -> Option<ErrorRecord> {
        let (pace, faults, old) = self.host.world(|world| {
            (
                world.pace(),
                world.faults.clone(),
                world.plan.windows == profile::Windows::Server2016,
            )
        });
        if !pace.call.is_zero() {
            self.wait(&call.life, pace.call);
        }
        if faults.hangs(call.spec.name) {
            self.hang(call);
        }
        if !cmdlets::is_hyper_v(call.spec) {
            return None;
        }
        let qualified = call.written.contains('\\');
        if faults.vmware_module && !qualified {
            return Some(
                call.error(
                    "VMware.VimAutomation.Sdk.Types.V1.ErrorHandling.VimException.ViServerConnectionException",
                    "You are not currently connected to any servers. Please connect first using a Connect cmdlet.",
                    "Core_BaseCmdlet_NotConnectedError",
                    Category::ResourceUnavailable,
                )
                .terminating(),
            );
        }
        if faults.module == ModuleHealth::Unloadable {
            return Some(self.not_loadable(&call.written));
        }
        self.deserialised = old && call.edition == Edition::Core;
        self.load_module(&call.life);
        None
    }

    fn not_loadable(&self, written: &str) -> ErrorRecord {
        let name = written.rsplit('\\').next().unwrap_or(written);
        let text = match self.language() {
            Language::English => format!(
                "The '{name}' command was found in the module 'Hyper-V', but the module could not be loaded. For more information, run 'Import-Module Hyper-V'."
            ),
            Language::German => format!(
                "Der Befehl \"{name}\" wurde im Modul \"Hyper-V\" gefunden, das Modul konnte jedoch nicht geladen werden. Wenn Sie weitere Informationen wünschen, führen Sie \"Import-Module Hyper-V\" aus."
            ),
        };
        ErrorRecord::new(
            "System.Management.Automation.CommandNotFoundException",
            text,
            "CouldNotAutoloadMatchingModule",
            Category::ObjectNotFound,
        )
        .with_target(written)
        .terminating()
    }

    /// The account's name and the groups that count.
    fn account(&self) -> (String, Vec<&'static str>) {
        let (host, account) = self
            .host
            .world(|world| (world.hostname.to_uppercase(), world.faults.account));
        let everyone = ["S-1-1-0", "S-1-5-32-545", "S-1-5-2", "S-1-5-11", "S-1-5-15"];
        let own: &[&'static str] = match account {
            Account::Administrator => &[ADMINISTRATORS],
            Account::HyperVAdministrator => &[HYPER_V_ADMINISTRATORS],
            Account::Neither => &[],
        };
        let name = format!("{host}\\demo");
        (name, everyone.iter().chain(own).copied().collect())
    }

    fn identity(&self) -> Value {
        let (name, groups) = self.account();
        let groups = groups.into_iter().map(sid);
        Value::from(
            Object::new("System.Security.Principal.WindowsIdentity")
                .also("System.Security.Claims.ClaimsIdentity")
                .with("AuthenticationType", "PublicKey")
                .with("IsAuthenticated", true)
                .with("IsSystem", false)
                .with("Name", name)
                .with("Groups", Value::array(groups))
                .with("User", sid("S-1-5-21-1004336348-1177238915-682003330-1001")),
        )
    }

    fn is_in(&self, role: &Value) -> bool {
        let (_, groups) = self.account();
        let wanted = match role {
            Value::Object(object) => object.get("Value"),
            other => Some(other.clone()),
        };
        let (administrators, hyper_v) = self.language().of(
            ("administrators", "hyper-v administrators"),
            ("administratoren", "hyper-v-administratoren"),
        );
        let sid = match wanted {
            // WindowsBuiltInRole.Administrator is 544.
            Some(other) if other.as_integer() == Some(544) => ADMINISTRATORS.to_owned(),
            Some(Value::Str(text)) => {
                let text = text.to_lowercase();
                let bare = text.rsplit('\\').next().unwrap_or(&text);
                if bare == administrators || bare == "administrator" {
                    ADMINISTRATORS.to_owned()
                } else if bare == hyper_v {
                    HYPER_V_ADMINISTRATORS.to_owned()
                } else {
                    text.to_uppercase()
                }
            }
            _ => return false,
        };
        groups.contains(&sid.as_str())
    }
}

fn sid(text: &str) -> Value {
    Value::from(
        Object::new("System.Security.Principal.SecurityIdentifier")
            .also("System.Security.Principal.IdentityReference")
            .with("Value", text)
            .reads(text),
    )
}

/// A type's name without the namespace that may be left out.
fn bare(type_name: &str) -> &str {
    match type_name.get(..7) {
        Some(head) if head.eq_ignore_ascii_case("System.") => {
            type_name.get(7..).unwrap_or(type_name)
        }
        _ => type_name,
    }
}

impl Machine for WinMachine {
    fn windows(&self) -> Arc<facts::Windows> {
        Arc::new(self.host.facts())
    }

    fn spec(&self, name: &str) -> Option<&'static Spec> {
        let spec = cmdlets::find(name)?;
        let missing = cmdlets::is_hyper_v(spec)
            && self.host.world(|world| {
                world.faults.module == ModuleHealth::Missing && !world.faults.vmware_module
            });
        (!missing).then_some(spec)
    }

    fn command(&mut self, call: &Call) -> Reply {
        cmdlets::run(self, call)
    }

    fn method(
        &mut self,
        on: &Object,
        name: &str,
        arguments: &[Value],
    ) -> Option<Result<Value, ErrorRecord>> {
        if let [Value::Str(text)] = arguments
            && on.is("System.Security.AccessControl.FileSecurity")
            && name.eq_ignore_ascii_case("SetSecurityDescriptorSddlForm")
        {
            on.set("Sddl", Value::str(text));
            return Some(Ok(Value::Void));
        }
        let principal = on.is("System.Security.Principal.WindowsPrincipal");
        if principal && name.eq_ignore_ascii_case("IsInRole") {
            return Some(Ok(Value::Bool(
                arguments.first().is_some_and(|role| self.is_in(role)),
            )));
        }
        None
    }

    fn static_member(
        &mut self,
        type_name: &str,
        member: &str,
        arguments: Option<&[Value]>,
    ) -> Option<Result<Value, ErrorRecord>> {
        let is = |name: &str| bare(type_name).eq_ignore_ascii_case(name);
        if is("Security.Principal.WindowsIdentity")
            && member.eq_ignore_ascii_case("GetCurrent")
            && arguments.is_some()
        {
            return Some(Ok(self.identity()));
        }
        if let Some(arguments) = arguments
            && (is("IO.File") || is("IO.Directory"))
        {
            return files::call(self, member, arguments);
        }
        if is("NullString") && member.eq_ignore_ascii_case("Value") {
            return Some(Ok(Value::Null));
        }
        if is("Security.Principal.WindowsBuiltInRole")
            && member.eq_ignore_ascii_case("Administrator")
        {
            return Some(Ok(Value::enumeration(
                "System.Security.Principal.WindowsBuiltInRole",
                "Administrator",
                544,
            )));
        }
        None
    }

    fn construct(
        &mut self,
        type_name: &str,
        arguments: &[Value],
    ) -> Option<Result<Value, ErrorRecord>> {
        let is = |name: &str| bare(type_name).eq_ignore_ascii_case(name);
        match arguments {
            [_identity] if is("Security.Principal.WindowsPrincipal") => Some(Ok(Value::from(
                Object::new("System.Security.Principal.WindowsPrincipal"),
            ))),
            [Value::Str(text)] if is("Security.Principal.SecurityIdentifier") => {
                Some(Ok(sid(text)))
            }
            _ => None,
        }
    }

    fn now(&self) -> Timestamp {
        self.host.world(|world| world.wall())
    }

    fn sleep(&mut self, life: &Life, time: Duration) -> bool {
        self.host.sleep(life, time)
    }

    fn processes(&self) -> Processes {
        self.processes.clone()
    }

    fn environment(&self, name: &str) -> Option<String> {
        let computer = || self.host.world(|world| world.hostname.to_uppercase());
        Some(match name.to_ascii_lowercase().as_str() {
            "computername" => computer(),
            "username" => "demo".to_owned(),
            "userprofile" => "C:\\Users\\demo".to_owned(),
            "systemroot" | "windir" => "C:\\Windows".to_owned(),
            "systemdrive" => "C:".to_owned(),
            "programfiles" => "C:\\Program Files".to_owned(),
            "programdata" => "C:\\ProgramData".to_owned(),
            "temp" | "tmp" => "C:\\Users\\demo\\AppData\\Local\\Temp".to_owned(),
            "comspec" => "C:\\Windows\\system32\\cmd.exe".to_owned(),
            "processor_architecture" => "AMD64".to_owned(),
            _ => return None,
        })
    }

    fn program(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_lowercase();
        let has = self.host.world(|world| {
            world.plan.windows != profile::Windows::Server2016 && !world.faults.no_namespace
        });
        let hvc = matches!(name.as_str(), "hvc" | "hvc.exe");
        (hvc && has).then(|| "C:\\Windows\\system32\\hvc.exe".to_owned())
    }

    fn enter_guest(
        &mut self,
        call: &Call,
        vm: &Value,
        account: (&str, &str),
    ) -> Result<(), Box<ErrorRecord>> {
        self.visit = Some(guest::enter(self, call, vm, account)?);
        Ok(())
    }

    fn leave_guest(&mut self) {
        self.visit = None;
    }

    fn start_program(&mut self, program: &str, words: &str) -> Result<Started, String> {
        match &self.visit {
            Some(visit) => visit.start(program, words),
            None => Err("The system cannot find the file specified".to_owned()),
        }
    }

    fn path(&self, path: &str) -> Option<PathKind> {
        let path = path.trim_end_matches('\\');
        let folders = ["C:", "C:\\Windows", "C:\\Windows\\system32", "C:\\Hyper-V"];
        let is = |known: &str| known.eq_ignore_ascii_case(path);
        if folders.iter().any(|folder| is(folder)) {
            return Some(PathKind::Folder);
        }
        let (found, hvc) = self.host.world(|world| {
            let disks = world.vms.iter().any(|vm| {
                vm.plan.disks.iter().any(|disk| {
                    !disk.missing
                        && vm
                            .disk_chain(disk, vm.plan.current.as_deref())
                            .iter()
                            .any(|file| is(file))
                })
            });
            (disks, world.plan.windows != profile::Windows::Server2016)
        });
        let program =
            is("C:\\Windows\\system32\\cmd.exe") || (hvc && is("C:\\Windows\\system32\\hvc.exe"));
        (found || program).then_some(PathKind::File)
    }
}

impl WinHost {
    /// The host's facts, as the shells and the language need them.
    pub(in crate::sim) fn facts(&self) -> facts::Windows {
        self.world(|world| {
            let plan = &world.plan;
            let build = i32::try_from(plan.windows.build()).unwrap_or_default();
            let installed = |there: bool, version: Version| {
                there.then_some(Installed {
                    version,
                    startup: plan.pace.process_start,
                })
            };
            let edition = if plan.powershells.has_five() {
                Edition::Desktop
            } else {
                Edition::Core
            };
            let oem = plan.language.of(437, 850);
            facts::Windows {
                host_name: world.hostname.to_uppercase(),
                user: format!("{}\\demo", world.hostname.to_lowercase()),
                os_version: Version([10, 0, build, 0]),
                processors: world.cpus,
                language: match plan.language {
                    Language::English => facts::Language::English,
                    Language::German => facts::Language::German,
                },
                culture: plan.language.culture().to_owned(),
                code_page: world.faults.code_page.unwrap_or(oem),
                utc_offset: 0,
                language_mode: if world.faults.constrained_language {
                    LanguageMode::Constrained
                } else {
                    LanguageMode::Full
                },
                default_shell: match plan.shell {
                    profile::Shell::Cmd => DefaultShell::Cmd,
                    profile::Shell::PowerShell => DefaultShell::PowerShell(edition),
                },
                banner: world.faults.banner.clone().unwrap_or_default(),
                desktop: installed(plan.powershells.has_five(), Version([5, 1, build, 2849])),
                core: installed(plan.powershells.has_seven(), Version([7, 4, 6, -1])),
                writes_bom: world.faults.byte_order_mark,
                input_wedges: true,
            }
        })
    }
}
