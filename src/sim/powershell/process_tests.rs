//! The process host: shells, command lines, streams, code pages and exit codes.

use std::time::Duration;

use super::bench::{TestMachine, encoded, run, run_file, run_line};
use super::life::Life;
use super::machine::{DefaultShell, Edition, Language, LanguageMode};
use super::process;
use crate::sim::stdio::{Piece, Stdio};

fn german() -> TestMachine {
    let mut machine = TestMachine::default();
    machine.windows.language = Language::German;
    machine.windows.culture = "de-DE".to_owned();
    machine.windows.code_page = 850;
    machine
}

fn outer(edition: Edition) -> TestMachine {
    let mut machine = TestMachine::default();
    machine.windows.default_shell = DefaultShell::PowerShell(edition);
    machine.windows.banner = "Welcome\n".to_owned();
    machine
}

#[test]
fn cmd_plays_its_few_commands() {
    let machine = TestMachine::default();
    for (line, out, code) in [
        ("echo \"hello\" 'x'", "\"hello\" 'x'\r\n", 0),
        ("echo %TEMP% %NOPE%", "C:\\Temp %NOPE%\r\n", 0),
        ("whoami", "hv01\\administrator\r\n", 0),
        ("hostname.exe", "HV01\r\n", 0),
        ("ver", "\r\nMicrosoft Windows [Version 10.0.20348.0]\r\n", 0),
        ("exit 44", "", 44),
        ("exit -1", "", u32::MAX),
        ("echo a&echo b && exit 3 || echo c", "a\r\nb \r\n", 3),
        ("uname || echo no", "no\r\n", 0),
        ("cmd /c \"echo x\"", "x\r\n", 0),
        ("echo x >nul & echo y 2>nul", "y \r\n", 0),
        ("chcp 65001", "Active code page: 65001\r\n", 0),
    ] {
        let done = run_line(&machine, line, &[]);
        assert_eq!((done.text().as_str(), done.code), (out, code), "{line}");
    }
}

#[test]
fn programs_there_are_none_of_are_named_in_the_hosts_language() {
    for program in ["uname", "virsh", "env", "sh"] {
        let done = run_line(&TestMachine::default(), &format!("{program} -a"), &[]);
        assert_eq!(done.code, 1);
        assert!(
            done.error()
                .starts_with(&format!("'{program}' is not recognized as an internal"))
        );
        assert!(done.out.is_empty());
    }
    let done = run_line(&german(), "virsh list", &[]);
    assert!(
        done.error()
            .starts_with("Der Befehl \"virsh\" ist entweder falsch")
    );
    let done = run_line(&TestMachine::default(), "virsh list 2>/dev/null", &[]);
    assert_eq!(
        (done.code, done.error().as_str()),
        (1, "The system cannot find the path specified.\r\n")
    );
}

#[test]
fn a_line_that_is_too_long_is_not_run() {
    let line = |length: usize| format!("echo {}", "x".repeat(length));
    let machine = TestMachine::default();
    assert_eq!(run_line(&machine, &line(8000), &[]).code, 0);
    let done = run_line(&machine, &line(8200), &[]);
    assert_eq!(done.code, 1);
    assert_eq!(done.error(), "The command line is too long.\r\n");
    assert!(done.out.is_empty());
}

#[test]
fn exit_codes_follow_the_rules() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 5", 5),
        ("exit -1", u32::MAX),
        ("1", 0),
        ("throw 'x'", 1),
        ("Get-Thing none", 1),
        ("Get-Thing none; 1", 0),
        ("Get-Thing none -ErrorAction Stop; 'not reached'", 1),
        ("if (", 1),
        ("Get-Nothing; 1", 0),
        ("try { throw 'x' } catch { exit 1 }", 1),
        ("& { exit 3 }; 1", 3),
    ] {
        let done = run(script);
        assert_eq!(done.code, code, "{script}: {}", done.error());
        assert!(!done.text().contains("not reached"));
    }
}

#[test]
fn an_outer_powershell_flattens_codes_and_greets() {
    for edition in [Edition::Desktop, Edition::Core] {
        let machine = outer(edition);
        for (script, code) in [("exit 0", 0), ("exit 1", 1), ("exit 5", 1)] {
            let done = run_line(&machine, &encoded("powershell.exe", script), &[]);
            assert_eq!(done.code, code, "{script}");
            assert_eq!(done.text(), "Welcome\r\n");
        }
        let done = run_line(&machine, "echo 'hello'; \"x\"", &[]);
        assert_eq!(done.text(), "Welcome\r\nhello\r\nx\r\n");
        let done = run_line(&machine, "virsh list", &[]);
        assert_eq!(done.code, 1);
        assert!(done.error().contains("'virsh' is not recognized"));
        assert!(!done.error().contains("CLIXML"));
    }
}

#[test]
fn errors_of_encoded_commands_are_clixml_and_others_are_text() {
    let done = run("Get-Thing none");
    let error = done.error();
    assert!(error.starts_with("#< CLIXML\r\n<Objs "), "{error}");
    assert!(error.contains("Preparing modules for first use."));
    assert!(error.contains("<S S=\"Error\">Get-Thing : There is no such thing._x000D__x000A_</S>"));
    assert!(error.ends_with("</Objs>"));
    let quiet = run("$ProgressPreference='SilentlyContinue'; Get-Thing a | Out-Null");
    assert_eq!(quiet.error(), "");
    let done = run_line(
        &TestMachine::default(),
        "powershell -NoProfile -Command Get-Thing none",
        &[],
    );
    assert!(
        done.error()
            .starts_with("Get-Thing : There is no such thing.\r\n")
    );
    assert!(done.error().lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn output_is_in_the_consoles_code_page_until_it_is_told() {
    let script = "\"Gr\u{f6}\u{df}e\"; [Console]::OutputEncoding = New-Object Text.UTF8Encoding $false; \"Gr\u{f6}\u{df}e\"";
    let done = run_line(&german(), &encoded("powershell.exe", script), &[]);
    assert_eq!(done.out, b"Gr\x94\xe1e\r\nGr\xc3\xb6\xc3\x9fe\r\n");
    let mut machine = german();
    machine.windows.writes_bom = true;
    let marked = "[Console]::OutputEncoding = [Text.Encoding]::UTF8; 'x'";
    let done = run_line(&machine, &encoded("powershell.exe", marked), &[]);
    assert_eq!(done.out, b"\xef\xbb\xbfx\r\n");
    let done = run_line(&machine, &encoded("powershell.exe", script), &[]);
    assert!(!done.out.windows(3).any(|three| three == b"\xef\xbb\xbf"));
}

#[test]
fn a_utf8_payload_is_another_script() {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode("exit 7");
    let done = run_line(
        &TestMachine::default(),
        &format!("powershell -e {text}"),
        &[],
    );
    assert_eq!(done.code, 1);
    let done = run_line(&TestMachine::default(), "powershell -e !!!", &[]);
    assert_eq!(done.code, 1);
    assert!(done.error().contains("not properly encoded"));
}

#[test]
fn gzip_carries_a_script() {
    use base64::Engine as _;
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all("'in' + 'ner'; exit 1".as_bytes()).unwrap();
    let payload = base64::engine::general_purpose::STANDARD.encode(gzip.finish().unwrap());
    let script = format!(
        "$m = New-Object IO.MemoryStream -ArgumentList (, [Convert]::FromBase64String('{payload}'))\n\
         $z = New-Object IO.Compression.GzipStream -ArgumentList $m, ([IO.Compression.CompressionMode]::Decompress)\n\
         $r = New-Object IO.StreamReader -ArgumentList $z\n\
         & ([scriptblock]::Create($r.ReadToEnd()))"
    );
    let done = run(&script);
    assert_eq!(
        (done.text().as_str(), done.code),
        ("inner\r\n", 1),
        "{}",
        done.error()
    );
}

#[test]
fn standard_input_as_statements() {
    let machine = TestMachine::default();
    let line = "pwsh -NoProfile -NonInteractive -Command -";
    let done = run_line(
        &machine,
        line,
        &["1 + 1\nif ($true) {\n  'yes'\n}\n\n'end'\n"],
    );
    assert_eq!(done.text(), "2\r\nyes\r\nend\r\n");
    // Without the empty line the tail is not run, and the code looks like success.
    let done = run_line(&machine, line, &["1\nif ($true) {\n  'yes'\n}\n"]);
    assert_eq!((done.text().as_str(), done.code), ("1\r\n", 0));
}

#[test]
fn input_is_read_only_where_the_script_names_it() {
    let machine = TestMachine::default();
    let line = "pwsh -NoProfile -Command \"$input | ForEach-Object { 'got ' + $_ }\"";
    assert_eq!(
        run_line(&machine, line, &["a\r\nb\n"]).text(),
        "got a\r\ngot b\r\n"
    );
    assert_eq!(run_line(&machine, "pwsh -c 5", &["a\n"]).text(), "5\r\n");
}

/// Starts a command line whose input stays open, and returns what ends it.
fn start(
    machine: &TestMachine,
    line: &str,
) -> (std::thread::JoinHandle<u32>, crate::sim::stdio::Ends) {
    let (mut stdio, ends) = Stdio::new();
    let mut machine = machine.clone();
    let line = line.to_owned();
    let thread = std::thread::spawn(move || process::run(&line, &mut machine, &mut stdio));
    (thread, ends)
}

fn wait_for_process(machine: &TestMachine, name: &str) -> Life {
    let patience = Life::default();
    for _ in 0..2000 {
        if let Some(found) = machine
            .processes
            .list()
            .into_iter()
            .find(|one| one.name == name)
        {
            return found.life;
        }
        patience.wait(Duration::from_millis(5));
    }
    panic!("{name} never started");
}

#[test]
fn a_read_of_5_1_that_begins_on_an_empty_pipe_never_ends() {
    let machine = TestMachine::default();
    let (thread, ends) = start(&machine, "powershell -NoProfile -Command -");
    let life = wait_for_process(&machine, "powershell");
    // Neither data nor the end of input wakes it; only its end does.
    ends.input.try_send(b"1\n".to_vec()).ok();
    drop(ends.input);
    if !thread.is_finished() {
        machine.processes.stop_all();
    }
    life.end();
    assert!(matches!(thread.join().unwrap(), u32::MAX | 0));
}

#[test]
fn a_process_survives_its_client_and_can_be_stopped_by_another() {
    let machine = TestMachine {
        jumps: false,
        ..TestMachine::default()
    };
    let script = "while ($true) { [Console]::Out.WriteLine('beat'); Start-Sleep -Milliseconds 1 }";
    let (thread, mut ends) = start(&machine, &encoded("powershell.exe", script));
    assert_eq!(
        ends.output.blocking_recv(),
        Some(Piece::Out(b"beat\r\n".to_vec()))
    );
    drop(ends);
    let left = machine.processes.list();
    let powershell = left.iter().find(|one| one.name == "powershell").unwrap();
    let id = powershell.id;
    let look = format!("(Get-Process -Id {id}).ProcessName; Stop-Process -Id {id} -Force; 'done'");
    let done = run_line(&machine, &encoded("powershell.exe", &look), &[]);
    assert_eq!(done.text(), "powershell\r\ndone\r\n", "{}", done.error());
    assert_eq!(thread.join().unwrap(), u32::MAX);
    assert!(machine.processes.list().is_empty());
}

#[test]
fn constrained_language_refuses_methods_and_runs_cmdlets() {
    let mut machine = TestMachine::default();
    machine.windows.language_mode = LanguageMode::Constrained;
    let script = "$ErrorActionPreference='Stop'\n\
        try { [Console]::Out.WriteLine('x') } catch { $_.FullyQualifiedErrorId }\n\
        try { New-Object IO.MemoryStream } catch { $_.FullyQualifiedErrorId }\n\
        try { [Console]::OutputEncoding = $null } catch { $_.FullyQualifiedErrorId }\n\
        'abc'.ToUpper(); [string]$ExecutionContext.SessionState.LanguageMode\n\
        ConvertTo-Json -InputObject @{ n = [string](Get-Thing a).Name } -Compress";
    let done = run_line(&machine, &encoded("powershell.exe", script), &[]);
    assert_eq!(
        done.text(),
        "MethodInvocationNotSupportedInConstrainedLanguage\r\n\
         CannotCreateTypeConstrainedLanguage,Microsoft.PowerShell.Commands.NewObjectCommand\r\n\
         PropertySetterNotSupportedInConstrainedLanguage\r\nABC\r\nConstrainedLanguage\r\n\
         {\"n\":\"a\"}\r\n"
    );
}

/// What our scripts get is base64 of JSON, read as the prelude of all of them reads it: 1,200 names that
/// mean harm come out as they went in.
#[test]
fn arguments_arrive_as_they_were_whatever_they_hold() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let names = crate::testing::names::hostile();
    for some in names.chunks(300) {
        let json = serde_json::json!({ "names": some }).to_string();
        let script = format!(
            "$ask = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{}')) | ConvertFrom-Json\r\n\
             foreach ($name in $ask.names) {{\r\n\
             [Console]::Out.WriteLine([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes([string]$name)))\r\n}}\r\n",
            STANDARD.encode(json)
        );
        let done = run_file(&script);
        assert_eq!(done.error(), "");
        let came: Vec<String> = done
            .text()
            .lines()
            .map(|line| String::from_utf8(STANDARD.decode(line).unwrap()).unwrap())
            .collect();
        assert_eq!(came, some);
    }
}
