//! What lies over a view: a stack of which the last one has the keys. State, keys and drawing of each
//! are in one file.

pub mod agree;
pub mod chooser;
pub mod confirm;
pub mod credential_form;
pub mod details;
pub mod doctor;
pub mod document;
pub mod edit_form;
pub mod fields;
pub mod frame;
pub mod graphics;
pub mod guest_form;
pub mod help;
pub mod host_form;
pub mod host_key;
pub mod import;
pub mod log;
pub mod marking;
pub mod menu;
pub mod naming;
pub mod narrow;
pub mod palette;
pub mod passphrase;
pub mod progress;
pub mod question;
pub mod rotation;
pub mod screen;
pub mod shell_form;
pub mod snapshot_form;

use crossterm::event::KeyEvent;

use super::command::Context;
use super::console::Console;

/// Something over the view.
#[derive(Debug)]
pub enum Overlay {
    /// A plan is on its way: keys wait for it and do not fall through to what lies below.
    Waiting(u64),
    /// Plans to agree to.
    Confirm(Box<confirm::Confirm>),
    /// A plan for something else than an action to agree to.
    Agree(Box<agree::Agree>),
    /// A login to a VM.
    ShellForm(Box<shell_form::ShellForm>),
    /// A program to run in a VM.
    GuestForm(Box<guest_form::GuestForm>),
    /// Words that rows must hold.
    Narrow(Box<narrow::Narrow>),
    /// A yes-or-no question about something else.
    Question(question::Question),
    /// A list to choose from.
    Menu(menu::Menu),
    /// The columns to choose from.
    Chooser(chooser::Chooser),
    /// The name of a filter.
    Naming(Box<naming::Naming>),
    /// Marks by a filter expression.
    Marking(Box<marking::Marking>),
    /// An order about several VMs.
    Progress(progress::ProgressPanel),
    /// The keys.
    Help(help::Help),
    /// Everything that can be done, by name.
    Palette(palette::Palette),
    /// One VM.
    Details(Box<details::Details>),
    /// The findings about a host.
    Doctor(Box<doctor::Findings>),
    /// Hosts of the SSH client's configuration.
    Import(Box<import::Import>),
    /// A new key for the hosts of a credential.
    Rotation(Box<rotation::Rotation>),
    /// Lines to read.
    Document(document::Document),
    /// What happened, as a list.
    Log(Box<log::LogList>),
    /// The name of a file for such a list.
    Export(Box<log::Export>),
    /// The passphrase.
    Passphrase(passphrase::Passphrase),
    /// The serial console of a VM.
    Console(Box<Console>),
    /// A picture of a VM's screen.
    Screen(Box<screen::Screen>),
    /// The address of a VM's display.
    Graphics(Box<graphics::Address>),
    /// A host key to decide on.
    HostKey(Box<host_key::HostKey>),
    /// A credential to add.
    CredentialForm(Box<credential_form::CredentialForm>),
    /// A host to add or change.
    HostForm(Box<host_form::HostForm>),
    /// A snapshot to take.
    SnapshotForm(Box<snapshot_form::SnapshotForm>),
    /// What a VM is set up with, to be changed.
    EditForm(Box<edit_form::EditForm>),
}

impl Overlay {
    /// Returns the contexts in which keys are looked up.
    pub fn contexts(&self) -> &'static [Context] {
        match self {
            Self::Confirm(dialog) if !dialog.wants_name() => {
                &[Context::Dialog, Context::List, Context::Base]
            }
            Self::Agree(dialog) if !dialog.wants_name() => &[Context::Dialog, Context::Base],
            Self::Question(_) | Self::Waiting(_) => &[Context::Dialog, Context::Base],
            Self::Chooser(_) => &[
                Context::Chooser,
                Context::Menu,
                Context::List,
                Context::Base,
            ],
            Self::Progress(_) => &[Context::Bulk, Context::List, Context::Base],
            Self::Menu(_) => &[Context::Menu, Context::List, Context::Base],
            Self::Details(details) if details.search.editing => &[Context::Prompt, Context::Base],
            Self::Details(_) => &[Context::Details, Context::List, Context::Base],
            Self::Console(console) => console.contexts(),
            Self::Screen(screen) => screen.contexts(),
            Self::Graphics(_) => &[Context::Graphics, Context::Base],
            Self::Doctor(_) => &[Context::Doctor, Context::List, Context::Base],
            Self::Log(list) if list.filter.editing => &[Context::Prompt, Context::Base],
            Self::Log(_) => &[Context::Log, Context::List, Context::Base],
            Self::Import(_) => &[Context::Import, Context::List, Context::Base],
            Self::Rotation(_) => &[Context::Rotation, Context::List, Context::Base],
            Self::Document(_) => &[Context::Document, Context::List, Context::Base],
            Self::HostKey(dialog) if dialog.phrase().is_none() => &[Context::Dialog, Context::Base],
            Self::GuestForm(form) if form.account.is_some() => {
                &[Context::Form, Context::Prompt, Context::Base]
            }
            Self::CredentialForm(_)
            | Self::HostForm(_)
            | Self::SnapshotForm(_)
            | Self::ShellForm(_) => &[Context::Form, Context::Prompt, Context::Base],
            Self::EditForm(_) => &[
                Context::EditForm,
                Context::Form,
                Context::Prompt,
                Context::Base,
            ],
            Self::Confirm(_)
            | Self::Agree(_)
            | Self::GuestForm(_)
            | Self::Narrow(_)
            | Self::HostKey(_)
            | Self::Help(_)
            | Self::Naming(_)
            | Self::Export(_)
            | Self::Marking(_)
            | Self::Palette(_)
            | Self::Passphrase(_) => &[Context::Prompt, Context::Base],
        }
    }

    /// Takes a key that is text.
    pub fn type_key(&mut self, key: &KeyEvent) {
        match self {
            Self::Confirm(dialog) => type_into(&mut dialog.typed, key),
            Self::Agree(dialog) => type_into(&mut dialog.typed, key),
            Self::GuestForm(form) => form.type_key(key),
            Self::Narrow(dialog) => type_into(&mut dialog.input, key),
            Self::HostKey(dialog) => type_into(&mut dialog.typed, key),
            Self::Help(help) => {
                type_into(&mut help.input, key);
                help.scroll = 0;
            }
            Self::Palette(palette) => {
                type_into(&mut palette.input, key);
                palette.search();
            }
            Self::Naming(dialog) => type_into(&mut dialog.input, key),
            Self::Export(dialog) => type_into(&mut dialog.input, key),
            Self::Log(list) => list.type_key(key),
            Self::Marking(dialog) => type_into(&mut dialog.input, key),
            Self::Passphrase(dialog) => dialog.type_key(key),
            Self::CredentialForm(form) => form.type_key(key),
            Self::HostForm(form) => form.type_key(key),
            Self::SnapshotForm(form) => form.fields.type_key(key),
            Self::EditForm(form) => form.fields.type_key(key),
            Self::ShellForm(form) => form.type_key(key),
            Self::Screen(screen) => {
                if let Some(typing) = &mut screen.typing {
                    type_into(typing, key);
                }
            }
            Self::Details(details) => details.type_key(key),
            Self::Question(_)
            | Self::Graphics(_)
            | Self::Waiting(_)
            | Self::Progress(_)
            | Self::Menu(_)
            | Self::Chooser(_)
            | Self::Console(_)
            | Self::Doctor(_)
            | Self::Rotation(_)
            | Self::Import(_)
            | Self::Document(_) => {}
        }
    }

    /// Takes pasted text; line ends in it are blanks, never keys.
    pub fn paste(&mut self, text: &str) {
        // A secret is taken as it is or not at all.
        let taken = match self {
            Self::Passphrase(dialog) => return dialog.paste(text),
            Self::GuestForm(form) => form.paste_secret(text),
            Self::CredentialForm(form) => form.paste_secret(text),
            _ => false,
        };
        if taken {
            return;
        }
        for c in text.chars() {
            let c = if c.is_whitespace() { ' ' } else { c };
            if !crate::domain::text::is_hostile(c) {
                let code = crossterm::event::KeyCode::Char(c);
                self.type_key(&crate::tui::key::KeyPress::plain(code).to_event());
            }
        }
    }
}

/// Edits a line of text.
pub fn type_into(input: &mut tui_input::Input, key: &KeyEvent) {
    use tui_input::backend::crossterm::EventHandler;
    input.handle_event(&crossterm::event::Event::Key(*key));
}
