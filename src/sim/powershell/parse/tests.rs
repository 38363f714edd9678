//! What parses, what does not, and that nothing makes the parser fall over.

use proptest::prelude::*;

use super::*;
use crate::sim::powershell::ast::{ExpressionKind, Stage, StatementKind};
use crate::sim::powershell::chars::is_single_quote;
use crate::sim::powershell::value::Value;

fn id_of(text: &str) -> &'static str {
    parse(text, Edition::Desktop).map_or_else(|error| error.id, |_| "parses")
}

#[test]
fn scripts_parse() {
    for text in [
        "",
        "# only a comment",
        "<# a\nb #> $x = 1",
        "if ($a -eq 1) { 'x' }\nelseif ($b) { 'y' }\nelse { 'z' }",
        "foreach ($x in 1..3) { $x }; for ($i = 0; $i -lt 3; $i++) { }",
        "for (;;) { break }",
        "do { $i-- } while ($i -gt 0)",
        "switch -Wildcard ($x) { 'a*' { 1 } default { 2 } }",
        "try { throw 'x' } catch { $_ } finally { 1 }",
        "function F { param([string]$A, [switch] $B = $true) process { $_ } }",
        "function F($a, $b = 2) { $a + $b }",
        "Get-X -Name a,b -Force -Confirm:$false | Where-Object { $_.A -ne 1 } | % Name",
        "$x.y.z = @{ a = 1; b = @(1, 2); 'c d' = { 1 } }",
        "& { 1 } 2>$null; . $f 1; & $x.y",
        "[int]@(1).Count; [string]$a + 'b'; [Console]::Out.WriteLine('x', 1)",
        "$x = if ($a) { 1 } else { 2 }",
        "\"a $b $($c.d('x', \"y\")) `\" ${e f} $env:Path $script:g\"",
        "$a = @'\nline 'one'\n'@\n$b = @\"\nx $y\n\"@",
        "New-Object X -ArgumentList (, $b)",
        "$a.$b; $a.'b c'; $a.($b); $rows[0].$Name; $a[-1][0]",
        ":outer while ($true) { break outer }",
        "(Get-Date) -ge $end -and -not $x",
        "Get-X `\n -Name b",
        "[pscustomobject]@{ a = 1 } | ConvertTo-Json -Compress",
        "1, 2 + 3; ,1; -join 'a'; - 5; !$x",
        "@(foreach ($x in $y) { $x })",
        "$true -and\n$false",
        "exit 1",
        "Hyper-V\\Get-VM -Id ([guid]$ask.id)",
        "7z a b",
    ] {
        assert_eq!(id_of(text), "parses", "{text}");
    }
}

#[test]
fn mistakes_are_named_as_powershell_names_them() {
    for (text, id) in [
        ("if ($x {", "MissingEndParenthesisInExpression"),
        ("{ 1", "MissingEndCurlyBrace"),
        ("'abc", "TerminatorExpectedAtEndOfString"),
        ("\"abc", "TerminatorExpectedAtEndOfString"),
        ("1 +", "ExpectedValueExpression"),
        ("1 2", "UnexpectedToken"),
        ("$x = ", "ExpectedValueExpression"),
        ("1 = 2", "InvalidLeftHandSide"),
        ("try { 1 }", "MissingCatchOrFinally"),
        ("@{ a = 1; A = 2 }", "DuplicateKeyInHashLiteral"),
        ("@{ a }", "MissingEqualsInHashLiteral"),
        ("a && b", "InvalidEndOfLine"),
        ("1 | 2", "ExpressionsMustBeFirstInPipeline"),
        ("\"$a: b\"", "InvalidVariableReferenceWithDrive"),
        ("a | ", "EmptyPipeElement"),
        ("}", "UnexpectedToken"),
        ("class A { }", "NotSimulated"),
        ("a > b.txt", "NotSimulated"),
    ] {
        assert_eq!(id_of(text), id, "{text}");
    }
}

#[test]
fn an_unfinished_text_is_told_from_a_wrong_one() {
    for (text, incomplete) in [
        ("if ($x) {", true),
        ("\"abc", true),
        ("1 +", true),
        ("1 2", false),
        ("}", false),
    ] {
        let error = parse(text, Edition::Desktop).unwrap_err();
        assert_eq!(error.incomplete, incomplete, "{text}");
    }
}

fn only_string(text: &str) -> Option<String> {
    let script = parse(text, Edition::Desktop).ok()?;
    let [statement] = script.end.as_slice() else {
        return None;
    };
    let StatementKind::Pipeline(pipeline) = &statement.kind else {
        return None;
    };
    match pipeline.stages.as_slice() {
        [Stage::Expression(expression, _)] => match &expression.kind {
            ExpressionKind::Constant(Value::Str(text)) => Some(text.as_ref().to_owned()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn input_is_noticed_only_by_the_block_that_names_it() {
    assert!(parse("$input | x", Edition::Desktop).unwrap().names_input);
    let nested = parse("function f { $input }", Edition::Desktop).unwrap();
    assert!(!nested.names_input);
}

proptest! {
    #[test]
    fn no_text_makes_it_fall_over(text in "\\PC*|[ '\"$;&|<>a-c0-2()\\[\\]{}@.,:`#=+*/%!\n-]{0,60}") {
        drop(parse(&text, Edition::Desktop));
    }

    #[test]
    fn no_mix_of_words_makes_it_fall_over(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "if", "(", ")", "{", "}", "foreach", "$x", "in", "try", "catch", "-eq", "@{", "@(",
                "=", ";", "\n", "|", "'", "\"", "function", "param", "[int]", "::", ".", "$(", "&",
                "switch", "do", "while", ",", "1", "..", "-Name", "@'\n", "\n'@", "else", "<#", "#>",
            ]),
            0..80,
        ),
    ) {
        drop(parse(&words.join(" "), Edition::Core));
        drop(parse(&words.concat(), Edition::Desktop));
    }

    #[test]
    fn doubled_quotes_come_back(text in "[a-z'\u{2018}\u{2019}\u{201a}\u{201b}$`\"\\PC]{0,30}") {
        let mut quoted = String::from("'");
        for c in text.chars() {
            quoted.push(c);
            if is_single_quote(c) {
                quoted.push(c);
            }
        }
        quoted.push('\'');
        prop_assert_eq!(only_string(&quoted), Some(text));
    }
}

#[test]
fn nesting_is_bounded() {
    for open in [
        "(", "@(", "{", "@{a=", "$(", "if(1){", "[int]", "-not ", "\"$(",
    ] {
        let deep = open.repeat(5000);
        assert!(parse(&deep, Edition::Desktop).is_err(), "{open}");
    }
}

#[test]
fn the_scripts_that_are_sent_parse_in_both_editions() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hypervisor/hyperv/scripts");
    let mut parsed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for edition in [Edition::Desktop, Edition::Core] {
            if let Err(error) = parse(&text, edition) {
                panic!("{}: {error:?}", path.display());
            }
        }
        parsed += 1;
    }
    assert!(parsed > 10, "the scripts were not found");
}
