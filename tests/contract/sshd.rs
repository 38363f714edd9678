//! The real server that the other suites stand on: it must start, restart and end cleanly.

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::support::sshd::Sshd;
use crate::support::{command, run, wait_for};

/// Runs a command through the real client.
fn ssh(sshd: &Sshd, remote: &str) -> String {
    run(command("ssh")
        .args(["-F", "none", "-o", "BatchMode=yes"])
        .args(["-o", "StrictHostKeyChecking=yes", "-o"])
        .arg(format!(
            "UserKnownHostsFile={}",
            sshd.known_hosts_file().display()
        ))
        .arg("-i")
        .arg(&sshd.client_key.path)
        .args(["-p", &sshd.port().to_string()])
        .arg(format!("{}@127.0.0.1", sshd.user()))
        .arg(remote))
}

#[test]
fn the_real_client_logs_in_and_sees_the_environment() {
    let sshd = Sshd::builder().set_env("VMDECK_PROBE", "seen").start();
    assert_eq!(ssh(&sshd, "echo $VMDECK_PROBE"), "seen\n", "{}", sshd.log());
}

#[test]
fn it_comes_back_on_the_same_port_and_leaves_nothing() {
    let mut sshd = Sshd::start();
    let port = sshd.port();
    sshd.restart();
    assert_eq!(sshd.port(), port);
    let mut banner = [0_u8; 4];
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"SSH-");
    let (pid, dir) = (sshd.pid(), sshd.dir().to_owned());
    // A child that its session leaves behind.
    let pid_left = ssh(&sshd, "sleep 300 >/dev/null 2>&1 </dev/null & echo $!");
    drop(sshd);
    assert!(!dir.exists());
    let left = format!("/proc/{}", pid_left.trim());
    let ended = || {
        let stat = std::fs::read_to_string(format!("{left}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!(wait_for(Duration::from_secs(5), ended), "{pid_left}");
    let gone = || !Path::new(&format!("/proc/{pid}")).exists();
    assert!(wait_for(Duration::from_secs(5), gone));
}
