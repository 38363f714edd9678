//! A console that writes every control sequence there is: what reaches the real terminal is what the dashboard writes by
//! itself and nothing else, what goes back into the VM are the answers of its own terminal, and the dashboard is whole.
//! The host's `virsh` is real but for `console`, whose place a program takes that writes these bytes and keeps what
//! comes back.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::VMDECK;
use crate::dashboard::{open, row};
use crate::support::deck::Deck;
use crate::support::lab::LibvirtHost;
use crate::support::{wait_for, write};

/// Shows each part long enough for frames to be drawn of what it leaves behind, and resets its terminal after it.
const CONSOLE: &str = r#"case "$*" in
*console*)
  cd "$XDG_DATA_HOME"
  stty raw -echo
  exec 3<&0
  cat <&3 > answers &
  for part in part.*; do
    cat "$part"
    sleep 0.2
    printf '\030\033\\\033c%s is over\r\n' "$part"
  done
  wait ;;
*) exec $REAL "$@" ;;
esac"#;

/// What programs ask their terminal, with the answer of ours where it gives one; the cursor is in the upper left.
const QUESTIONS: &[(&str, &str)] = &[
    ("\x1b[c", "\x1b[?1;2c"),
    ("\x1b[>c", ""),
    ("\x1b[=c", ""),
    ("\x1bZ", ""),
    ("\x05", ""),
    ("\x1b[5n", "\x1b[0n"),
    ("\x1b[6n", "\x1b[1;1R"),
    ("\x1b[?6n", ""),
    ("\x1b[?25$p", ""),
    ("\x1b[>q", ""),
    ("\x1b[?u", ""),
    ("\x1b[14t\x1b[18t\x1b[21t", ""),
    ("\x1b]4;1;?\x07\x1b]10;?\x07\x1b]11;?\x1b\\", ""),
    ("\x1b]52;c;?\x07", ""),
    ("\x1bP$qm\x1b\\\x1bP$q r\x1b\\\x1bP+q544e\x1b\\", ""),
    ("\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", ""),
];

/// Numbers of private modes: DEC's, xterm's and those of terminals after it.
const MODES: &[std::ops::Range<u32>] = &[0..100, 1000..1062, 2000..2050, 9001..9002];

/// Every sign that begins or ends something, between letters.
fn single() -> Vec<u8> {
    let mut out = Vec::new();
    for byte in (0..0x20).chain(0x7f..=0xff) {
        out.extend([b'a', byte, b'b']);
    }
    // C1 as UTF-8, each with what would be its string.
    for code in 0x80..0xa0_u8 {
        out.extend([0xc2, code]);
        out.extend(b"0;t\x07\x18");
    }
    for second in 0x20..0x7f {
        out.extend([0x1b, second, b'0', 0x18]);
    }
    out
}

fn csi() -> Vec<u8> {
    let mut out = Vec::new();
    for before in ["", "?", ">", "=", "<"] {
        for numbers in [
            "",
            "0",
            "2",
            "5;5",
            "8;3;9",
            "4:3",
            "99999999999",
            "1;1;1;1;1;1;1;1",
        ] {
            for between in ["", " ", "!", "\"", "$", "'", "#"] {
                for last in 0x40..0x7f {
                    out.extend(format!("\x1b[{before}{numbers}{between}").bytes());
                    out.push(last);
                }
            }
        }
    }
    out
}

fn modes(last: char) -> Vec<u8> {
    let all = MODES.iter().flat_map(Clone::clone);
    all.flat_map(|number| format!("\x1b[{number}{last}\x1b[?{number}{last}").into_bytes())
        .collect()
}

fn osc() -> Vec<u8> {
    let all = (0..=1337).chain([5113, 5522, 6200, 9001]);
    let ended = ["\x07", "\x1b\\", "\x18", "\u{9c}"];
    all.flat_map(|number| {
        let end = ended[number % ended.len()];
        format!("\x1b]{number};c;?x{end}\x1b]{number};http://x/{end}").into_bytes()
    })
    .collect()
}

fn strings() -> Vec<u8> {
    let mut out =
        b"\x1b]8;;file:///etc/passwd\x07link\x1b]8;;\x07\x1b]52;c;Y2FuYXJ5\x1b\\\x1bktitle\x1b\\"
            .to_vec();
    out.extend(b"\x1b]1337;File=inline=1;size=4:AAAA\x07\x1bPtmux;\x1b\x1b]0;x\x07\x1b\\\x1bP0;1;0q\"1;1;1;1#0@\x1b\\");
    for begin in ["P", "_", "^", "X"] {
        for inside in [
            "Ga=T,f=100;AAAA",
            "1000p\x1b[2J",
            "\x1b]0;x\x07",
            "\u{9d}0;x",
        ] {
            out.extend(format!("\x1b{begin}{inside}\x1b\\ok\x1b{begin}{inside}\x18").bytes());
        }
    }
    out
}

/// Characters that turn a line around, hide, join or are none.
fn characters() -> Vec<u8> {
    let mut out = Vec::new();
    for code in (0x80..0xa0)
        .chain(0x200b..0x2070)
        .chain(0xfe00..0xfe10)
        .chain(0xe0000..0xe0080)
    {
        out.extend(char::from_u32(code).unwrap().to_string().bytes());
        out.push(b'.');
    }
    for code in [0xad, 0x61c, 0x180e, 0xfeff, 0xfffe, 0x10_ffff] {
        out.extend(format!("x{}y", char::from_u32(code).unwrap()).bytes());
    }
    out.extend("e".bytes().chain("\u{301}".repeat(500).bytes()));
    out.extend(b"\xed\xa0\x80\xc0\xaf\xf8\xff\xf4\x90\x80\x80");
    out
}

fn parts() -> Vec<Vec<u8>> {
    let asked = QUESTIONS.iter().flat_map(|(asks, _)| asks.bytes());
    vec![
        single(),
        csi(),
        modes('h'),
        modes('l'),
        osc(),
        strings(),
        characters(),
        b"\x1b[H".iter().copied().chain(asked).collect(),
    ]
}

/// The kinds of control sequences in what a terminal was sent, and characters that it must not be sent.
fn kinds(raw: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(raw);
    let mut rest = text.chars().peekable();
    let mut kinds = BTreeSet::new();
    while let Some(c) = rest.next() {
        if c != '\x1b' {
            let hidden = matches!(u32::from(c),
                0x00..0x20 | 0x7f..0xa0 | 0xad | 0x61c | 0x180e | 0x200b..0x2010 | 0x2028..0x202f | 0x2060..0x2070 | 0xfeff | 0xe0000..0xe0080);
            if hidden {
                kinds.insert(format!("U+{:04X}", u32::from(c)));
            }
            continue;
        }
        if rest.next_if_eq(&'[').is_none() {
            kinds.insert(format!("ESC {:?}", rest.next()));
            continue;
        }
        let mut numbers = String::new();
        while let Some(c) = rest.next_if(|c| !('@'..='~').contains(c)) {
            numbers.push(c);
        }
        let last = rest.next();
        kinds.insert(match last {
            Some('m' | 'H') if numbers.chars().all(|c| c.is_ascii_digit() || c == ';') => {
                format!("CSI {}", last.unwrap())
            }
            last => format!("CSI {numbers} {}", last.unwrap_or('?')),
        });
    }
    kinds
}

/// What the dashboard writes by itself while a console is open and closed: colours, places, the cursor on and off,
/// frames (mode 2026), all cleared.
const OWN: [&str; 7] = [
    "CSI H",
    "CSI m",
    "CSI ?25 h",
    "CSI ?25 l",
    "CSI ?2026 h",
    "CSI ?2026 l",
    "CSI 2 J",
];

#[test]
fn nothing_that_a_console_writes_acts_on_the_terminal_or_talks_to_the_vm() {
    let host = LibvirtHost::builder().script("virsh", CONSOLE).start();
    let id = host.define_deaf("web-1");
    host.start_vm(&id);
    let parts = parts();
    for (number, part) in parts.iter().enumerate() {
        write(host.file(&format!("part.{number}")), part);
    }
    let deck = Deck::new(VMDECK);
    deck.add("kvm1", &host, &[]);
    let mut pty = open(&deck, (100, 30));
    pty.wait_for("the running VM", |screen| {
        screen.contains("1 up") && row(screen, "web-1").contains("running")
    });
    pty.forget_raw();
    pty.keys("a");
    let last = format!("part.{} is over", parts.len() - 1);
    let screen = pty.wait_text(&last);
    assert!(screen.contains("console of web-1 on kvm1"), "{screen}");
    // What is typed now comes behind all answers.
    pty.keys("end");
    let read = || fs::read_to_string(host.file("answers")).unwrap();
    assert!(
        wait_for(Duration::from_secs(20), || read().ends_with("end")),
        "{:?}",
        read()
    );
    let expected: String = QUESTIONS.iter().map(|(_, answer)| *answer).collect();
    let answers = read();
    let before = answers
        .strip_suffix(&format!("{expected}end"))
        .unwrap_or_else(|| panic!("{answers:?}"));
    // Those parts ask as well, among much else.
    let given = ["\x1b[?1;2c", "\x1b[0n"];
    let more = given
        .iter()
        .fold(before.to_owned(), |rest, known| rest.replace(known, ""));
    let is_place = |place: &str| {
        let numbers = place
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix('R'));
        numbers.is_some_and(|text| text.split(';').all(|number| number.parse::<u16>().is_ok()))
    };
    let mut places = more.split('\x1b');
    assert_eq!(places.next(), Some(""), "{answers:?}");
    assert!(places.all(is_place), "{answers:?}");

    pty.keys("\x1d");
    pty.wait_for("the table", |screen| {
        screen.contains("NAME") && row(screen, "web-1").contains("running")
    });
    let raw = pty.raw();
    assert!(raw.len() < 200_000, "the beginning of it is lost");
    let others: Vec<String> = kinds(&raw)
        .into_iter()
        .filter(|kind| !OWN.contains(&kind.as_str()))
        .collect();
    assert_eq!(others, Vec::<String>::new(), "{}", raw.escape_ascii());
    assert!(pty.on_alternate_screen() && !pty.takes_mouse());
    pty.keys("q");
    assert_eq!(pty.wait_exit(), 0);
    assert_eq!(host.state(&id), "running");
}
