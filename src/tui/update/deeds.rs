//! What the keys do that belong to no single view: moving, dialogs, prompts, views, leaving.

use std::sync::Arc;

use crate::domain::operation::Consent;
use crate::fleet::request::HostSelection;
use crate::tui::acting;
use crate::tui::app::{App, Screen};
use crate::tui::cursor::Motion;
use crate::tui::define;
use crate::tui::effect::Effect;
use crate::tui::keeping::Keep;
use crate::tui::overlay::Overlay;
use crate::tui::overlay::details;
use crate::tui::overlay::document;
use crate::tui::overlay::help::Help;
use crate::tui::overlay::menu::{self, Choice, Item, Menu};
use crate::tui::overlay::palette::{self, Palette};
use crate::tui::overlay::question::{Meaning, Question};
use crate::tui::overlay::{
    edit_form, guest_form, log, marking, naming, narrow, progress, shell_form,
};
use crate::tui::own;
use crate::tui::screen::{operations, snapshots, stores, vms};
use crate::tui::theme::Role;

/// Moves in whatever has the keys.
pub fn go(app: &mut App, motion: Motion) -> Vec<Effect> {
    let (page, width) = (app.page(), app.size.0);
    let state = Arc::clone(&app.snapshot);
    let (keymap, own) = (Arc::clone(&app.settings.keymap), Arc::clone(&app.own));
    let lines = match app.overlays.last() {
        Some(Overlay::Details(details)) => details.lines(app).map_or(0, |lines| lines.len()),
        Some(Overlay::Progress(_)) => {
            progress::current(app).map_or(0, |it| progress::lines(it, width).len())
        }
        _ => 0,
    };
    match app.overlays.last_mut() {
        None => match app.screen {
            Screen::Vms => app.vms.go(&state, motion, page),
            Screen::Hosts => app.hosts.go(&state, motion, page),
            Screen::Snapshots => app.snapshots.go(motion, page),
            Screen::Stores => app.stores.go(motion, page),
            Screen::Operations => app.operations.go(&state, motion, page),
            Screen::Profile => app.profile.go(motion, page),
        },
        Some(Overlay::Menu(menu)) => {
            menu.index = motion.apply(menu.index, menu.items.len(), page);
            // Themes are shown while one looks through them.
            let shown = menu
                .theme()
                .map(|name| Effect::Theme(Some(name.to_owned())));
            return shown.into_iter().collect();
        }
        Some(Overlay::Chooser(chooser)) => chooser.go(&app.vms.columns, motion, page),
        Some(Overlay::Palette(palette)) => palette.go(motion, page),
        Some(Overlay::Help(help)) => {
            help.go((&keymap, &own), motion, page.saturating_sub(3));
        }
        Some(Overlay::Console(console)) => console.go(motion, page),
        Some(Overlay::Doctor(findings)) => findings.go(motion, page),
        Some(Overlay::Import(import)) => import.go(motion, page),
        Some(Overlay::Rotation(rotation)) => {
            rotation.go(motion, page.saturating_sub(1), width.saturating_sub(4));
        }
        Some(Overlay::Document(page_of)) => page_of.go(motion, page.saturating_sub(1)),
        Some(Overlay::Log(list)) => list.go(motion, (page.saturating_sub(1), width)),
        Some(Overlay::Details(details)) => details.go(lines, motion, page.saturating_sub(3)),
        Some(Overlay::Progress(panel)) => panel.go(lines, motion, page.saturating_sub(4)),
        Some(Overlay::Confirm(dialog)) => {
            dialog.scroll = motion.apply(dialog.scroll, dialog.length(width), page);
        }
        Some(
            Overlay::Question(_)
            | Overlay::Waiting(_)
            | Overlay::Agree(_)
            | Overlay::GuestForm(_)
            | Overlay::ShellForm(_)
            | Overlay::Narrow(_)
            | Overlay::Naming(_)
            | Overlay::Export(_)
            | Overlay::Screen(_)
            | Overlay::Graphics(_)
            | Overlay::Marking(_)
            | Overlay::Passphrase(_)
            | Overlay::HostKey(_)
            | Overlay::CredentialForm(_)
            | Overlay::HostForm(_)
            | Overlay::SnapshotForm(_)
            | Overlay::EditForm(_),
        ) => {}
    }
    Vec::new()
}

/// Puts the cursor of the list in front on a row.
pub fn go_to(app: &mut App, row: usize) {
    let state = Arc::clone(&app.snapshot);
    match app.screen {
        Screen::Vms => app.vms.go_to(&state, row),
        Screen::Hosts => app.hosts.go_to(&state, row),
        Screen::Snapshots => app.snapshots.go_to(row),
        Screen::Operations => app.operations.go_to(&state, row),
        Screen::Stores => app.stores.go_to(false, row),
        Screen::Profile => {}
    }
}

/// Puts the cursor of a menu on an item; the one under it is chosen. Nothing happens by one slip of a hand.
pub fn press_item(app: &mut App, item: usize) -> Vec<Effect> {
    let Some(Overlay::Menu(menu)) = app.overlays.last_mut() else {
        return Vec::new();
    };
    if menu.index == item {
        return menu::choose(app, item);
    }
    menu.index = item;
    let shown = menu
        .theme()
        .map(|name| Effect::Theme(Some(name.to_owned())));
    shown.into_iter().collect()
}

/// Closes what lies on top.
pub fn close(app: &mut App) -> Vec<Effect> {
    match app.overlays.pop() {
        Some(Overlay::HostKey(dialog)) => vec![dialog.decided(false, &app.settings.actor)],
        Some(Overlay::Confirm(dialog)) if dialog.action.define.is_some() => {
            define::left(app);
            Vec::new()
        }
        // Nothing was chosen: the theme goes back to what it was.
        Some(Overlay::Menu(menu)) if menu.theme().is_some() => {
            vec![Effect::Theme(app.theme.clone())]
        }
        _ => Vec::new(),
    }
}

/// Offers the themes; the one under the cursor is shown at once.
pub fn themes(app: &mut App) -> Vec<Effect> {
    let now = app.theme.as_deref().unwrap_or(&app.settings.theme);
    let menu = theme_menu(&app.settings.themes, now);
    app.overlays.push(Overlay::Menu(menu));
    Vec::new()
}

/// Takes the names of all themes, also for somebody who is looking through them: what is shown is what is under the
/// cursor.
pub fn list_themes(app: &mut App, names: Arc<[String]>) -> Vec<Effect> {
    let mut shown = None;
    if let Some(Overlay::Menu(menu)) = app.overlays.last_mut()
        && let Some(at) = menu.theme()
    {
        let listed = theme_menu(&names, at);
        shown = listed.theme().filter(|now| *now != at).map(str::to_owned);
        *menu = listed;
    }
    app.settings.themes = names;
    let shown = shown.map(|name| Effect::Theme(Some(name)));
    shown.into_iter().collect()
}

/// Lists themes, with the cursor on one of them.
fn theme_menu(themes: &[String], at: &str) -> Menu {
    let items = themes
        .iter()
        .map(|name| Item::unlettered(name.clone(), Choice::Theme(name.clone())))
        .collect();
    let mut menu = Menu::new("Theme", items);
    menu.index = themes.iter().position(|name| name == at).unwrap_or(0);
    menu
}

/// Takes a theme, from now on.
pub fn take_theme(app: &mut App, name: String) -> Vec<Effect> {
    app.theme = Some(name.clone());
    vec![Effect::Theme(Some(name))]
}

/// Says yes.
pub fn accept_dialog(app: &mut App) -> Vec<Effect> {
    match app.overlays.pop() {
        Some(Overlay::Confirm(dialog)) => acting::submit(app, &dialog, &Consent::Confirmed),
        Some(Overlay::Agree(dialog)) => acting::agreed(app, *dialog, Consent::Confirmed),
        Some(Overlay::Question(question)) => match question.effect() {
            Effect::RunOwn(run) => own::start(app, *run),
            Effect::Edit(draft) => define::edit_again(app, *draft),
            effect => vec![effect],
        },
        Some(other) => {
            app.overlays.push(other);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Takes what was typed.
pub fn accept_prompt(app: &mut App) -> Vec<Effect> {
    match app.overlays.last_mut() {
        None if app.screen == Screen::Operations => app.operations.filter.accept(),
        None => app.vms.filter.accept(),
        Some(Overlay::Details(details)) => details.search.editing = false,
        Some(Overlay::Palette(_)) => return palette::accept(app),
        Some(Overlay::Help(_)) => drop(app.overlays.pop()),
        Some(Overlay::Naming(_)) => naming::accept(app),
        Some(Overlay::Log(list)) => list.filter.accept(),
        Some(Overlay::Export(_)) => return log::accept_export(app),
        Some(Overlay::Marking(_)) => marking::accept(app),
        Some(Overlay::Narrow(_)) => narrow::accept(app),
        Some(Overlay::Passphrase(dialog)) => {
            return dialog.accept().map(Effect::Unlock).into_iter().collect();
        }
        Some(Overlay::Screen(screen)) => return screen.accept().into_iter().collect(),
        Some(Overlay::CredentialForm(form)) if form.saving => {}
        Some(Overlay::CredentialForm(form)) if form.on_button() => {
            let added = form.accept().map(Keep::add);
            return added.map(Effect::Keep).into_iter().collect();
        }
        Some(Overlay::CredentialForm(form)) => form.next(),
        Some(Overlay::HostForm(form)) if form.saving => {}
        Some(Overlay::HostForm(form)) if form.on_save() => {
            return form.accept().map(Effect::SaveHost).into_iter().collect();
        }
        Some(Overlay::HostForm(form)) => form.next(),
        Some(Overlay::SnapshotForm(form)) if form.fields.on_button() => {
            return snapshots::accept_form(app);
        }
        Some(Overlay::EditForm(form)) if form.fields.on_button() => return edit_form::accept(app),
        Some(Overlay::SnapshotForm(form)) => form.fields.next(),
        Some(Overlay::EditForm(form)) => form.fields.next(),
        Some(Overlay::HostKey(dialog)) if dialog.is_agreed() => {
            let effect = dialog.decided(true, &app.settings.actor);
            app.overlays.pop();
            return vec![effect];
        }
        // Nothing typed and Enter: the safe choice, as in every other dialog.
        Some(Overlay::Confirm(dialog)) if dialog.typed.value().is_empty() => return close(app),
        Some(Overlay::HostKey(dialog)) if dialog.typed.value().is_empty() => return close(app),
        Some(Overlay::GuestForm(form)) if !form.is_last() => form.go(1),
        Some(Overlay::GuestForm(_)) => return guest_form::accept(app),
        Some(Overlay::ShellForm(form)) if form.is_last() => return shell_form::accept(app),
        Some(Overlay::ShellForm(form)) => form.next(),
        Some(Overlay::Agree(dialog)) if dialog.typed.value().is_empty() => return close(app),
        Some(Overlay::Agree(dialog)) => {
            let Some(consent) = dialog.consent() else {
                app.say(Role::Warning, "that is not its name");
                return Vec::new();
            };
            if let Some(Overlay::Agree(dialog)) = app.overlays.pop() {
                return acting::agreed(app, *dialog, consent);
            }
        }
        Some(Overlay::Confirm(dialog)) if dialog.consent().is_none() => {
            app.say(Role::Warning, "that is not its name");
        }
        Some(Overlay::HostKey(_)) => app.say(Role::Warning, "that is not what is asked for"),
        Some(Overlay::Confirm(dialog)) => {
            if let Some(consent) = dialog.consent()
                && let Some(Overlay::Confirm(dialog)) = app.overlays.pop()
            {
                return acting::submit(app, &dialog, &consent);
            }
        }
        Some(_) => {}
    }
    Vec::new()
}

/// Leaves what was typed.
pub fn cancel_prompt(app: &mut App) -> Vec<Effect> {
    if app.overlays.is_empty() && app.screen == Screen::Operations {
        app.operations.filter.cancel();
        operations::refilter(app);
        return Vec::new();
    }
    if app.overlays.is_empty() {
        app.vms.filter.cancel();
        vms::refilter(app);
        return Vec::new();
    }
    if let Some(Overlay::Screen(screen)) = app.overlays.last_mut() {
        screen.typing = None;
        return Vec::new();
    }
    if let Some(Overlay::Log(list)) = app.overlays.last_mut() {
        list.cancel_filter();
        return Vec::new();
    }
    if let Some(Overlay::Details(details)) = app.overlays.last_mut() {
        details.cancel_search();
        details::look(app);
        return Vec::new();
    }
    close(app)
}

/// Goes to the next field of a form.
pub fn next_field(app: &mut App) -> Vec<Effect> {
    match app.overlays.last_mut() {
        Some(Overlay::CredentialForm(form)) => form.next(),
        Some(Overlay::HostForm(form)) => form.next(),
        Some(Overlay::SnapshotForm(form)) => form.fields.next(),
        Some(Overlay::EditForm(form)) => form.fields.next(),
        Some(Overlay::ShellForm(form)) => form.next(),
        Some(Overlay::GuestForm(form)) => form.go(1),
        _ => {}
    }
    Vec::new()
}

/// Goes to the previous field of a form.
pub fn previous_field(app: &mut App) -> Vec<Effect> {
    match app.overlays.last_mut() {
        Some(Overlay::CredentialForm(form)) => form.previous(),
        Some(Overlay::HostForm(form)) => form.previous(),
        Some(Overlay::SnapshotForm(form)) => form.fields.previous(),
        Some(Overlay::EditForm(form)) => form.fields.previous(),
        Some(Overlay::ShellForm(form)) => form.previous(),
        Some(Overlay::GuestForm(form)) => form.go(-1),
        _ => {}
    }
    Vec::new()
}

/// Does what the item under the cursor says.
pub fn choose(app: &mut App) -> Vec<Effect> {
    match app.overlays.last() {
        Some(Overlay::Menu(menu)) => {
            let index = menu.index;
            menu::choose(app, index)
        }
        _ => Vec::new(),
    }
}

/// Opens the power menu.
pub fn power_menu(app: &mut App) -> Vec<Effect> {
    let menu = Menu::power(app);
    app.overlays.push(Overlay::Menu(menu));
    Vec::new()
}

/// Opens the action menu.
pub fn action_menu(app: &mut App) -> Vec<Effect> {
    let menu = Menu::actions(app);
    app.overlays.push(Overlay::Menu(menu));
    Vec::new()
}

/// Goes to the next tab of the details.
pub fn next_tab(app: &mut App) -> Vec<Effect> {
    turn(app, 1)
}

/// Goes to the previous tab of the details.
pub fn previous_tab(app: &mut App) -> Vec<Effect> {
    turn(app, details::Tab::ALL.len() - 1)
}

fn turn(app: &mut App, step: usize) -> Vec<Effect> {
    if let Some(Overlay::Details(details)) = app.overlays.last_mut() {
        details.turn(step);
    }
    Vec::new()
}

/// Begins to search in the tab.
pub fn search(app: &mut App) -> Vec<Effect> {
    if let Some(Overlay::Details(details)) = app.overlays.last_mut() {
        let top = details.scroll;
        details.search.open(top);
    }
    Vec::new()
}

/// Goes to the next hit.
pub fn next_hit(app: &mut App) -> Vec<Effect> {
    details::search_on(app, true);
    Vec::new()
}

/// Goes to the hit before.
pub fn previous_hit(app: &mut App) -> Vec<Effect> {
    details::search_on(app, false);
    Vec::new()
}

/// Shows more of what is at the left.
pub fn step_left(app: &mut App) -> Vec<Effect> {
    step_aside(app, false)
}

/// Shows more of what is at the right.
pub fn step_right(app: &mut App) -> Vec<Effect> {
    step_aside(app, true)
}

fn step_aside(app: &mut App, right: bool) -> Vec<Effect> {
    if let Some(Overlay::Details(details)) = app.overlays.last_mut() {
        details.step_aside(right);
    }
    Vec::new()
}

/// Reads the details again.
pub fn reread(app: &mut App) -> Vec<Effect> {
    match app.overlays.last() {
        Some(Overlay::Details(details)) => vec![
            Effect::Detail(details.vm.clone()),
            Effect::Audit(Some(details.vm.clone())),
        ],
        _ => Vec::new(),
    }
}

/// Copies what is being read.
pub fn copy_document(app: &mut App) -> Vec<Effect> {
    let text = match app.overlays.last() {
        Some(Overlay::Document(page)) => page.text(),
        Some(Overlay::Details(details)) => match details.lines(app) {
            Some(lines) => document::plain(&lines),
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    app.say(Role::Dim, "copied");
    vec![Effect::Copy(text)]
}

/// Opens the palette.
pub fn palette(app: &mut App) -> Vec<Effect> {
    let palette = Palette::new(app);
    app.overlays.push(Overlay::Palette(palette));
    Vec::new()
}

/// Opens the help.
pub fn help(app: &mut App) -> Vec<Effect> {
    app.overlays.push(Overlay::Help(Help::default()));
    Vec::new()
}

/// Goes to a view, and fetches what only it shows.
pub fn show(app: &mut App, screen: Screen) -> Vec<Effect> {
    app.show(screen);
    match screen {
        Screen::Operations => vec![Effect::Audit(None)],
        Screen::Profile => vec![Effect::Credentials],
        Screen::Snapshots => {
            app.snapshots.take(&app.snapshot);
            Vec::new()
        }
        Screen::Stores => stores::show(app),
        Screen::Vms | Screen::Hosts => Vec::new(),
    }
}

/// Goes to the view before this one.
pub fn previous_view(app: &mut App) -> Vec<Effect> {
    let previous = app.previous;
    show(app, previous)
}

/// Takes away the filter, then the marks, then goes back.
pub fn escape(app: &mut App) -> Vec<Effect> {
    if app.screen == Screen::Snapshots && !app.snapshots.marks.is_empty() {
        return snapshots::unmark(app);
    }
    if app.screen == Screen::Operations && operations::clear(app) {
        return Vec::new();
    }
    if app.screen == Screen::Stores && stores::clear(app) {
        return Vec::new();
    }
    if app.screen != Screen::Vms {
        app.show(Screen::Vms);
    } else if !vms::clear(app) {
        app.toast = None;
    }
    Vec::new()
}

/// Goes back to the VM table, or leaves.
pub fn back_or_quit(app: &mut App) -> Vec<Effect> {
    if app.screen == Screen::Vms {
        quit(app)
    } else {
        app.show(Screen::Vms);
        Vec::new()
    }
}

/// Leaves; asks first while operations are under way, but only once.
pub fn quit(app: &mut App) -> Vec<Effect> {
    let asked = matches!(
        app.overlays.last(),
        Some(Overlay::Question(Question {
            meaning: Meaning::Quit,
            ..
        }))
    );
    let running = app.running();
    if running == 0 || asked {
        return vec![Effect::Quit];
    }
    app.overlays
        .push(Overlay::Question(Question::quit(running)));
    Vec::new()
}

/// Reads all hosts now.
pub fn refresh_all(app: &mut App) -> Vec<Effect> {
    app.say(Role::Dim, "reading all hosts now");
    vec![Effect::Refresh(HostSelection::All)]
}

/// Makes the header smaller, or larger again.
pub fn compact(app: &mut App) -> Vec<Effect> {
    app.compact = !app.compact;
    Vec::new()
}

/// Switches read-only mode.
pub fn read_only(app: &mut App) -> Vec<Effect> {
    vec![Effect::SetReadOnly(!app.snapshot.read_only)]
}
