//! The profile and its credentials: what there is, who uses it, whether it can be opened. Nothing secret
//! is ever here but while somebody types it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::credential::{CredentialId, CredentialSummary};
use crate::domain::error_kind::Failure;
use crate::domain::inventory::LockState;
use crate::tui::app::App;
use crate::tui::cursor::{Cursor, Motion};
use crate::tui::effect::Effect;
use crate::tui::glyph;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::credential_form::CredentialForm;
use crate::tui::overlay::document::{Document, Topic, fact};
use crate::tui::overlay::menu::{Choice, Item, Menu};
use crate::tui::overlay::passphrase::Passphrase;
use crate::tui::overlay::question::Question;
use crate::tui::overlay::rotation;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::list::{self, Field, List};

/// State of the view.
#[derive(Debug, Default)]
pub struct ProfileView {
    /// The credential under the cursor.
    pub cursor: Cursor<CredentialId>,
    /// The credentials; `None` while they are being read.
    pub credentials: Option<Result<Vec<CredentialSummary>, Failure>>,
}

impl ProfileView {
    fn list(&self) -> &[CredentialSummary] {
        match &self.credentials {
            Some(Ok(list)) => list,
            _ => &[],
        }
    }

    /// Takes the credentials.
    pub fn take(&mut self, credentials: Result<Vec<CredentialSummary>, Failure>) {
        self.credentials = Some(credentials);
        let ids: Vec<CredentialId> = self.list().iter().map(|found| found.id).collect();
        self.cursor.follow(ids.len(), |at| ids.get(at).copied());
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion, page: usize) {
        let list = self.list();
        let index = motion.apply(self.cursor.index(), list.len(), page);
        let id = list.get(index).map(|found| found.id);
        self.cursor.go(index, id);
    }
}

/// Says whether there is something to open.
pub fn can_unlock(app: &App) -> Result<(), String> {
    if app.snapshot.lock == LockState::Unlocked {
        Err("the profile is unlocked".to_owned())
    } else {
        Ok(())
    }
}

/// Says whether there is something to close.
pub fn can_lock(app: &App) -> Result<(), String> {
    if app.snapshot.lock == LockState::Unlocked {
        Ok(())
    } else {
        Err("the profile is locked already".to_owned())
    }
}

/// Says whether there is a public key to copy.
pub fn can_copy(app: &App) -> Result<(), String> {
    let found = app.profile.list().get(app.profile.cursor.index());
    match found.map(|found| found.public_key.is_some()) {
        Some(true) => Ok(()),
        Some(false) => Err("this credential has no public key".to_owned()),
        None => Err("there is no credential".to_owned()),
    }
}

/// Asks for the passphrase.
pub fn unlock(app: &mut App) -> Vec<Effect> {
    let mut dialog = Passphrase::new(&app.snapshot.profile, app.snapshot.lock);
    if app.settings.recorded {
        dialog = dialog.never_seen();
    }
    app.overlays.push(Overlay::Passphrase(dialog));
    Vec::new()
}

/// Forgets the opened secrets.
pub fn lock(_app: &mut App) -> Vec<Effect> {
    vec![Effect::Lock]
}

fn selected(app: &App) -> Option<&CredentialSummary> {
    app.profile.list().get(app.profile.cursor.index())
}

/// Says whether a credential is under the cursor.
pub fn has_selected(app: &App) -> Result<(), String> {
    selected(app)
        .map(drop)
        .ok_or_else(|| "there is no credential".to_owned())
}

/// Opens an empty form; where the profile has no passphrase yet, that is set first.
pub fn add(app: &mut App) -> Vec<Effect> {
    app.overlays
        .push(Overlay::CredentialForm(Box::<CredentialForm>::default()));
    if app.snapshot.lock == LockState::Empty {
        return unlock(app);
    }
    Vec::new()
}

/// Says whether the credential under the cursor can be removed: not while hosts log in with it.
pub fn can_remove(app: &App) -> Result<(), String> {
    let found = selected(app).ok_or("there is no credential")?;
    if found.used_by.is_empty() {
        return Ok(());
    }
    let hosts = found.used_by.join(", ");
    Err(format!(
        "{} is used by {hosts}: give them another login first",
        found.name
    ))
}

/// Asks whether to remove the credential under the cursor.
pub fn remove(app: &mut App) -> Vec<Effect> {
    if let Some(name) = selected(app).map(|found| found.name.clone()) {
        let question = Question::remove_credential(name);
        app.overlays.push(Overlay::Question(question));
    }
    Vec::new()
}

/// Says whether the credential under the cursor can get a new key: its hosts are logged in to with the old one.
pub fn can_rotate(app: &App) -> Result<(), String> {
    has_selected(app)?;
    if app.snapshot.read_only {
        return Err("the program is read-only".to_owned());
    }
    match app.snapshot.lock {
        LockState::Unlocked => Ok(()),
        LockState::Empty | LockState::Locked => {
            Err("the profile is locked: u unlocks it".to_owned())
        }
    }
}

/// Shows what giving the hosts of the credential under the cursor a new key would do.
pub fn rotate(app: &mut App) -> Vec<Effect> {
    match selected(app).map(|found| found.name.clone()) {
        Some(name) => rotation::open(app, name),
        None => Vec::new(),
    }
}

/// Shows everything that may be shown of the credential under the cursor.
pub fn show(app: &mut App) -> Vec<Effect> {
    let Some(found) = selected(app) else {
        return Vec::new();
    };
    let known = |text: Option<&str>| text.unwrap_or(glyph::UNKNOWN).to_owned();
    let mut lines = vec![
        fact("kind", found.kind.word(), Role::Text),
        fact("added", found.created_at.clone(), Role::Text),
        fact(
            "fingerprint",
            known(found.fingerprint.as_deref()),
            Role::Text,
        ),
        fact("used by", found.used_by.join(", "), Role::Text),
        Vec::new(),
    ];
    match &found.public_key {
        // On a line of its own, so that it can be taken with the mouse; c copies all of this.
        Some(key) => lines.push(vec![(key.clone(), Role::Strong)]),
        None => lines.push(vec![("It has no public half.".to_owned(), Role::Dim)]),
    }
    let page = Document {
        topic: Topic::Credential,
        title: format!("Credential {}", found.name),
        lines: Some(lines),
        scroll: 0,
    };
    app.overlays.push(Overlay::Document(page));
    Vec::new()
}

/// Says whether there is another profile.
pub fn can_switch(app: &App) -> Result<(), String> {
    let others = app.settings.profiles.iter();
    if others
        .filter(|name| ***name != *app.snapshot.profile)
        .count()
        > 0
    {
        return Ok(());
    }
    Err("there is no other profile: `vmdeck profile create NAME` makes one".to_owned())
}

/// Offers the other profiles.
pub fn switch(app: &mut App) -> Vec<Effect> {
    let all = app.settings.profiles.iter();
    let others = all.filter(|name| ***name != *app.snapshot.profile);
    let items = others
        .map(|name| Item::unlettered(name.clone(), Choice::Profile(name.clone())))
        .collect();
    let menu = Menu::new("Go on with profile", items);
    app.overlays.push(Overlay::Menu(menu));
    Vec::new()
}

/// Goes on with another profile; asks first while operations are under way here.
pub fn switch_to(app: &mut App, name: String) -> Vec<Effect> {
    let running = app.running();
    if running == 0 {
        return vec![Effect::SwitchProfile(name)];
    }
    let question = Question::switch(name, running);
    app.overlays.push(Overlay::Question(question));
    Vec::new()
}

/// Says how the profile stands, for the status line.
pub fn title(app: &App) -> String {
    let lock = match app.snapshot.lock {
        LockState::Empty => "without a passphrase",
        LockState::Locked => "locked",
        LockState::Unlocked => "unlocked",
    };
    format!("Profile {} is {lock} · Credentials", app.snapshot.profile)
}

/// Copies the public key under the cursor.
pub fn copy(app: &mut App) -> Vec<Effect> {
    let found = app.profile.list().get(app.profile.cursor.index());
    let Some(key) = found.and_then(|found| found.public_key.clone()) else {
        app.say(Role::Warning, "this credential has no public key");
        return Vec::new();
    };
    app.say(Role::Dim, "copied the public key");
    vec![Effect::Copy(key)]
}

const FIELDS: &[Field] = &[
    Field::left("NAME", 20),
    Field::left("KIND", 9),
    Field::left("USED BY", 24),
    Field::left("ADDED", 10).from(120),
    Field::rest("FINGERPRINT"),
];

/// Draws the view.
pub fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: &Theme, top: &mut usize) {
    let list = app.profile.list();
    let index = app.profile.cursor.index();
    let line = |at: usize| list.get(at).map(row).unwrap_or_default();
    let list_of = List {
        fields: FIELDS,
        rows: list.len(),
        index,
        top,
    };
    list_of.draw(buf, area, theme, line);
    let empty = match &app.profile.credentials {
        None => "reading…",
        Some(Err(cause)) => &cause.message,
        Some(Ok(list)) if list.is_empty() => {
            "No credentials: hosts are logged in to as ssh would. A adds one."
        }
        Some(Ok(_)) => return,
    };
    list::empty(buf, area, theme, empty);
}

fn row(found: &CredentialSummary) -> list::Row {
    let known = |text: Option<String>| text.unwrap_or_else(|| glyph::UNKNOWN.to_owned());
    let added: String = found.created_at.chars().take(10).collect();
    let used = (!found.used_by.is_empty()).then(|| found.used_by.join(", "));
    list::Row {
        dimmed: false,
        cells: vec![
            (found.name.to_string(), Role::Strong),
            (found.kind.word().to_owned(), Role::Text),
            (known(used), Role::Text),
            (added, Role::Dim),
            (known(found.fingerprint.clone()), Role::Dim),
        ],
    }
}
