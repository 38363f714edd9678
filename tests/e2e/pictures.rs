//! Pictures of a real VM's screen in terminals that can show pixels: what comes out of the program is read as such a
//! terminal would read it, and compared with a picture of the same screen that was written into a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Crc;
use flate2::read::ZlibDecoder;

use crate::VMDECK;
use crate::dashboard::row;
use crate::screen::with_a_screen;
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::pty::Pty;
use crate::support::wait_for;

/// How long a picture may take to be like the screen; one is taken every two seconds.
const SOON: Duration = Duration::from_secs(30);

/// Pixels of a cell of the terminal; the VM's screen fits into its window as it is.
const CELL: (u16, u16) = (8, 16);
const WINDOW: (u16, u16) = (160, 50);

/// Pixels that may differ: two blinking cursors of a text screen (9 x 16).
const BLINKING: usize = 2 * 9 * 16;

/// Pixels of words on a screen, at least: an empty one would be like any other.
const WORDS: usize = 500;

/// A picture, row by row, red, green, blue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pixels {
    width: usize,
    height: usize,
    rgb: Vec<[u8; 3]>,
}

impl Pixels {
    fn new(width: usize, height: usize, bytes: &[u8]) -> Self {
        assert_eq!(bytes.len(), width * height * 3, "{width} x {height}");
        let rgb = bytes.chunks(3).map(|p| [p[0], p[1], p[2]]).collect();
        Self { width, height, rgb }
    }

    /// Reads what `--once screenshot` has written (netpbm's ppm(5), raw).
    fn of_ppm(file: &[u8]) -> Self {
        let mut parts = file.splitn(4, |byte| *byte == b'\n');
        let mut line = || String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
        assert_eq!(line(), "P6");
        let size = line();
        assert_eq!(line(), "255");
        let (width, height) = size.split_once(' ').unwrap();
        let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
        Self::new(width, height, parts.next().unwrap())
    }

    /// Reads a PNG file as strictly as its specification lets one: sums, lengths, order, nothing behind the end.
    fn of_png(file: &[u8]) -> Self {
        let mut rest = file.strip_prefix(b"\x89PNG\r\n\x1a\n").expect("a PNG file");
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_at(4);
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            let (body, after) = after.split_at(4 + length);
            let (sum, after) = after.split_at(4);
            let mut crc = Crc::new();
            crc.update(body);
            assert_eq!(sum, crc.sum().to_be_bytes(), "the sum of a chunk");
            chunks.push(body.split_at(4));
            rest = after;
        }
        let kinds: Vec<&[u8]> = chunks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [b"IHDR", b"IDAT", b"IEND"]);
        let head = chunks[0].1;
        let side = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        // Eight bits a sample, red, green, blue; no interlacing.
        assert_eq!(head[8..], [8, 2, 0, 0, 0]);
        let mut lines = Vec::new();
        ZlibDecoder::new(chunks[1].1)
            .read_to_end(&mut lines)
            .unwrap();
        let mut bytes = Vec::new();
        for line in lines.chunks(1 + side(0) * 3) {
            assert_eq!(line[0], 0, "a filter");
            bytes.extend_from_slice(&line[1..]);
        }
        Self::new(side(0), side(4), &bytes)
    }

    /// Whether it shows what another one does, each part of a colour at most so far off.
    fn shows(&self, other: &Self, off: u8) -> bool {
        let is_other = |(a, b): &(&[u8; 3], &[u8; 3])| {
            a.iter().zip(b.iter()).any(|(a, b)| a.abs_diff(*b) > off)
        };
        let differ = self.rgb.iter().zip(&other.rgb).filter(is_other).count();
        let words = other.rgb.iter().filter(|pixel| **pixel != [0; 3]).count();
        (self.width, self.height) == (other.width, other.height)
            && differ <= BLINKING
            && words >= WORDS
    }
}

/// The last thing between a beginning and the string terminator behind it, from these bytes on.
fn strings<'a>(raw: &'a [u8], begin: &[u8]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(from) = raw[at..]
        .windows(begin.len())
        .position(|part| part == begin)
    {
        let from = at + from + begin.len();
        let Some(length) = raw[from..].windows(2).position(|part| part == b"\x1b\\") else {
            break;
        };
        found.push(std::str::from_utf8(&raw[from..from + length]).expect("plain text"));
        at = from + length;
    }
    found
}

/// The last whole picture in kitty's protocol, with the cells it was given.
fn of_kitty(raw: &[u8]) -> Option<(Pixels, String)> {
    let mut whole = None;
    let (mut head, mut data) = (String::new(), String::new());
    for piece in strings(raw, b"\x1b_G") {
        let Some((keys, payload)) = piece.split_once(';') else {
            continue;
        };
        if keys.contains("a=T") {
            head = keys.to_owned();
            data.clear();
        }
        assert!(payload.len() <= 4096, "a piece of {}", payload.len());
        data.push_str(payload);
        if keys.split(',').any(|key| key == "m=0") {
            let file = STANDARD.decode(&data).expect("base64");
            whole = Some((Pixels::of_png(&file), head.clone()));
        }
    }
    whole
}

/// The last whole sixel picture, read as VT340s do ("VT330/VT340 Programmer Reference Manual", volume 2, chapter 14).
fn of_sixel(raw: &[u8]) -> Option<Pixels> {
    let strings = strings(raw, b"\x1bP0;1;0q");
    let text = strings.last()?;
    let mut signs = text.chars().peekable();
    let numbers = |signs: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut digits = String::new();
        while let Some(c) = signs.next_if(|c| c.is_ascii_digit() || *c == ';') {
            digits.push(c);
        }
        let numbers = digits.split(';').map(|n| n.parse().expect("a number"));
        numbers.collect::<Vec<usize>>()
    };
    let (mut palette, mut size) = (BTreeMap::new(), (0, 0));
    let (mut x, mut top, mut colour, mut times) = (0, 0, 0, 1);
    let mut painted = BTreeMap::new();
    while let Some(sign) = signs.next() {
        match sign {
            '"' => {
                let said = numbers(&mut signs);
                size = (said[2], said[3]);
            }
            '#' => {
                let said = numbers(&mut signs);
                colour = said[0];
                if let [_, 2, parts @ ..] = said.as_slice() {
                    let part = |n: usize| u8::try_from(parts[n] * 255 / 100).unwrap();
                    palette.insert(colour, [part(0), part(1), part(2)]);
                }
            }
            '!' => times = numbers(&mut signs)[0],
            '$' => x = 0,
            '-' => (x, top) = (0, top + 6),
            '?'..='~' => {
                let bits = u32::from(sign) - u32::from('?');
                for _ in 0..std::mem::replace(&mut times, 1) {
                    for line in (0..6).filter(|line| bits & (1 << line) != 0) {
                        painted.insert((top + line, x), palette[&colour]);
                    }
                    x += 1;
                }
            }
            other => panic!("{other:?} is no sixel"),
        }
    }
    // Every pixel is said, and none outside.
    let (width, height) = size;
    assert_eq!(painted.len(), width * height);
    let rgb = painted.into_values().collect();
    Some(Pixels { width, height, rgb })
}

/// The dashboard in a terminal of this name, on the VM `web-1`.
fn open(deck: &Deck, term: &str, cell: (u16, u16), more: &[(&str, &str)]) -> Pty {
    let home = deck.home().display().to_string();
    // The terminal that the tests are run in is not the one that is meant.
    let mut environment = vec![("TERM_PROGRAM", ""), ("TMUX", ""), ("STY", "")];
    environment.extend([
        ("VMDECK_HOME", home.as_str()),
        ("HOME", &home),
        ("TERM", term),
    ]);
    environment.extend(more);
    let pty = Pty::start_with_pixels(Path::new(VMDECK), &[], &environment, WINDOW, cell);
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty
}

/// What is on the screen now, by another door.
fn taken(deck: &Deck) -> Pixels {
    let file = deck.home().join("now.ppm");
    let out = file.display().to_string();
    deck.once(&["screenshot", "web-1", "--replace", "--out", &out])
        .expect(0);
    Pixels::of_ppm(&fs::read(file).unwrap())
}

/// Opens the screen and waits until the picture that a terminal would show is the VM's screen.
fn looks(pty: &mut Pty, deck: &Deck, off: u8, picture: impl Fn(&[u8]) -> Option<Pixels>) {
    pty.keys("i");
    pty.wait_text("screen of web-1 on kvm1");
    let is_it = wait_for(SOON, || {
        let now = taken(deck);
        picture(&pty.raw()).is_some_and(|seen| seen.shows(&now, off))
    });
    assert!(is_it, "{}", pty.screen());
}

fn leaves(pty: &mut Pty) {
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
}

fn has(raw: &[u8], bytes: &[u8]) -> bool {
    raw.windows(bytes.len()).any(|part| part == bytes)
}

#[test]
fn a_terminal_that_can_show_pixels_gets_those_of_the_screen_and_loses_them_again() {
    let host = LibvirtHost::start();
    with_a_screen(&host, "web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);

    let mut pty = open(&deck, "xterm-kitty", (0, 0), &[]);
    looks(&mut pty, &deck, 0, |raw| Some(of_kitty(raw)?.0));
    let (_, head) = of_kitty(&pty.raw()).unwrap();
    assert!(!pty.screen().contains('▀'), "{}", pty.screen());
    assert!(head.contains("q=2"), "it must not answer: {head}");
    pty.forget_raw();
    pty.keys("\x1b");
    pty.wait_text("NAME");
    let number = head.split(',').find(|key| key.starts_with("i=")).unwrap();
    pty.wait_bytes(format!("\x1b_Ga=d,d=I,{number},q=2\x1b\\").as_bytes());
    leaves(&mut pty);
    assert!(!has(&pty.raw(), b"a=T"), "it was shown again");

    let mut pty = open(&deck, "foot", CELL, &[]);
    // 216 colours: a part is at most half a step of a sixth off.
    looks(&mut pty, &deck, 26, of_sixel);
    assert!(!pty.screen().contains('▀'), "{}", pty.screen());
    pty.forget_raw();
    pty.keys("\x1b");
    pty.wait_text("NAME");
    // Only clearing takes it away, and everything is drawn after it.
    pty.wait_raw("a screen drawn anew", |raw| {
        let cleared = raw.windows(4).position(|part| part == b"\x1b[2J");
        cleared.is_some_and(|at| has(&raw[at..], b"web-1"))
    });
    leaves(&mut pty);
    assert!(!has(&pty.raw(), b"\x1bP"), "it was shown again");
}

#[test]
fn a_terminal_that_cannot_show_pixels_gets_half_blocks() {
    let host = LibvirtHost::start();
    with_a_screen(&host, "web-1");
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    for (term, cell, more) in [
        ("xterm-256color", CELL, &[][..]),
        ("xterm-kitty", CELL, &[("TMUX", "/tmp/tmux-0/default,1,0")]),
        // Sixels are pixels: without the size of a cell nobody knows how many.
        ("foot", (0, 0), &[]),
    ] {
        let mut pty = open(&deck, term, cell, more);
        pty.keys("i");
        pty.wait_for(&format!("half blocks in {term}"), |screen| {
            screen.contains("screen of web-1 on kvm1") && screen.contains('▀')
        });
        let raw = pty.raw();
        assert!(!has(&raw, b"\x1b_") && !has(&raw, b"\x1bP"), "{term}");
        pty.keys("\x1b");
        pty.wait_for("nothing of it", |screen| {
            screen.contains("NAME") && !screen.contains('▀')
        });
        leaves(&mut pty);
    }
}
