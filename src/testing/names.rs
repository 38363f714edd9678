//! Names and texts that mean harm to whoever shows them or hands them on: 1,200 of them, always the same.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// How many there are.
pub const COUNT: usize = 1_200;

/// What a terminal acts on, in both of its spellings.
#[rustfmt::skip]
const SEQUENCES: &[&str] = &[
    "\x1b[2J", "\x1b[31m", "\x1b[1;1H", "\x1b[6n", "\x1b[c", "\x1b[?1049h", "\x1b]0;title\x07", "\x1b]2;t\x1b\\",
    "\x1b]8;;http://x/\x07y", "\x1b]52;c;Y2FuYXJ5\x07", "\x1bP1$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1b_G\x1b\\", "\x1b^p\x1b\\",
    "\x1bc", "\x1b(0", "\x1b#8", "\u{9b}31m", "\u{9d}0;title\u{9c}", "\u{90}q\u{9c}", "\u{9f}G\u{9c}", "\u{8e}", "\u{84}",
];

/// What a shell, PowerShell, cmd.exe or a spreadsheet acts on. `CANARY` stands for a file.
#[rustfmt::skip]
const COMMANDS: &[&str] = &[
    "$(touch CANARY)", "`touch CANARY`", "; touch CANARY", "&& touch CANARY", "|| touch CANARY", "| tee CANARY",
    "& touch CANARY &", "> CANARY", ">> CANARY", "\ntouch CANARY\n", "'; touch CANARY; '", "\"; touch CANARY; \"",
    "<(touch CANARY)", "${IFS}touch${IFS}CANARY", "$((1+1))", "${x:=$(touch CANARY)}", "!touch", "!!", "~root", "*", "?", "[a-z]",
    "{a,b}", "#comment", "a\\", "\\'", "$'\\x41'", "%TEMP%", "%CD:~0,1%", "^& echo", "%0a", "$env:TEMP", "$(New-Item CANARY)",
    "'; New-Item CANARY; '", "\u{2019}; New-Item CANARY; \u{2019}", "\u{201d}; New-Item CANARY; \u{201c}", "@{a=1}", "& { iex CANARY }",
    "`$(iex CANARY)", "'@\nNew-Item CANARY\n@'", "=cmd|' /C calc'!A0", "+1+1", "-1", "@SUM(1)", "\t=1", "--help", "-rf", "--", "-c",
    "--connect=qemu:///evil", "-oProxyCommand=touch CANARY", "qemu:///system", "/etc/passwd", "../../etc/passwd", "..", ".",
];

/// What a format takes for its own.
#[rustfmt::skip]
const MARKUP: &[&str] = &[
    "a|b", "**bold**", "[x](javascript:alert(1))", "<script>alert(1)</script>", "</title>", "&lt;", "&#x9b;", "<!--", "]]>",
    "\",\"evil\":\"x", "\\u001b[31m", "\\\"", "a,b", "a;b", "\"quoted\"", "a\"b\"c", "'a'", "\"} 1\nup{a=\"", "a\\nb",
    "2026-01-01T00:00:00Z ERROR forged", "\r\n{\"level\":\"ERROR\"}", "data: x\n\n", "x\r\nSet-Cookie: a=b", "%s%n", "{0}", "${jndi:x}",
    "' OR '1'='1", "state:running", "host:* !a", "/(a+)+$/", "null", "true", "NaN", "1e999", "0x1f",
];

/// What looks like something else.
#[rustfmt::skip]
const DISGUISES: &[&str] = &[
    "1", "0", "42", "-0", "00000000-0000-0000-0000-000000000000", "6c09bb55-d683-4da0-8931-c9bf705f6480",
    "6C09BB55-D683-4DA0-8931-C9BF705F6480", "kvm1/web", "all", "none", "host", "wеb", "ｗｅｂ", "𝗐𝖾𝖻", "web\u{2010}1", "І1l|O0",
    " web", "web ", "\u{a0}web", "\u{3000}", " ", "\u{2003}", "\u{ff0d}\u{ff0d}help",
];

/// Quotes of all alphabets.
#[rustfmt::skip]
const QUOTES: &[char] = &[
    '\'', '"', '`', '´', '‘', '’', '‚', '‛', '“', '”', '„', '‟', '‹', '›', '«', '»', '「', '」', '『', '』', '〝', '〞', '＇', '＂', '❛', '❜',
    '❝', '❞', 'ʹ', 'ʼ', '՚', '׳', '״', '′', '″',
];

/// Characters that are not seen, or turn others round.
#[rustfmt::skip]
const UNSEEN: &[char] = &[
    '\u{ad}', '\u{34f}', '\u{61c}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{180b}', '\u{180e}', '\u{200b}', '\u{200c}', '\u{200d}',
    '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2060}', '\u{2062}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{206a}', '\u{206f}', '\u{3164}', '\u{fe00}', '\u{fe0f}', '\u{feff}', '\u{ffa0}',
    '\u{fff9}', '\u{fffb}', '\u{1d173}', '\u{e0001}', '\u{e0041}', '\u{e007f}', '\u{e0100}',
];

/// Returns all of them: every trick alone, then mixtures.
pub fn hostile() -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(COUNT);
    // C0, DEL and C1; a NUL too.
    names.extend(
        (0_u32..0x20)
            .chain(0x7f..0xa0)
            .filter_map(char::from_u32)
            .map(|c| format!("a{c}b")),
    );
    for list in [SEQUENCES, COMMANDS, MARKUP, DISGUISES] {
        names.extend(list.iter().map(|text| (*text).to_owned()));
    }
    names.extend(UNSEEN.iter().map(|c| format!("we{c}b")));
    names.extend(QUOTES.iter().map(|c| format!("it{c}s {c}")));
    names.extend([
        "e\u{301}".to_owned(),
        format!("tower{}", "\u{301}\u{30a}\u{489}".repeat(40)),
        "\u{301}first".to_owned(),
        "👨\u{200d}👩\u{200d}👧 🏳\u{fe0f}\u{200d}🌈".to_owned(),
        "日本語".repeat(30),
        "مرحبا שלום".to_owned(),
        "x".repeat(10 * 1024),
        "\u{9b}".repeat(5 * 1024),
        "語".repeat(3 * 1024),
        format!("a{}", "\u{301}".repeat(5 * 1024)),
        format!("\u{202e}{}", "\u{200b}x".repeat(2000)),
    ]);
    let mut rng = StdRng::seed_from_u64(4);
    while names.len() < COUNT {
        let parts = rng.random_range(2..6_usize);
        names.push((0..parts).map(|_| part(&mut rng)).collect());
    }
    names.truncate(COUNT);
    names
}

fn part(rng: &mut StdRng) -> String {
    let lists = [SEQUENCES, COMMANDS, MARKUP, DISGUISES];
    match rng.random_range(0..8_u32) {
        0 => one(rng, UNSEEN).to_string(),
        1 => one(rng, QUOTES).to_string(),
        2 => char::from(rng.random_range(0..0x20_u8)).to_string(),
        3 => char::from_u32(rng.random_range(0x7f..0xa0))
            .unwrap_or('x')
            .to_string(),
        4 => char::from_u32(rng.random_range(0xa0..0x3_0000))
            .unwrap_or('x')
            .to_string(),
        _ => {
            let list = lists.choose(rng).copied().unwrap_or(SEQUENCES);
            list.choose(rng).copied().unwrap_or("x").to_owned()
        }
    }
}

fn one(rng: &mut StdRng, from: &[char]) -> char {
    from.choose(rng).copied().unwrap_or('x')
}
