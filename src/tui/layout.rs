//! Where the parts of the screen stand. Depends on the size only, so that nothing moves when values do.

use ratatui::layout::Rect;

/// The least that can be drawn on.
pub const MINIMUM: (u16, u16) = (30, 8);

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// Fleet at a glance.
    pub header: Rect,
    /// The view.
    pub body: Rect,
    /// Filter, news, counts.
    pub status: Rect,
    /// Keys.
    pub footer: Rect,
}

/// Divides the screen; `None` when it is too small.
pub fn areas(area: Rect, compact: bool) -> Option<Areas> {
    if area.width < MINIMUM.0 || area.height < MINIMUM.1 {
        return None;
    }
    let header = if compact || area.height < 16 || area.width >= 132 {
        1
    } else {
        2
    };
    let line = |y: u16, height: u16| Rect {
        y: area.y + y,
        height,
        ..area
    };
    Some(Areas {
        header: line(0, header),
        body: line(header, area.height - header - 2),
        status: line(area.height - 2, 1),
        footer: line(area.height - 1, 1),
    })
}

/// Returns an area of at most this size in the middle of another.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(area.width);
    let height = height.min(area.height);
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}

/// Returns an area without a frame of this thickness.
pub fn inner(area: Rect, columns: u16, lines: u16) -> Rect {
    Rect {
        x: area.x.saturating_add(columns),
        y: area.y.saturating_add(lines),
        width: area.width.saturating_sub(columns.saturating_mul(2)),
        height: area.height.saturating_sub(lines.saturating_mul(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_screen_and_do_not_overlap() {
        for (width, height) in [(30, 8), (40, 10), (80, 24), (120, 40), (200, 50)] {
            let area = Rect::new(0, 0, width, height);
            let parts = areas(area, false).unwrap();
            assert_eq!(parts.header.bottom(), parts.body.y);
            assert_eq!(parts.body.bottom(), parts.status.y);
            assert_eq!(parts.status.bottom(), parts.footer.y);
            assert_eq!(parts.footer.bottom(), height);
        }
        assert_eq!(areas(Rect::new(0, 0, 29, 20), false), None);
        assert_eq!(areas(Rect::new(0, 0, 0, 0), false), None);
    }
}
