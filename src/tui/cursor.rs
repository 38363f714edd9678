//! A cursor that sticks to a thing, not to a row: rows may come, go and be sorted under it.

/// A way to move in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// One up.
    Up,
    /// One down.
    Down,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    Top,
    /// To the last.
    Bottom,
}

impl Motion {
    /// Returns where a cursor at `index` of `len` rows ends up, `page` of which are seen.
    pub fn apply(self, index: usize, len: usize, page: usize) -> usize {
        let last = len.saturating_sub(1);
        let page = page.max(1);
        let target = match self {
            Self::Up => index.saturating_sub(1),
            Self::Down => index.saturating_add(1),
            Self::HalfUp => index.saturating_sub(page.div_ceil(2)),
            Self::HalfDown => index.saturating_add(page.div_ceil(2)),
            Self::PageUp => index.saturating_sub(page),
            Self::PageDown => index.saturating_add(page),
            Self::Top => 0,
            Self::Bottom => last,
        };
        target.min(last)
    }
}

/// A cursor in a list of things with an identity.
#[derive(Debug, Clone)]
pub struct Cursor<Id> {
    id: Option<Id>,
    index: usize,
}

impl<Id> Default for Cursor<Id> {
    fn default() -> Self {
        Self { id: None, index: 0 }
    }
}

impl<Id: Clone + PartialEq> Cursor<Id> {
    /// Returns the thing under the cursor.
    pub const fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// Returns its row.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Finds its thing again after the list changed; if it is gone, takes the one now in its place.
    pub fn follow(&mut self, len: usize, id_at: impl Fn(usize) -> Option<Id>) {
        if let Some(id) = &self.id {
            // Most refreshes leave the row where it was.
            if id_at(self.index).as_ref() == Some(id) {
                return;
            }
            if let Some(found) = (0..len).find(|at| id_at(*at).as_ref() == Some(id)) {
                self.index = found;
                return;
            }
        }
        self.index = self.index.min(len.saturating_sub(1));
        self.id = id_at(self.index);
    }

    /// Goes to a row.
    pub fn go(&mut self, index: usize, id: Option<Id>) {
        self.index = index;
        self.id = id;
    }
}

/// Returns the first row to show so that `index` is seen, moving as little as possible. An index beyond the
/// end means the last row.
pub fn scroll_to(top: usize, index: usize, page: usize, len: usize) -> usize {
    let page = page.max(1);
    let index = index.min(len.saturating_sub(1));
    let top = top.min(len.saturating_sub(page));
    if index < top {
        index
    } else if index >= top.saturating_add(page) {
        (index + 1).saturating_sub(page)
    } else {
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(cursor: &mut Cursor<char>, list: &[char]) {
        cursor.follow(list.len(), |at| list.get(at).copied());
    }

    #[test]
    fn the_cursor_sticks_to_its_thing() {
        let mut cursor = Cursor::default();
        follow(&mut cursor, &['a', 'b', 'c']);
        assert_eq!(cursor.id(), Some(&'a'));
        cursor.go(1, Some('b'));
        follow(&mut cursor, &['c', 'x', 'a', 'b']);
        assert_eq!((cursor.index(), cursor.id()), (3, Some(&'b')));
        follow(&mut cursor, &['c', 'x']);
        assert_eq!((cursor.index(), cursor.id()), (1, Some(&'x')));
        follow(&mut cursor, &[]);
        assert_eq!((cursor.index(), cursor.id()), (0, None));
        follow(&mut cursor, &['z']);
        assert_eq!(cursor.id(), Some(&'z'));
    }

    #[test]
    fn motions_stay_in_the_list() {
        assert_eq!(Motion::Down.apply(4, 5, 3), 4);
        assert_eq!(Motion::PageDown.apply(0, 9, 3), 3);
        assert_eq!(Motion::HalfUp.apply(1, 9, 4), 0);
        assert_eq!(Motion::Bottom.apply(0, 0, 3), 0);
    }

    #[test]
    fn scrolling_moves_as_little_as_it_can() {
        assert_eq!(scroll_to(0, 5, 4, 10), 2);
        assert_eq!(scroll_to(2, 3, 4, 10), 2);
        assert_eq!(scroll_to(5, 3, 4, 10), 3);
        assert_eq!(scroll_to(9, 9, 4, 10), 6);
    }

    #[test]
    fn what_is_not_in_the_list_scrolls_to_its_end() {
        assert_eq!(scroll_to(0, 12, 4, 10), 6);
        assert_eq!(scroll_to(3, usize::MAX, 4, 10), 6);
        assert_eq!(scroll_to(usize::MAX, usize::MAX, usize::MAX, 10), 0);
        assert_eq!(scroll_to(7, usize::MAX, 0, 0), 0);
    }
}
