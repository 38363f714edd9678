//! A scripted host for tests: answers by command, delays, failures, silence, kept processes.
//!
//! It keeps the contract of [`super::Transport`] (the contract suite runs on it as well as on a real
//! sshd), knows no network, and waits on tokio's clock only, so that tests with a paused clock are exact.
//!
//! ```
//! # use vmdeck::transport::scripted::{Answer, Script};
//! let script = Script::new();
//! script.on("virsh list", Answer::out("a\nb\n"));
//! script.on("virsh start", Answer::exit(1).stderr("error: no\n"));
//! let connector = script.connector();
//! ```

mod answer;
mod link;
mod script;

pub use self::answer::Answer;
pub use self::link::ScriptedTransport;
pub use self::script::{Script, ScriptedConnector};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::domain::remote_command::RemoteCommand;
    use crate::transport::{Chunk, ExecLimits, Transport, TransportError};

    fn list() -> RemoteCommand {
        RemoteCommand::posix("virsh").arg("list")
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_in_turn_and_the_last_one_stays() {
        let script = Script::new();
        script.on(
            "virsh list",
            Answer::in_turn([
                Answer::out("a"),
                Answer::out("b").after(Duration::from_secs(5)),
            ]),
        );
        let link = script.transport();
        let limits = ExecLimits::within(Duration::from_secs(30));
        let started = Instant::now();
        for expected in ["a", "b", "b"] {
            let output = link.exec(&list(), limits).await.unwrap();
            assert_eq!(output.stdout, expected.as_bytes());
        }
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        assert_eq!(script.count("virsh"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_command_ends_at_its_deadline_and_with_the_link() {
        let script = Script::new();
        script.on("virsh list", Answer::hang());
        let link = script.transport();
        let limits = ExecLimits::within(Duration::from_secs(30));
        let command = list();
        assert!(matches!(
            link.exec(&command, limits).await,
            Err(TransportError::Timeout { .. })
        ));
        let (result, ()) = tokio::join!(link.exec(&command, limits), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            script.break_links("pulled the plug");
        });
        assert!(matches!(result, Err(TransportError::Lost { .. })));
        assert_eq!(script.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn processes_answer_writes_and_speak_by_themselves() {
        let script = Script::new();
        script.on_spawn("virsh event", |_command| {
            |bytes: &[u8]| vec![Chunk::Stdout(bytes.to_ascii_uppercase())]
        });
        let link = script.transport();
        let command = RemoteCommand::posix("virsh").arg("event");
        let mut process = link.spawn(&command).await.unwrap();
        process.write(b"a").await.unwrap();
        assert_eq!(process.read().await.unwrap(), Chunk::Stdout(b"A".to_vec()));
        assert_eq!(script.say("event", &Chunk::Stdout(b"x".to_vec())), 1);
        assert_eq!(process.read().await.unwrap(), Chunk::Stdout(b"x".to_vec()));
        script.break_links("gone");
        assert!(process.read().await.is_err());
    }
}
