//! Where a driver tells how far the hypervisor is with an action, while it waits for it.
//!
//! Only the newest report counts, so a driver may tell as often as it likes and never waits; how often
//! that is looked at is the business of whoever listens. A driver whose hypervisor says nothing tells
//! nothing.

use tokio::sync::watch;

use crate::domain::operation::Progress;

/// A driver's end.
#[derive(Debug, Clone)]
pub struct ProgressSink(watch::Sender<Option<Progress>>);

/// The end of those who want to know; nothing has been told at first.
pub type ProgressNews = watch::Receiver<Option<Progress>>;

impl ProgressSink {
    /// Makes both ends.
    pub fn new() -> (Self, ProgressNews) {
        let (sender, news) = watch::channel(None);
        (Self(sender), news)
    }

    /// Makes a driver's end that nobody listens to.
    pub fn unheard() -> Self {
        Self::new().0
    }

    /// Tells how far it is. The same said twice is one report.
    pub fn tell(&self, progress: Progress) {
        self.0.send_if_modified(|last| {
            let is_news = last.as_ref() != Some(&progress);
            *last = Some(progress);
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(percent: u64) -> Progress {
        Progress::new(Some(percent), None)
    }

    #[test]
    fn the_newest_report_counts_and_the_same_twice_is_no_news() {
        let (sink, mut news) = ProgressSink::new();
        assert!(!news.has_changed().unwrap());
        sink.tell(at(1));
        sink.tell(at(2));
        assert_eq!(*news.borrow_and_update(), Some(at(2)));
        sink.tell(at(2));
        assert!(!news.has_changed().unwrap());
    }

    #[test]
    fn nobody_need_listen() {
        ProgressSink::unheard().tell(at(7));
    }
}
