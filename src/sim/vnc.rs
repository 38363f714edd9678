//! The VNC display of a simulated VM: as much of RFB 3.8 as a viewer needs to show a picture and to type
//! (RFC 6143): no authentication, one pixel format, raw rectangles.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::domain::picture::Picture;

/// The port of display 0.
pub(super) const BASE: u32 = 5900;

/// How long a viewer that asks for what has changed waits for an answer.
const PAUSE: Duration = Duration::from_millis(500);

/// Bytes of a clipboard that are skipped; more ends the connection.
const MAX_CLIPBOARD: u32 = 1024 * 1024;

/// 32 bits a pixel, depth 24, little end first, true colour, eight bits each from bit 16, 8 and 0.
const FORMAT: [u8; 16] = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];

/// The VM behind a display.
pub(super) trait Seen: Send {
    /// Draws what is on its screen now.
    fn picture(&self) -> Picture;
    /// A key was pressed.
    fn press(&self);
}

/// Serves one viewer until it leaves.
pub(super) async fn serve<S>(mut viewer: S, name: &str, vm: &impl Seen) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut skipped = [0; 20];
    viewer.write_all(b"RFB 003.008\n").await?;
    read(&mut viewer, &mut skipped, 12).await?;
    // One kind of security: none. It is chosen, and found good.
    viewer.write_all(&[1, 1]).await?;
    viewer.read_u8().await?;
    viewer.write_u32(0).await?;
    viewer.read_u8().await?;
    let picture = vm.picture();
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let (width, height) = (side(picture.width()), side(picture.height()));
    viewer.write_u16(width).await?;
    viewer.write_u16(height).await?;
    viewer.write_all(&FORMAT).await?;
    viewer
        .write_u32(u32::try_from(name.len()).unwrap_or_default())
        .await?;
    viewer.write_all(name.as_bytes()).await?;
    viewer.flush().await?;
    loop {
        match viewer.read_u8().await? {
            0 => read(&mut viewer, &mut skipped, 19).await?,
            2 => {
                viewer.read_u8().await?;
                let encodings = u32::from(viewer.read_u16().await?);
                skip(&mut viewer, encodings * 4).await?;
            }
            3 => {
                let only_changes = viewer.read_u8().await? != 0;
                read(&mut viewer, &mut skipped, 8).await?;
                if only_changes {
                    tokio::time::sleep(PAUSE).await;
                }
                update(&mut viewer, &vm.picture()).await?;
            }
            4 => {
                let is_down = viewer.read_u8().await? != 0;
                read(&mut viewer, &mut skipped, 6).await?;
                if is_down {
                    vm.press();
                }
            }
            5 => read(&mut viewer, &mut skipped, 5).await?,
            6 => {
                read(&mut viewer, &mut skipped, 3).await?;
                let length = viewer.read_u32().await?;
                if length > MAX_CLIPBOARD {
                    return Ok(());
                }
                skip(&mut viewer, length).await?;
            }
            _ => return Ok(()),
        }
    }
}

async fn read(
    viewer: &mut (impl AsyncRead + Unpin),
    into: &mut [u8; 20],
    count: usize,
) -> io::Result<()> {
    let part = into.get_mut(..count).unwrap_or_default();
    viewer.read_exact(part).await.map(drop)
}

async fn skip(viewer: &mut (impl AsyncRead + Unpin), count: u32) -> io::Result<()> {
    let mut rest = viewer.take(u64::from(count));
    tokio::io::copy(&mut rest, &mut tokio::io::sink())
        .await
        .map(drop)
}

/// Sends the whole picture as one raw rectangle.
async fn update(viewer: &mut (impl AsyncWrite + Unpin), picture: &Picture) -> io::Result<()> {
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let mut message = vec![0, 0, 0, 1, 0, 0, 0, 0];
    message.extend(side(picture.width()).to_be_bytes());
    message.extend(side(picture.height()).to_be_bytes());
    message.extend([0; 4]);
    for pixel in picture.bytes().chunks_exact(Picture::DEPTH) {
        message.extend(pixel.iter().rev());
        message.push(0);
    }
    viewer.write_all(&message).await?;
    viewer.flush().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::sim::picture;

    #[derive(Default)]
    struct Vm(AtomicU32);

    impl Seen for Vm {
        fn picture(&self) -> Picture {
            picture::screen(1, self.0.load(Ordering::SeqCst))
        }

        fn press(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn a_viewer_sees_the_picture_and_types() {
        let (mut viewer, server) = tokio::io::duplex(4096);
        let vm = Vm::default();
        let looking = async {
            let mut banner = [0; 12];
            viewer.read_exact(&mut banner).await.unwrap();
            assert_eq!(&banner, b"RFB 003.008\n");
            viewer.write_all(&banner).await.unwrap();
            let mut security = [0; 2];
            viewer.read_exact(&mut security).await.unwrap();
            assert_eq!(security, [1, 1]);
            viewer.write_all(&[1, 1]).await.unwrap();
            let mut head = [0; 4 + 4 + 16 + 4 + 5];
            viewer.read_exact(&mut head).await.unwrap();
            assert_eq!(&head[4..8], [2, 128, 1, 144], "640 x 400");
            assert!(head.ends_with(b"web-1"));
            // An encoding, a key, then the picture.
            let asked = [
                &[2, 0, 0, 1, 0, 0, 0, 0][..],
                &[4, 1, 0, 0, 0, 0, 0, 97],
                &[4, 0, 0, 0, 0, 0, 0, 97],
                &[3, 0, 0, 0, 0, 0, 2, 128, 1, 144],
            ]
            .concat();
            viewer.write_all(&asked).await.unwrap();
            let mut update = vec![0; 16 + 640 * 400 * 4];
            viewer.read_exact(&mut update).await.unwrap();
            let first = picture::screen(1, 1).pixel(0, 0);
            assert_eq!(update[16..20], [first[2], first[1], first[0], 0]);
            drop(viewer);
        };
        let (end, ()) = tokio::join!(serve(server, "web-1", &vm), looking);
        assert!(end.is_err(), "it has left");
        assert_eq!(vm.0.load(Ordering::SeqCst), 1);
    }
}
