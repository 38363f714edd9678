//! The contract of [`Transport`].
use std::sync::Arc;
use std::time::{Duration, Instant};

use vmdeck::domain::credential::Credential;
use vmdeck::domain::host::Endpoint;
use vmdeck::domain::remote_command::RemoteCommand;
use vmdeck::transport::ssh::{SshConnector, SshOptions};
use vmdeck::transport::{Connector, ExecLimits, ExitStatus, Hop, Target};

use crate::support::sshd::Sshd;

fn target(sshd: &Sshd) -> Target {
    Target {
        name: "kvm1".parse().unwrap(),
        hops: vec![Hop {
            endpoint: Endpoint::new("127.0.0.1", sshd.port()),
            key_alias: None,
            user: sshd.user().parse().unwrap(),
            credentials: vec![Credential::KeyFile {
                path: sshd.client_key.path.clone(),
                passphrase: None,
            }],
        }],
        pinned: Vec::new(),
        known_hosts: vec![sshd.known_hosts_file()],
        accept_new: false,
    }
}

#[tokio::test]
async fn quick() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(SshOptions::default());
    let start = Instant::now();
    let link = connector.connect(&target(&sshd)).await.unwrap();
    println!("connect {:?} with {}", start.elapsed(), link.logged_in_with);
    let limits = ExecLimits::within(Duration::from_secs(5));
    let start = Instant::now();
    for _ in 0..200 {
        let output = link
            .transport
            .exec(&RemoteCommand::posix("true"), limits)
            .await
            .unwrap();
        assert_eq!(output.status, ExitStatus::Code(0));
    }
    println!("exec mean {:?}", start.elapsed() / 200);
    link.transport.close().await;
    println!("{}", link.transport.closed().await);
    drop(Arc::clone(&link.transport));
}
