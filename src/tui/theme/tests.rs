//! What every theme of the program must keep to: complete, readable, and told apart by everybody it is for.

use ratatui::style::Modifier;

use super::built_in::NAMES;
use super::*;

const DEPTHS: [ColourDepth; 4] = [
    ColourDepth::Full,
    ColourDepth::Indexed,
    ColourDepth::Sixteen,
    ColourDepth::None,
];

fn full(name: &str) -> Theme {
    Theme::built_in(name, ColourDepth::Full).unwrap()
}

#[test]
fn the_themes_of_the_program_style_every_role() {
    for name in NAMES {
        let file = ThemeFile::read(built_in::text(name).unwrap()).unwrap();
        for role in Role::ALL {
            assert!(
                file.roles.contains_key(role.word()),
                "{name}: {}",
                role.word()
            );
        }
        for depth in DEPTHS {
            Theme::built_in(name, depth).unwrap();
        }
    }
}

#[test]
fn two_hundred_and_fifty_six_colours_are_the_nearest_ones() {
    assert_eq!(nearest_indexed([255, 0, 0]), 196);
    assert_eq!(nearest_indexed([0, 0, 0]), 16);
    assert_eq!(nearest_indexed([38, 38, 38]), 235);
    assert_eq!(nearest_indexed([0x5f, 0xaf, 0xff]), 75);
    let theme = Theme::built_in("dark", ColourDepth::Indexed).unwrap();
    let fg = theme.style(Role::Running).fg;
    assert!(matches!(fg, Some(Color::Indexed(_))), "{fg:?}");
}

#[test]
fn the_sixteen_are_the_terminals_own_whatever_the_palette_calls_its_colours() {
    for name in NAMES {
        let theme = Theme::built_in(name, ColourDepth::Sixteen).unwrap();
        for role in Role::ALL {
            let style = theme.style(*role);
            for colour in [style.fg, style.bg].into_iter().flatten() {
                assert!(
                    !matches!(colour, Color::Rgb(..) | Color::Indexed(_)),
                    "{name}: {} is {colour}",
                    role.word()
                );
            }
        }
    }
}

#[test]
fn without_colours_the_selection_is_still_seen() {
    for name in NAMES {
        let theme = Theme::built_in(name, ColourDepth::None).unwrap();
        for role in Role::ALL {
            let style = theme.style(*role);
            assert_eq!((style.fg, style.bg), (None, None), "{}", role.word());
        }
        let selection = theme.style(Role::Selection);
        assert!(selection.add_modifier.contains(Modifier::REVERSED));
    }
}

/// Linear light of a colour, red, green and blue. IEC 61966-2-1.
fn linear(colour: Color) -> [f64; 3] {
    let Color::Rgb(r, g, b) = colour else {
        panic!("{colour} is no colour of its own");
    };
    [r, g, b].map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    })
}

/// Contrast of two colours, 1 to 21. WCAG 2.2, "contrast ratio".
fn contrast(a: Color, b: Color) -> f64 {
    let [a, b] = [a, b].map(|colour| {
        let [r, g, b] = linear(colour);
        0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
    });
    a.max(b) / a.min(b)
}

/// The weakest contrast that a role's text may have with what is behind it (two thirds of it on the row
/// under the cursor, which nobody has to search for). WCAG asks for 4.5 of text,
/// and 3 of what is not needed to understand the rest.
fn least(theme: &str, role: Role) -> f64 {
    let least = match role {
        Role::Border | Role::Stale => 1.5,
        Role::Dim | Role::Stopped | Role::HostIdle | Role::Low => 3.0,
        _ => 4.5,
    };
    if theme == "high-contrast" { 7.0 } else { least }
}

#[test]
fn every_text_can_be_read_on_what_is_behind_it() {
    for name in NAMES {
        let theme = full(name);
        let (page, ink) = theme.page();
        let behind = |role: Role| theme.style(role).bg.unwrap_or(page);
        let mut weak = Vec::new();
        for role in Role::ALL {
            let least = least(name, *role);
            let fg = theme.style(*role).fg.unwrap_or(ink);
            // Titles are all that stands on the line of titles; anything may be under the cursor.
            let places: &[(Role, f64)] = match role {
                Role::Title | Role::Sorted => &[(Role::TitleLine, 1.0)],
                Role::Border => &[(Role::Text, 1.0), (Role::Overlay, 1.0)],
                _ => &[
                    (Role::Text, 1.0),
                    (Role::Overlay, 1.0),
                    (Role::Selection, 0.66),
                ],
            };
            for (under, share) in places {
                let least = least * share;
                let got = contrast(fg, behind(*under));
                if got < least {
                    weak.push(format!(
                        "{} on {}: {got:.2} of {least}",
                        role.word(),
                        under.word()
                    ));
                }
            }
        }
        assert!(weak.is_empty(), "{name}:\n{}", weak.join("\n"));
    }
}

/// How eyes without one kind of cone see linear light. Machado, Oliveira and Fernandes 2009, severity 1.
const NO_RED: [[f64; 3]; 3] = [
    [0.152_286, 1.052_583, -0.204_868],
    [0.114_503, 0.786_281, 0.099_216],
    [-0.003_882, -0.048_116, 1.051_998],
];
const NO_GREEN: [[f64; 3]; 3] = [
    [0.367_322, 0.860_646, -0.227_968],
    [0.280_085, 0.672_501, 0.047_413],
    [-0.011_820, 0.042_940, 0.968_881],
];
const NO_BLUE: [[f64; 3]; 3] = [
    [1.255_528, -0.076_749, -0.178_779],
    [-0.078_411, 0.930_809, 0.147_602],
    [0.004_733, 0.691_367, 0.303_900],
];

/// CIELAB of linear light under D65.
fn lab(light: [f64; 3]) -> [f64; 3] {
    const TO_XYZ: [[f64; 3]; 3] = [
        [0.4124 / 0.950_47, 0.3576 / 0.950_47, 0.1805 / 0.950_47],
        [0.2126, 0.7152, 0.0722],
        [0.0193 / 1.088_83, 0.1192 / 1.088_83, 0.9505 / 1.088_83],
    ];
    let light = light.map(|part| part.clamp(0.0, 1.0));
    let [x, y, z] = TO_XYZ.map(|row| {
        let t: f64 = row.iter().zip(light).map(|(k, part)| k * part).sum();
        if t > 0.008_856 {
            t.cbrt()
        } else {
            7.787 * t + 16.0 / 116.0
        }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// How different two colours look (CIE76) to eyes of this kind.
fn difference(a: Color, b: Color, eyes: &[[f64; 3]; 3]) -> f64 {
    let [a, b] = [a, b].map(|colour| {
        let light = linear(colour);
        lab(eyes.map(|row| row.iter().zip(light).map(|(k, part)| k * part).sum()))
    });
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn good_wary_and_bad_are_told_apart_by_the_eyes_a_theme_is_for() {
    for (name, eyes) in [
        (
            "red-green-safe",
            vec![("no red", NO_RED), ("no green", NO_GREEN)],
        ),
        ("blue-yellow-safe", vec![("no blue", NO_BLUE)]),
    ] {
        let theme = full(name);
        let colour = |role| theme.style(role).fg.unwrap();
        for (kind, eyes) in eyes {
            for (a, b) in [
                (Role::Running, Role::Crashed),
                (Role::Running, Role::Paused),
                (Role::Paused, Role::Crashed),
                (Role::Running, Role::Stopped),
                (Role::HostUp, Role::HostDown),
                (Role::Success, Role::Danger),
            ] {
                let seen = difference(colour(a), colour(b), &eyes);
                assert!(
                    seen > 20.0,
                    "{name}, {kind}: {} and {} differ by {seen:.0}",
                    a.word(),
                    b.word()
                );
            }
        }
    }
    // The reason for those themes: the ordinary one is not good enough for everybody.
    let dark = full("dark");
    let colour = |role| dark.style(role).fg.unwrap();
    assert!(difference(colour(Role::Running), colour(Role::Crashed), &NO_RED) < 40.0);
}

#[test]
fn mistakes_are_named_with_their_place_and_with_what_was_meant() {
    let said = |text: &str| {
        Theme::parse(text, ColourDepth::Full)
            .unwrap_err()
            .to_string()
    };
    let own = "inherits = \"dark\"\n[roles]\n";
    let error = said(&format!("{own}\"vm.runing\" = {{ fg = \"red\" }}"));
    assert!(error.contains("vm.running"), "{error}");
    assert!(error.starts_with("line 3: "), "{error}");
    let error = said(&format!("{own}\"vm.running\" = {{ fg = \"gren\" }}"));
    assert!(error.contains("`green`"), "{error}");
    assert!(error.starts_with("line 3: "), "{error}");
    let error = said(&format!("{own}\"vm.running\" = {{ fg = 7 }}"));
    assert!(error.starts_with("line 3 "), "{error}");
    let error = said("inherits = \"drak\"");
    assert!(error.contains("`dark`"), "{error}");
    let error = said("inherits = \"nord\"");
    assert!(error.contains("`dark`"), "{error}");
    let error = said("[palette]\npage = \"#000000\"");
    assert!(error.contains("`ink`"), "{error}");
    let error = said("inherits = \"dark\"\n[palette]\ngreen = \"greenish\"");
    assert!(error.contains("palette.green"), "{error}");
    assert!(error.starts_with("line 3: "), "{error}");
}

#[test]
fn a_theme_that_inherits_has_the_rest_from_there() {
    let theme = Theme::parse(
        "inherits = \"dark\"\n[palette]\ngreen = \"#00ff00\"\n[roles]\n\"mark\" = { fg = \"#010203\" }",
        ColourDepth::Full,
    )
    .unwrap();
    assert_eq!(theme.style(Role::Running).fg, Some(Color::Rgb(0, 255, 0)));
    assert_eq!(theme.style(Role::Mark).fg, Some(Color::Rgb(1, 2, 3)));
    assert_eq!(theme.style(Role::Danger), full("dark").style(Role::Danger));
    assert_eq!(theme.page(), full("dark").page());
}

#[test]
fn terminals_that_are_known_to_have_every_colour_get_them_without_saying_so() {
    let depth = |term| ColourDepth::guess(None, Some(term));
    for term in ["xterm-kitty", "foot-extra", "wezterm", "xterm-direct"] {
        assert_eq!(depth(term), ColourDepth::Full, "{term}");
    }
    assert_eq!(depth("tmux-256color"), ColourDepth::Indexed);
    assert_eq!(depth("xterm"), ColourDepth::Sixteen);
    assert_eq!(
        ColourDepth::guess(Some("truecolor"), Some("xterm")),
        ColourDepth::Full
    );
}
