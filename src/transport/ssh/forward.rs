//! A connection of this machine carried to a port or a socket of the host (RFC 4254, section 7.2; OpenSSH's
//! `direct-streamlocal`). Neither direction is read ahead of the other side.

use std::sync::Arc;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::exec::close;
use super::link::Link;
use crate::domain::graphics::DisplayPlace;
use crate::task::send_or_gone;
use crate::transport::TransportError;

/// Bytes that are read at once.
const PIECE: usize = 32 * 1024;

/// Carries a connection until the host's side ends it, the other breaks it off, or whoever asked has left. Where this
/// side has only no more to say, the host is told so, and what it still sends is carried.
pub(super) async fn run(
    link: Arc<Link>,
    (to, local): (DisplayPlace, TcpStream),
    mut reply: oneshot::Sender<Result<(), TransportError>>,
) {
    let channel = match link.open_forward(&to).await {
        Ok(channel) => channel,
        Err(error) => return send_or_gone(reply, Err(error)),
    };
    let (mut read, write) = Channel::<Msg>::split(channel);
    let ended = tokio::select! {
        biased;
        () = reply.closed() => Ok(()),
        error = link.wait_closed() => Err(error),
        () = carry((&mut read, &write), local) => Ok(()),
    };
    close(read, &write).await;
    send_or_gone(reply, ended);
}

async fn carry((read, write): (&mut ChannelReadHalf, &ChannelWriteHalf<Msg>), local: TcpStream) {
    // Pictures and keys are small and many: none of them waits for another.
    drop(local.set_nodelay(true));
    let (from, to) = local.into_split();
    tokio::select! {
        () = bring(read, to) => {}
        () = take(from, write) => {}
    }
}

async fn bring(read: &mut ChannelReadHalf, mut to: OwnedWriteHalf) {
    while let Some(message) = read.wait().await {
        let data = match message {
            ChannelMsg::Data { data } => data,
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => continue,
        };
        if to.write_all(&data).await.is_err() {
            return;
        }
    }
}

async fn take(mut from: OwnedReadHalf, write: &ChannelWriteHalf<Msg>) {
    let mut piece = vec![0; PIECE];
    while let Ok(count) = from.read(&mut piece).await {
        if count == 0 {
            if write.eof().await.is_ok() {
                std::future::pending::<()>().await;
            }
            return;
        }
        let bytes = piece.get(..count).unwrap_or_default().to_vec();
        if write.data_bytes(bytes).await.is_err() {
            return;
        }
    }
}
