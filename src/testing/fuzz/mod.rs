//! The fuzz targets: one function for every parser of outside bytes, in one table.
//!
//! A target takes any bytes and asserts what must hold whatever they are: no panic, output that is
//! bounded by the input, text that no terminal acts on, and what was written reads back as it was.
//! Targets of private parsers stand beside them (`fuzz.rs` in their folder); this table is what the
//! tests (`tests/fuzz.rs`) and cargo-fuzz (`fuzz/`) run. Nothing here may touch the network, or a file
//! that it has not made.

pub(crate) mod invariant;
mod words;

use crate::hypervisor::hyperv::fuzz as hyperv;
use crate::hypervisor::libvirt::fuzz as libvirt;
use crate::hypervisor::picture::fuzz as picture;
use crate::serve::contract::fuzz as contract;
use crate::serve::contract::portal::fuzz as portal;
use crate::serve::v1::fuzz as v1;
use crate::transport::ssh::fuzz as ssh;
use crate::{audit, config, serve, vault};

/// One parser under attack.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name, and that of the folder of its corpus.
    pub name: &'static str,
    /// Runs the parser once; panics when an invariant is broken.
    pub run: fn(&[u8]),
    /// Words of its grammar, for mutations.
    pub words: &'static [&'static str],
}

const fn target(name: &'static str, run: fn(&[u8]), words: &'static [&'static str]) -> Target {
    Target { name, run, words }
}

/// A uuid, as lists have them.
const ID: &str = "6c09bb55-d683-4da0-8931-c9bf705f6480";

/// What frames of our scripts begin with.
const FRAME: &str = "\n@@HV1 0000000000000000 ";

/// Every target.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    target("virsh_tables", libvirt::tables, &[ID, " KiB", "CPU(s):", "ipv4", "ipv6", "fe80::1", "192.0.2.1/24", "-"]),
    target("virsh_domstats", libvirt::domstats, &[ID, "Domain: '", "  state.state=1", "  cpu.time=", "  vcpu.current=", "  balloon.rss=", "  net.0.rx.bytes=", "  block.0.capacity=", "total:", "free:", "user:", "system:", "idle:"]),
    target("virsh_domain_xml", libvirt::domain_xml, &["<domain>", "</domain>", "<devices>", "<disk type='file'>", "<source file='", "<target dev='vda'/>", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "&#x9b;", "&#0;", "&a;", "<![CDATA[", "]]>", "<a>", "<metadata>", "<os id='", "<pool type='dir'>", "<volume>", "<network>", "<capacity unit='bytes'>", "<ip address='"]),
    target("virsh_events", libvirt::announcements, &["event '", "lifecycle' for domain '", "reboot' for domain '", "': Defined Added", "'"]),
    target("virsh_complaints", libvirt::complaints, &["error: ", "sudo: ", "a password is required", "Permission denied", "failed to connect", "command not found"]),
    target("virsh_kept", libvirt::kept_answers, &["@@0000000000000000.1@@", "@@0000000000000000.2@@", "@@0000000000000000.3@@", "virsh # ", "virsh > ", "echo ", "echo --err ", "error: ", "--err"]),
    target("guest_agent", libvirt::agent_answers, &["{\"return\":{", "\"pid\":7", "\"exited\":true", "\"exitcode\":0", "\"signal\":9", "\"out-data\":\"aGkK\"", "\"err-data\":\"\"", "\"out-truncated\":true", "}}"]),
    target("process_table", libvirt::processes, &[ID, " -uuid ", "145 "]),
    target("picture", picture::pictures, &["P6\n", "# c\n", " 255\n", "2 2", "\u{89}PNG", "IHDR", "PLTE", "IDAT", "IEND"]),
    target("powershell_frames", hyperv::frames, &[FRAME, "OK ", "ERR ", "JOB ", "PROG ", "RAW ", "END 1", "LANG ", "e30=", "eyJ2IjoxfQ=="]),
    target("powershell_results", hyperv::results, &[FRAME, "OK ", "ERR ", "RAW {}", "RERR {}", "END 1", "LANG ConstrainedLanguage", "e30=", "eyJ2IjoxLCJkYXRhIjp7fX0=", "#< CLIXML"]),
    target("hyperv_answers", hyperv::answers, &[ID, "\"v\":1", "\"data\":", "\"systems\":", "\"figures\":", "\"machines\":", "\"settings\":", "\"checkpoints\":", "\"addresses\":", "\"id\":", "\"name\":", "\"state\":", "\"gaps\":", "\"part\":", "\"failure\":", "\"Count\":1", "\"value\":", "\"load\":", "\"processors\":", "\"parent\":"]),
    target("hyperv_records", hyperv::records, &["\"messages\":", "\"codes\":", "\"fqid\":", "\"why\":", "\"code\":", "\"facts\":", "vmdeck:", "-2147024891", "32769", "gone", "wrong-state", "job-failed"]),
    target("hyperv_watch", hyperv::watch, &[ID, "\"tookMs\":1", "\"systems\":", "\"figures\":", "\"gone\":", "\"gaps\":", "\"id\":", "\"name\":", "\"state\":2", "\"uptimeMs\":"]),
    target("clixml", hyperv::complaints, &["#< CLIXML", "<S S=\"Error\">", "<S S=\"Warning\">", "</S>", "_x000D__x000A_", "_xD800_", "_x", "&lt;", "&amp;", "ConstrainedLanguage"]),
    target("known_hosts", ssh::known_hosts, &["@revoked ", "@cert-authority ", "|1|", "kvm1", "[kvm1]:2222", "*", "?", "!", ",", "ssh-ed25519 ", "ssh-rsa ", "#"]),
    target("ssh_config", ssh::client_config, &["Host ", "Match all", "HostName ", "IdentityFile ", "ProxyJump ", "UserKnownHostsFile ", "HostKeyAlias ", "Port ", "%h", "%n", "%d", "%%", "~/", "${HOME}", "ssh://", "*"]),
    target("private_key", ssh::private_key, &["-----BEGIN OPENSSH PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "-----END ", "Proc-Type: 4,ENCRYPTED\n", "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n", "PuTTY-User-Key-File-3: "]),
    target("public_key", words::public_key, &["ssh-ed25519 ", "ssh-rsa ", "AAAAC3NzaC1lZDI1NTE5AAAAI"]),
    target("sealed", vault::fuzz::sealed, &["age-encryption.org/v1\n", "-> X25519 ", "-> scrypt ", " 1", " 21", "\n---", "--- "]),
    target("sealed_payload", vault::fuzz::payload, &["vmdeck credential 1\n", "\0\0\0\u{7}", "profile"]),
    target("audit_log", audit::fuzz::segment, &["\"v\":1", "\"seq\":", "\"prev\":", "\"mac\":", "\"phase\":\"intent\"", "\"phase\":\"note\"", "\"action\":"]),
    target("config", config::fuzz::file, &["[tui]", "[ssh]", "[serve]", "[[policy]]", "[tui.keys]", " = ", "\"5s\"", "\"1 MiB\"", "0x7f", "1979-05-27", "verbs = ", "effect = "]),
    target("theme", words::theme, &["[roles.", "[picture]", "fg = ", "bg = ", "\"#00ff00\"", "attributes = [\"bold\"]"]),
    target("key_binding", words::key_bindings, &["ctrl-", "alt-", "shift-", "tab", "space", "f12", "f0", "enter"]),
    target("filter", words::filter, &["state:", "host:", "cpu>", "mem>=90%", "up<1h", "snapage>", "~", "/^", "/", "|", "!", "(", ")", "\"", "running", "*", "id:", "ip:"]),
    target("pattern", words::patterns, &["*", "**", "a*b*c"]),
    target("host_words", words::host_words, &["[", "]:", ":22", "@", "qemu:///system", "fe80::1", "-o", "vmd_k_", "/"]),
    target("remote_text", words::remote_text, &["\u{202e}", "\u{2066}", "\u{200d}", "\u{fe0f}", "\u{301}", "\u{9b}", "\u{e0001}", "\u{3164}", "\u{4e00}", "\u{1f600}"]),
    target("console", words::console, &["\x1b[", "\x1b]0;", "\x1bP", "\x1b\\", "\x1b[?1049h", "\x1b[6n", "\x1b[c", "\x1b[999;999H", "\x1b[65535S", "\x1b[2J", "\x1b[1;5r", "\x1b[4294967295@", "\x1b(0", "\r\n", "\u{9b}", "\u{301}", "\u{4e00}", "\u{1f468}\u{200d}\u{1f469}"]),
    target("recording", words::recording, &["kvm1.example.org", "annabelle", "52:54:00:12:34:56", "192.0.2.1", "fe80::1", "/home/annabelle/", "<title>", "</title>", ID]),
    target("quoting", words::quoting, &["'", "\"", "$(id)", "`id`", "\\", ";", "&&", "|", "--", "*", "~", "!", "\u{2019}"]),
    target("command_line", words::command_line, &["--once", "list", "--serve", "--format", "json", "--filter", "start", "--yes", "host", "add", "--profile", "=", "--", "-h"]),
    target("old_portal", words::old_portal, &["SQLite format 3\0", "CREATE TABLE users", "CREATE VIEW agents", "AS SELECT"]),
    target("bot_signature", serve::fuzz::signatures, &["POST", "GET", "/vm/a/start", "a=1&b=2", "application/json", ",", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]),
    target("bot_timestamp", serve::fuzz::timestamps, &["1735732800", ".25", "2025-01-01T12:00:00Z", "+00:00", "T", ":60Z", "9999-12-31T23:59:59.999999Z"]),
    target("forwarded_for", serve::fuzz::forwarded, &["10.0.0.1", "192.0.2.7", ",", "[2001:db8::1]:443", "::ffff:10.0.0.1", "unknown", ":80"]),
    target("address_list", serve::fuzz::address_lists, &["192.0.2.0/24", "::ffff:0.0.0.0/96", "2001:db8::/32", ",", "/0", "/33", "/129"]),
    target("request_path", contract::paths, &["%2F", "%00", "%2e%2e", "%", "%C0%AF", "%FF", "/vm/", "?name=", "&", "+"]),
    target("portal_body", portal::bodies, &["{\"name\":\"a\",\"hostname\":\"kvm1\",\"port\":22}", "\"private_key\":", "\"private_key_passphrase\":", "\"allow_unknown_hosts\":", "hunter2-hunter2-hunter2", "22.0", "PRIVATE KEY"]),
    target("portal_key", portal::keys, &["-----BEGIN OPENSSH PRIVATE KEY-----\n", "-----END", "PuTTY-User-Key-File-3: ", "Argon2-Memory: ", "Argon2-Passes: "]),
    target("v1_body", v1::bodies, &["{\"name\":\"kvm1\",\"address\":\"kvm1\"}", "\"jumps\":[", "\"tags\":[", "\"filter\":", "\"expect_count\":", "\"private_key\":", "\"fingerprint\":", "hunter2-hunter2-hunter2", "null"]),
    target("v1_list", v1::lists, &["half", "-half", "word", "name,host", "20", "1"]),
    target("v1_cursor", v1::cursors, &["{\"l\":\"\",\"r\":\"7\",\"k\":{\"w\":3},\"p\":7}", "{\"t\":\"", "{\"f\":1.5}", "\"u\"", "18446744073709551615"]),
    target("v1_terms", v1::terms, &["name:", "host:", "action:", "!", "|", "*"]),
    target("idempotency_key", v1::idempotency_keys, &["a-word", "\n"]),
];

/// Finds a target by its name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
