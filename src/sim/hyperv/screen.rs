//! The screen and the keyboard of emulated VMs (Microsoft: `GetVirtualSystemThumbnailImage`, `Msvm_Keyboard`).

use super::cell::Cell;
use super::cim::hresult;
use super::methods::{Given, Out, Returned};
use super::state::WinState;
use super::world::{WinWorld, code};
use crate::domain::picture::Picture;
use crate::sim::load::mix_text;
use crate::sim::picture;

/// What a keyboard answers to a character that it has no key for.
const UNTRANSLATABLE: u32 = 1;

/// Characters that are typed at once.
const MOST: usize = 512;

/// Draws a VM's screen in the size that is asked for.
pub(super) fn thumbnail(world: &WinWorld, given: &Given<'_>) -> Result<Returned, u32> {
    given.check(&["TargetSystem", "WidthPixels", "HeightPixels"])?;
    let id = given.object("TargetSystem", "Msvm_VirtualSystemSettingData")?;
    let side = |name: &str| {
        let number = given.number(name)?;
        let side = number.and_then(|number| u16::try_from(number).ok());
        side.ok_or(hresult::INVALID_METHOD_PARAMETERS)
            .map(u32::from)
    };
    let (width, height) = (side("WidthPixels")?, side("HeightPixels")?);
    let vm = world.vm(&id).ok_or(hresult::NOT_FOUND)?;
    let image = |cell| vec![("ImageData", Out::Cell(cell))];
    if width == 0 || height == 0 || width > 1600 || height > 1200 {
        return Ok(Returned {
            code: u32::from(code::INVALID_PARAMETER),
            out: image(Cell::Null),
        });
    }
    if !vm.state().has_worker() {
        return Ok(Returned {
            code: u32::from(code::INVALID_STATE),
            out: image(Cell::Null),
        });
    }
    let seen = picture::screen(mix_text(7, vm.id()), vm.typed).scaled(width, height);
    Ok(Returned {
        code: 0,
        out: image(Cell::Bytes(rgb565(&seen).into())),
    })
}

/// Two bytes a pixel, little end first: five bits red, six green, five blue.
fn rgb565(picture: &Picture) -> Vec<u8> {
    let pixels = picture.bytes().chunks_exact(Picture::DEPTH);
    pixels
        .flat_map(|pixel| {
            let part = |at: usize| u16::from(pixel.get(at).copied().unwrap_or_default());
            ((part(0) >> 3) << 11 | (part(1) >> 2) << 5 | part(2) >> 3).to_le_bytes()
        })
        .collect()
}

/// Presses keys.
pub(super) fn keyboard(
    world: &mut WinWorld,
    id: &str,
    (method, given): (&str, &Given<'_>),
) -> Result<Returned, u32> {
    let mut code = 0;
    let pressed = match method {
        "TypeText" => {
            given.check(&["asciiText"])?;
            let text = given.text("asciiText")?.unwrap_or_default();
            if text.chars().count() > MOST {
                return Err(hresult::INVALID_METHOD_PARAMETERS);
            }
            let typed = text.chars().take_while(char::is_ascii).count();
            if typed < text.chars().count() {
                code = UNTRANSLATABLE;
            }
            typed
        }
        "TypeKey" => {
            given.check(&["keyCode"])?;
            let key = given.number("keyCode")?;
            key.ok_or(hresult::INVALID_METHOD_PARAMETERS)?;
            1
        }
        _ => {
            given.check(&[])?;
            3
        }
    };
    let vm = world.vm_mut(id).ok_or(hresult::NOT_FOUND)?;
    if vm.state() == WinState::Running {
        vm.typed += u32::try_from(pressed).unwrap_or_default();
    } else {
        code = u32::from(code::INVALID_STATE);
    }
    Ok(Returned {
        code,
        out: Vec::new(),
    })
}
