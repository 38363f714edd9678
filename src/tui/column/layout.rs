//! Where columns stand on a line of the table. Depends on the width and on which columns are on, never
//! on values.

use super::{COLUMNS, Column, ColumnId, Columns, Place, ROOMY};

/// A column with its place in a line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The column.
    pub column: &'static Column,
    /// First terminal column, counted from the left edge of the table.
    pub x: u16,
    /// Width.
    pub width: u16,
}

/// Which columns stand where on a line of this width.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// The columns that are seen.
    pub slots: Vec<Slot>,
    /// Whether columns are hidden to the left.
    pub more_left: bool,
    /// Whether columns are hidden to the right.
    pub more_right: bool,
}

/// Columns at the left edge that belong to the cursor and the mark.
pub const MARGIN: u16 = 3;

/// The widest a name is shown.
const NAME_MAX: u16 = 40;

/// A width in which most hosts' names fit.
const HOST_ENOUGH: u16 = 13;

/// The widest a host's name is shown.
const HOST_MAX: u16 = 24;

/// Lays columns out; `scroll` of the middle ones are hidden at the left.
pub fn layout(total: u16, columns: &Columns, scroll: usize) -> Layout {
    let gap = if total >= ROOMY { 2 } else { 1 };
    let size = |column: &Column| {
        if total >= ROOMY {
            column.roomy
        } else {
            column.narrow
        }
    };
    let of = |place: Place| COLUMNS.iter().filter(move |column| column.place == place);
    let mut left: Vec<(&'static Column, u16)> = of(Place::Left).map(|c| (c, size(c))).collect();
    let right: Vec<(&'static Column, u16)> = of(Place::Right).map(|c| (c, size(c))).collect();
    let middle: Vec<(&'static Column, u16)> =
        columns.shown().into_iter().map(|c| (c, size(c))).collect();
    let taken =
        |columns: &[(&Column, u16)]| -> u16 { columns.iter().map(|(_, width)| width + gap).sum() };
    let mut room = total.saturating_sub(MARGIN + taken(&left) + taken(&right));
    let scroll = scroll.min(middle.len().saturating_sub(1));
    let mut shown = Vec::new();
    for (column, width) in middle.iter().skip(scroll) {
        let Some(rest) = room.checked_sub(width + gap) else {
            break;
        };
        room = rest;
        shown.push((*column, *width));
    }
    let more_right = scroll + shown.len() < middle.len();
    // What is left goes to the names: a third to the host's until most fit, then to the VM's, then to
    // the host's again.
    for (id, share, most) in [
        (ColumnId::Host, room.div_ceil(3), HOST_ENOUGH),
        (ColumnId::Name, room, NAME_MAX),
        (ColumnId::Host, room, HOST_MAX),
    ] {
        if let Some((_, width)) = left.iter_mut().find(|(column, _)| column.id == id) {
            let more = share.min(room).min(most.saturating_sub(*width));
            *width += more;
            room -= more;
        }
    }
    let mut x = MARGIN;
    let mut slots = Vec::new();
    for (column, width) in left.into_iter().chain(shown) {
        slots.push(Slot { column, x, width });
        x += width + gap;
    }
    let mut end = total.saturating_sub(1);
    for (column, width) in right.into_iter().rev() {
        let start = end.saturating_sub(width);
        if start >= x {
            slots.push(Slot {
                column,
                x: start,
                width,
            });
            end = start.saturating_sub(gap);
        }
    }
    slots.retain(|slot| slot.x + slot.width <= total);
    Layout {
        slots,
        more_left: scroll > 0,
        more_right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_never_overlap_and_never_leave_the_line() {
        for total in 0..260 {
            for wide in [false, true] {
                for scroll in 0..20 {
                    let mut columns = Columns::default();
                    columns.wide = wide;
                    let mut slots = layout(total, &columns, scroll).slots;
                    slots.sort_by_key(|slot| slot.x);
                    for pair in slots.windows(2) {
                        assert!(pair[0].x + pair[0].width < pair[1].x, "{total} {scroll}");
                    }
                    if let Some(last) = slots.last() {
                        assert!(last.x + last.width <= total, "{total} {scroll}");
                    }
                }
            }
        }
    }

    #[test]
    fn room_goes_to_the_names() {
        let width = |total: u16, id: ColumnId| {
            let slots = layout(total, &Columns::default(), 0).slots;
            slots
                .iter()
                .find(|slot| slot.column.id == id)
                .unwrap()
                .width
        };
        let both = |total| (width(total, ColumnId::Name), width(total, ColumnId::Host));
        assert!(both(80).0 >= 16 && both(80).1 == 13, "{:?}", both(80));
        assert_eq!(both(120).1, 13);
        assert_eq!(both(200), (40, 24));
    }

    #[test]
    fn eighty_columns_show_state_name_host_load_memory_and_age() {
        let titles: Vec<&str> = layout(80, &Columns::default(), 0)
            .slots
            .iter()
            .map(|slot| slot.column.title)
            .collect();
        assert_eq!(titles, ["ST", "NAME", "HOST", "HV", "CPU%", "MEM", "AGE"]);
        assert!(layout(80, &Columns::default(), 0).more_right);
        assert!(!layout(120, &Columns::default(), 0).more_right);
    }
}
