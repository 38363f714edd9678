//! Reaching into a Hyper-V VM: its screen by the management service's thumbnails, its keyboard by
//! `Msvm_Keyboard` (Microsoft: `GetVirtualSystemThumbnailImage`, `Msvm_Keyboard`). A serial port there ends
//! in a named pipe of the host, which nothing carries over SSH without a program of ours on the host; that
//! is said instead.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::answer::Trouble;
use super::exchange::{Question, Unanswered, exchange};
use super::failure::{self, About};
use super::frames::unparsable;
use super::guest;
use super::parse::Answer;
use super::script::Task;
use crate::domain::console::{ConsoleEnd, ConsoleEndKind, KeyStrokes};
use crate::domain::error_kind::{ErrorKind, Failure};
use crate::domain::graphics::{Display, DisplayKind};
use crate::domain::guest_account::GuestAccount;
use crate::domain::guest_command::{GuestCommand, GuestRun};
use crate::domain::host::{HostSpec, HypervisorKind};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::picture::RawPicture;
use crate::hypervisor::reach::{
    GuestStart, GuestTrouble, WITHIN, is_typable, is_whole, picture_limits,
};
use crate::hypervisor::{HypervisorError, Reach};
use crate::transport::{ExecLimits, ExitStatus, Transport};

/// The size pictures are asked for in: how large a host makes them is not documented, so the script goes
/// back to a documented size where it refuses this one.
const SIZE: (u32, u32) = (640, 480);

/// Where the host answers for the displays of its VMs (Microsoft: "Virtual Machine Connection", port 2179).
const CONSOLE_PORT: u16 = 2179;

/// How Hyper-V lets somebody into its VMs.
#[derive(Debug, Clone, Copy)]
pub struct HyperVReach;

/// What the script of a picture answers.
#[derive(Debug, Deserialize)]
struct Thumbnail {
    width: u32,
    height: u32,
    /// Base64.
    pixels: String,
}

#[async_trait]
impl Reach for HyperVReach {
    fn console(
        &self,
        _spec: &HostSpec,
        _vm: &VmId,
        _take_over: bool,
    ) -> Result<RemoteCommand, HypervisorError> {
        Err(HypervisorError::Unsupported {
            kind: HypervisorKind::HyperV,
            what: "show a serial console over SSH: its serial ports are pipes of the host"
                .to_owned(),
        })
    }

    fn console_ended(&self, _spec: &HostSpec, status: &ExitStatus, _said: &[u8]) -> ConsoleEnd {
        ConsoleEnd {
            why: ConsoleEndKind::Impossible,
            cause: Failure::new(ErrorKind::Protocol, format!("it ended ({status})")),
        }
    }

    async fn screenshot(
        &self,
        link: &dyn Transport,
        _spec: &HostSpec,
        vm: &VmId,
    ) -> Result<RawPicture, HypervisorError> {
        let (width, height) = SIZE;
        let arguments = json!({ "id": vm, "width": width, "height": height }).to_string();
        let shown = RemoteCommand::powershell(Task::Screen.name(), arguments.clone());
        let shown = shown.life(WITHIN);
        let asked = (Task::Screen, arguments.as_str());
        picture(ask(link, &shown, asked, picture_limits()).await?)
    }

    fn keys(
        &self,
        _spec: &HostSpec,
        vm: &VmId,
        keys: &KeyStrokes,
    ) -> Result<RemoteCommand, HypervisorError> {
        let shown = |arguments: String| {
            // What is typed is among them, and may be a password.
            let command = RemoteCommand::powershell(Task::SendKeys.body(), String::new());
            let script = command.args.into_iter().take(1).collect();
            RemoteCommand {
                args: script,
                ..command
            }
            .secret_arg(arguments)
            .life(WITHIN)
        };
        match keys {
            KeyStrokes::CtrlAltDel => {
                Ok(shown(json!({ "id": vm, "ctrlAltDel": true }).to_string()))
            }
            KeyStrokes::Text(text) => {
                is_typable(text)?;
                let lines: Vec<&str> = text.split('\n').collect();
                Ok(shown(json!({ "id": vm, "lines": lines }).to_string()))
            }
        }
    }

    async fn display(
        &self,
        _link: &dyn Transport,
        _spec: &HostSpec,
        _vm: &VmId,
    ) -> Result<Display, HypervisorError> {
        // One port for all VMs; the viewer says which one it wants.
        Ok(Display::at(DisplayKind::Rdp, "127.0.0.1", CONSOLE_PORT))
    }

    fn guest_command(
        &self,
        _spec: &HostSpec,
        vm: &VmId,
        words: &GuestCommand,
        account: Option<&GuestAccount>,
    ) -> Result<RemoteCommand, HypervisorError> {
        guest::start(vm, words, account)
    }

    async fn run_in_guest(
        &self,
        link: &dyn Transport,
        _spec: &HostSpec,
        _vm: &VmId,
        start: GuestStart<'_>,
    ) -> Result<GuestRun, GuestTrouble> {
        guest::run(link, start).await
    }

    async fn press(
        &self,
        link: &dyn Transport,
        _spec: &HostSpec,
        keys: &RemoteCommand,
    ) -> Result<(), HypervisorError> {
        let arguments = keys.args.last().map_or("{}", |arg| arg.value.as_str());
        let limits = ExecLimits::within(WITHIN);
        let asked = (Task::SendKeys, arguments);
        ask(link, keys, asked, limits).await.map(drop)
    }
}

/// Runs a script and says of its failure what it means for a VM.
pub(super) async fn ask(
    link: &dyn Transport,
    shown: &RemoteCommand,
    (task, arguments): (Task, &str),
    limits: ExecLimits,
) -> Result<Answer, HypervisorError> {
    let question = Question {
        shown,
        task,
        arguments,
        stdin: &[],
        limits,
    };
    let asked = exchange(link, &question, is_whole).await;
    asked.map_err(|unanswered| match unanswered {
        Unanswered::NotSent(error)
        | Unanswered::Lost(error)
        | Unanswered::Told(Trouble::Error(error)) => error,
        Unanswered::Told(Trouble::Record(record)) => failure::judge(&record, About::Vm, None),
        Unanswered::Told(Trouble::Constrained) => failure::constrained(RemoteText::new("")),
        Unanswered::Told(Trouble::NotFound(said)) => failure::no_powershell(&said),
    })
}

fn picture(answer: Answer) -> Result<RawPicture, HypervisorError> {
    let read = Thumbnail::deserialize(answer.data)
        .map_err(|error| unparsable(&format!("the picture: {error}"), b""))?;
    let bytes = STANDARD
        .decode(&read.pixels)
        .map_err(|error| unparsable(&format!("the picture: {error}"), b""))?;
    Ok(RawPicture::Rgb565 {
        width: read.width,
        height: read.height,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host::Endpoint;

    fn spec() -> HostSpec {
        HostSpec::new("hv1".parse().unwrap(), Endpoint::new("hv1", 22))
    }

    fn vm() -> VmId {
        VmId::parse("6C09BB55-D683-4DA0-8931-C9BF705F6480").unwrap()
    }

    fn keys(keys: &KeyStrokes) -> Result<RemoteCommand, HypervisorError> {
        HyperVReach.keys(&spec(), &vm(), keys)
    }

    #[test]
    fn what_is_typed_is_never_shown() {
        let command = keys(&KeyStrokes::Text("it's \"$x\" `hunter2`\n".to_owned())).unwrap();
        let shown = command.shown_line();
        assert!(shown.contains("Msvm_Keyboard"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        let sent: serde_json::Value = serde_json::from_str(&command.args[1].value).unwrap();
        assert_eq!(sent["lines"], json!(["it's \"$x\" `hunter2`", ""]));
        assert!(keys(&KeyStrokes::CtrlAltDel).is_ok());
        assert!(keys(&KeyStrokes::Text("x".repeat(KeyStrokes::MOST + 1))).is_err());
    }

    #[test]
    fn a_picture_is_as_large_as_it_says() {
        let of = |data: serde_json::Value| {
            let gaps = Vec::new();
            picture(Answer { data, gaps })
        };
        let raw = of(json!({ "width": 1, "height": 1, "pixels": "APg=" })).unwrap();
        assert_eq!(raw.unpack().unwrap().pixel(0, 0), [255, 0, 0]);
        let cut = of(json!({ "width": 2, "height": 1, "pixels": "APg=" })).unwrap();
        assert_eq!(
            cut.unpack().unwrap_err().to_string(),
            "the picture is cut off"
        );
        let huge = of(json!({ "width": 20_000, "height": 20_000, "pixels": "" })).unwrap();
        assert!(huge.unpack().unwrap_err().to_string().contains("20000"));
        for odd in [
            json!({}),
            json!({ "width": -1, "height": 1, "pixels": "" }),
            json!({ "width": 1, "height": 1, "pixels": "\u{1b}[2J" }),
        ] {
            assert!(of(odd).is_err());
        }
    }
}
