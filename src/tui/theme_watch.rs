//! Watches a person's own themes: what is written, what is new, what is gone. Tells the loop, and shows nothing itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::event::Answer;
use super::theme::shelf::{self, ThemeShelf};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Tells the loop when the file of the theme in use is written anew, and when there are other themes than are listed.
pub(super) async fn watch(
    (shelf, mut listed): (Arc<dyn ThemeShelf>, Arc<[String]>),
    mut name: watch::Receiver<Arc<str>>,
    answers: mpsc::Sender<Answer>,
) {
    let mut known = None;
    loop {
        let now = Arc::clone(&name.borrow_and_update());
        let stamp = shelf.stamp(&now);
        let before = known.replace((Arc::clone(&now), stamp));
        let rewritten = before.is_some_and(|(of, old)| of == now && old != stamp);
        if rewritten && answers.send(Answer::ThemeWritten).await.is_err() {
            return;
        }
        let names = shelf::names(shelf.as_ref());
        if *names != *listed {
            listed = names.into();
            let found = Answer::ThemesFound(Arc::clone(&listed));
            if answers.send(found).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = name.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
