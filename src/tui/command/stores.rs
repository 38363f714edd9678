//! The commands of storage and networks.

use super::{ALWAYS, RowOf};
use crate::tui::screen::stores;

pub(super) const STORES: &[RowOf] = &[
    (
        "stores.open",
        "show the volumes of the pool, or hide them",
        "enter",
        Some("volumes"),
        stores::has_pool,
        stores::open,
    ),
    (
        "stores.turn",
        "the other pane",
        "tab",
        Some("other pane"),
        ALWAYS,
        stores::turn,
    ),
    (
        "stores.start",
        "start the pool or the network",
        "s",
        Some("start"),
        |app| stores::can(app, "start"),
        |app| stores::act(app, "start"),
    ),
    (
        "stores.stop",
        "stop the pool or the network; names the VMs that use it, and asks",
        "S",
        Some("stop"),
        |app| stores::can(app, "stop"),
        |app| stores::act(app, "stop"),
    ),
    (
        "stores.autostart",
        "start it together with its host, or no longer",
        "a",
        Some("autostart"),
        |app| stores::can(app, "autostart"),
        |app| stores::act(app, "autostart"),
    ),
    (
        "stores.look",
        "let the host look again at what is in the pool",
        "p",
        Some("refresh pool"),
        |app| stores::can(app, "refresh"),
        |app| stores::act(app, "refresh"),
    ),
    (
        "stores.unattached",
        "only volumes that nothing uses, or all",
        "o",
        Some("unattached"),
        ALWAYS,
        stores::unattached,
    ),
    (
        "stores.filter",
        "show only rows with these words",
        "/",
        Some("filter"),
        ALWAYS,
        stores::filter,
    ),
    (
        "stores.refresh",
        "read this host now",
        "r",
        Some("read"),
        ALWAYS,
        stores::refresh,
    ),
    (
        "stores.copy",
        "copy the path of the volume, or the name",
        "c",
        None,
        stores::has_selected,
        stores::copy,
    ),
];
