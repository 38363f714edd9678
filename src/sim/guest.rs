//! The SSH servers of simulated VMs on libvirt, reached through their hosts: whoever has the fleet's key logs in,
//! as anybody, and finds the shell of the serial console.

use std::net::IpAddr;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncRead, AsyncWrite};

use super::host::SimHost;
use super::load::{mix, mix_text};
use super::server::config;
use super::virsh::Shell;

/// Where SSH servers listen.
const PORT: u32 = 22;

/// How it introduces itself.
const INTRODUCTION: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3";

/// The SSH server of one VM.
#[derive(Debug)]
pub(super) struct Guest {
    key: PrivateKey,
    visit: Visit,
}

impl Guest {
    /// Finds the VM that runs and has this address.
    pub(super) fn at(
        host: &SimHost,
        (address, port): (&str, u32),
        login: &PublicKey,
    ) -> Option<Self> {
        let address: IpAddr = (port == PORT).then(|| address.parse().ok())??;
        let (name, seed) = host.world(|world| {
            let vm = world.vms().find(|vm| {
                let mut known = vm.plan.addresses.iter();
                vm.is_active() && known.any(|(_, known, _)| *known == address)
            })?;
            let seed = mix_text(vm.plan.seed, &vm.plan.uuid);
            Some((vm.plan.name.clone(), seed))
        })?;
        let mut bytes = [0; 32];
        for (part, n) in bytes.chunks_exact_mut(8).zip(0..) {
            part.copy_from_slice(&mix(seed, n).to_le_bytes());
        }
        Some(Self {
            key: Ed25519Keypair::from_seed(&bytes).into(),
            visit: Visit {
                shell: Shell::new(&name),
                login: login.clone(),
            },
        })
    }

    /// Serves one connection until either side ends it.
    pub(super) async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let serving = russh::server::run_stream(config(self.key, INTRODUCTION), stream, self.visit);
        let ended = match serving.await {
            Ok(session) => session.await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to a simulated VM ended");
        }
    }
}

/// One connection.
#[derive(Debug)]
struct Visit {
    shell: Shell,
    login: PublicKey,
}

impl Handler for Visit {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if key.public_key.key_data() == self.login.key_data() {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.data(channel, self.shell.prompt())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.data(channel, self.shell.take(data))?;
        if self.shell.is_left() {
            session.exit_status_request(channel, 0)?;
            session.eof(channel)?;
            session.close(channel)?;
        }
        Ok(())
    }
}
