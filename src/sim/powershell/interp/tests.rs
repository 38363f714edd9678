//! Semantics of the language, as tables: expression, and what it prints as compact JSON or text.

use crate::sim::powershell::bench::{run, run_core, run_file};

/// Runs expressions one by one in one process and compares the compact JSON of each.
fn check(table: &[(&str, &str)]) {
    let mut script = String::from("$ProgressPreference='SilentlyContinue'\n");
    for (expression, _) in table {
        script.extend([format!(
            "try {{ $r = @(& {{ {expression} }}); ConvertTo-Json -InputObject $r -Compress -Depth 4 }} \
             catch {{ 'ERR ' + $_.FullyQualifiedErrorId }}\n"
        )]);
    }
    let done = run_file(&script);
    let text = done.text();
    let mut lines = text.lines();
    let mut wrong = Vec::new();
    for (expression, expected) in table {
        let got = lines.next().unwrap_or("<nothing>");
        let got = got
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(got);
        if got != *expected {
            wrong.push(format!("{expression}\n  is {got}\n not {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nstderr: {}",
        wrong.join("\n"),
        done.error()
    );
}

#[test]
fn numbers() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("7 / 2; 6 / 2; 7 % 3", "3.5,3,1"),
        ("2147483647 + 1", "2147483648"),
        ("[int]1.5; [int]2.5; [int]'0x10'; [int]'  7 '", "2,2,16,7"),
        ("[int]$true; [int]$null; [int]''", "1,0,0"),
        (
            "[long]3000000000; 1kb; 2MB; 0xFF",
            "3000000000,1024,2097152,255",
        ),
        ("1/0", "ERR RuntimeException"),
        ("[int]'abc'", "ERR InvalidCastFromStringToInteger"),
        ("[int]@(1)", "ERR ConvertToFinalInvalidCastException"),
        ("[uint16]70000", "ERR InvalidCastIConvertible"),
        ("[uint16]2; [uint32]7", "2,7"),
        ("5 -band 6; 5 -bor 2; -bnot 0; 1 -shl 4", "4,7,-1,16"),
        ("-5; - 5 + 3; 10..12; 3..1", "-5,-2,10,11,12,3,2,1"),
        ("'5' + 3; 5 + '3'", "\"53\",8"),
        ("5 + 'x'", "ERR InvalidCastFromStringToInteger"),
        (
            "[math]::Round(2.5); [math]::Max(3, 9); [Math]::Floor(1.7)",
            "2,9,1",
        ),
        ("$i = 3; $i++; $i; $i--; --$i; $i", "4,2"),
        (
            "1 -as [string]; 'x' -as [int]; '5' -as [int]",
            "\"1\",null,5",
        ),
        (
            "'{0:N2}|{1,4}|{2:D3}|{3:X}' -f 1234.5, 7, 5, 255",
            "\"1,234.50|   7|005|FF\"",
        ),
    ]);
}

#[test]
fn text() {
    check(&[
        (
            "$a = 1; \"a $a b $($a + 1) `$x `\"q`\" ${a}\"",
            "\"a 1 b 2 $x \\\"q\\\" 1\"",
        ),
        ("'it''s $a'", "\"it\\u0027s $a\""),
        ("'a' + 1 + 'b'", "\"a1b\""),
        ("'ab' * 3", "\"ababab\""),
        (
            "'Hello'.ToUpper(); ' x '.Trim(); 'abc'.Substring(1); 'abc'.Substring(0,2)",
            "\"HELLO\",\"x\",\"bc\",\"ab\"",
        ),
        (
            "'a,b,,c'.Split(','); 'a,b' -split ','; -split ' a  b '",
            "\"a\",\"b\",\"\",\"c\",\"a\",\"b\",\"a\",\"b\"",
        ),
        ("'a','b' -join '-'; -join ('x','y')", "\"a-b\",\"xy\""),
        (
            "'abc' -replace 'B','x'; 'abc' -creplace 'B','x'; 'a.b' -replace '\\.'",
            "\"axc\",\"abc\",\"ab\"",
        ),
        (
            "'abc'.Length; 'abc'[0]; 'abc'[-1]; 'abc'.IndexOf('c')",
            "3,\"a\",\"c\",2",
        ),
        (
            "'5'.PadLeft(3,'0'); 'abc'.Contains('B'); 'abc'.StartsWith('ab')",
            "\"005\",false,true",
        ),
        ("@'\na 'b' $c\n'@", "\"a \\u0027b\\u0027 $c\""),
        ("$x='v'; @\"\n$x\n\"y\"\n\"@", "\"v\\n\\\"y\\\"\""),
        (
            "[string]::IsNullOrEmpty(''); [string]::Join('+', @(1,2))",
            "true,\"1+2\"",
        ),
        (
            "\"$(1,2,3)\"; [string]@(1,2); [string]$null",
            "\"1 2 3\",\"1 2\",\"\"",
        ),
        ("\"$true $(1.5) $null|\"", "\"True 1.5 |\""),
        ("\"a`tb\"", "\"a\\tb\""),
        ("[char]65; [int][char]'A'", "\"A\",65"),
        ("\u{2018}x\u{2019}\u{201a}y\u{201b}", "\"x\u{201a}y\""),
        ("'<&>'", "\"\\u003c\\u0026\\u003e\""),
    ]);
}

#[test]
fn comparisons() {
    check(&[
        (
            "'ABC' -eq 'abc'; 'ABC' -ceq 'abc'; 1 -eq '1'; '1' -eq 1",
            "true,false,true,true",
        ),
        ("10 -lt 9; '10' -lt 9; 2 -gt '10'", "false,true,false"),
        (
            "1,2,3 -eq 2; (1,2,3 -gt 1).Count; @(1,2) -contains 2; 2 -in 1,2; 3 -notin 1,2",
            "2,2,true,true,true",
        ),
        (
            "$null -eq ''; '' -eq $null; $null -eq $null",
            "false,false,true",
        ),
        (
            "'Hyper-V' -like 'hyper*'; 'abc' -notlike 'b*'; 'abc' -match 'B'; $Matches[0]",
            "true,true,true,\"b\"",
        ),
        (
            "$true -eq 'x'; 'x' -eq $true; 0 -eq $false",
            "true,false,true",
        ),
        (
            "-not 0; !'a'; 1 -and 0; 1 -or 0; $true -xor $true",
            "true,false,false,true,false",
        ),
        (
            "if (@()) { 1 } else { 2 }; if (@(0)) { 1 } else { 2 }; if (@(0,0)) { 1 } else { 2 }",
            "2,2,1",
        ),
        (
            "'5' -is [string]; 5 -is [int]; @() -is [array]; @{} -is [hashtable]; 5 -isnot [long]",
            "true,true,true,true,true",
        ),
        ("1 -lt 'a'", "ERR ComparisonFailure"),
        (
            "([guid]'{6C09BB55-D683-4DA0-8931-C9BF705F6480}').ToString(); [guid]'6c09bb55-d683-4da0-8931-c9bf705f6480' -eq '6C09BB55-D683-4DA0-8931-C9BF705F6480'",
            "\"6c09bb55-d683-4da0-8931-c9bf705f6480\",true",
        ),
        ("[guid]'x'", "ERR InvalidCastParseTargetInvocation"),
        (
            "[version]'10.0.1' -gt [version]'9.5'; [string][version]'1.2.3'",
            "true,\"1.2.3\"",
        ),
        (
            "$t = Get-Thing a; $t.State -eq 'running'; $t.State -eq 2; [int]$t.State; \"$($t.State)\"",
            "true,true,2,\"Running\"",
        ),
    ]);
}

#[test]
fn lists_and_tables() {
    check(&[
        (
            "@().Count; @(1).Count; @(1,2).Length; (1).Count; $null.Count; @($null).Count",
            "0,1,2,1,0,1",
        ),
        (
            "$a = @(); $a += 1; $a += 2,3; $a.Count; $a[-1]; $a[0,2]; $a[9]",
            "3,3,1,3,null",
        ),
        ("$a = 1,2,3; $a[1] = 9; $b = $a; $b[0] = 7; $a", "7,9,3"),
        (",@(1,2)", "[1,2]"),
        ("@(,@(1,2)).Count; @(@(1,2)).Count", "1,2"),
        (
            "$h = @{ a = 1; 'b c' = 2 }; $h.a; $h['B C']; $h.x; $h.Count; $h.ContainsKey('A')",
            "1,2,null,2,true",
        ),
        (
            "$h = @{}; $h.x = 1; $h['y'] = 2; $h.Remove('x'); $h.Keys; $h.Add('z', 3); $h.z",
            "\"y\",3",
        ),
        ("$h = @{ k = 1 }; $h.Add('k', 2)", "ERR ArgumentException"),
        (
            "$o = [ordered]@{ z = 1; a = 2 }; $o.Keys; $o[0]; ([pscustomobject]@{ q = 1 }).q",
            "\"z\",\"a\",1,1",
        ),
        (
            "$o = [pscustomobject]@{ a = 1 }; $o.a = 5; $o.A; $o.PSObject.Properties.Name",
            "5,\"a\"",
        ),
        (
            "$o = [pscustomobject]@{ a = 1 }; $o.b = 5",
            "ERR PropertyNotFound",
        ),
        ("$null.Foo; $null.Foo()", "ERR InvokeMethodOnNull"),
        ("(5).Foo()", "ERR MethodNotFound"),
        ("$null[0]", "ERR NullArray"),
        (
            "$r = @([pscustomobject]@{ n = 1 }, [pscustomobject]@{ n = 2 }); $r.n; ($r | ForEach-Object n)",
            "1,2,1,2",
        ),
        ("$x, $y = 1, 2, 3; $x; $y", "1,2,3"),
        ("@{ a = 1 } + @{ b = 2 } | ForEach-Object Count", "2"),
        ("$f = @{ f = { param($x) $x * 2 } }; & $f.f 4", "8"),
        (
            "$l = New-Object System.Collections.ArrayList; [void]$l.Add(5); $l.Count; $l[0]",
            "1,5",
        ),
        (
            "[string[]]$s = 1,2; $s[0].GetType().Name; $s.GetType().Name",
            "\"String\",\"String[]\"",
        ),
        ("([pscustomobject]@{ a = 1 }).Count", "null"),
        (
            "foreach ($e in @{ a = 1 }.GetEnumerator()) { $e.Key; $e.Value }",
            "\"a\",1",
        ),
    ]);
    let done = run_core("([pscustomobject]@{ a = 1 }).Count");
    assert_eq!(done.text(), "1\r\n");
}

#[test]
fn statements() {
    check(&[
        (
            "foreach ($x in 1..5) { if ($x -eq 2) { continue }; if ($x -eq 4) { break }; $x }",
            "1,3",
        ),
        ("for ($i = 0; $i -lt 3; $i++) { $i }", "0,1,2"),
        (
            "$i = 0; while ($true) { $i++; if ($i -gt 3) { break } }; $i",
            "4",
        ),
        (
            "$i = 0; do { $i++ } while ($i -lt 3); $i; do { $i-- } until ($i -le 1); $i",
            "3,1",
        ),
        (
            "switch (2) { 1 { 'a' } 2 { 'b' } 2 { 'c' } default { 'd' } }",
            "\"b\",\"c\"",
        ),
        (
            "switch -Wildcard ('abc') { 'a*' { 1; break } '*c' { 2 } }",
            "1",
        ),
        ("switch (9) { 1 { 'a' } default { 'd' } }", "\"d\""),
        (
            ":o foreach ($a in 1,2) { foreach ($b in 1,2) { if ($b -eq 2) { continue o }; \"$a$b\" } }",
            "\"11\",\"21\"",
        ),
        ("$x = if ($false) { 1 } else { 2 }; $x", "2"),
        ("$x = foreach ($i in 1,2) { $i * 2 }; $x.Count", "2"),
        (
            "function f { param($A, [switch]$S, [int]$N = 7) \"$A|$S|$N\" }; f 1; f -S -A x; f y -N 2; f -A:q",
            "\"1|False|7\",\"x|True|7\",\"y|False|2\",\"q|False|7\"",
        ),
        ("function f { $args.Count; $args[0] }; f 5 6", "2,5"),
        ("function f { return 1; 2 }; f", "1"),
        ("function f { 1; 2 | Out-Null; 3 }; $r = f; $r.Count", "2"),
        ("$v = 1; function f { $v = 2; $v }; f; $v", "2,1"),
        ("$v = 1; & { $v = 2 }; $v; . { $v = 3 }; $v", "1,3"),
        (
            "$script:v = 1; function f { $script:v = 5 }; f; $script:v",
            "5",
        ),
        (
            "function f { param([Parameter(Mandatory=$true)]$X) $X }; f",
            "ERR MissingMandatoryParameter",
        ),
        ("function f { process { $_ + 1 } }; 1,2 | f", "2,3"),
        ("function f { $x }; $x = 4; f", "4"),
        ("& ([scriptblock]::Create('param($a) $a + 1')) 2", "3"),
        ("$b = { $_ * 2 }; 1,2 | ForEach-Object $b", "2,4"),
        ("function f { f }; f", "ERR CallDepthOverflow"),
        (
            "[int]$n = '5'; $n; $n = 'x'",
            "ERR InvalidCastFromStringToInteger",
        ),
        ("$p = @{ Name = 'q' }; (Get-Thing @p).Name", "\"q\""),
    ]);
}

#[test]
fn pipelines() {
    check(&[
        (
            "1..4 | Where-Object { $_ % 2 } | ForEach-Object { $_ * 10 }",
            "10,30",
        ),
        (
            "1..5 | Select-Object -First 2; 1..5 | Select-Object -Last 1; 1..5 | Select-Object -Skip 3",
            "1,2,5,4,5",
        ),
        (
            "3,1,2 | Sort-Object; 3,1,2 | Sort-Object -Descending; 'b','A' | Sort-Object",
            "1,2,3,3,2,1,\"A\",\"b\"",
        ),
        (
            "(1..4 | Measure-Object -Sum).Sum; (1..4 | Measure-Object).Count",
            "10,4",
        ),
        (
            "$g = 1,2,3 | Group-Object { $_ % 2 }; $g.Count; $g[0].Name; $g[0].Count",
            "2,\"1\",2",
        ),
        (
            "[pscustomobject]@{ a = 1; b = 2 } | Select-Object a, @{ n = 'c'; e = { $_.b + 1 } }",
            "{\"a\":1,\"c\":3}",
        ),
        (
            "[pscustomobject]@{ a = 1,2 } | Select-Object -ExpandProperty a",
            "1,2",
        ),
        (
            "@() | ForEach-Object { 1 }; @($null | ForEach-Object { 2 })",
            "2",
        ),
        (
            "$x = @() | ForEach-Object { 1 }; @($x).Count; $null -eq $x",
            "0,true",
        ),
        (
            "1,2,3 | Where-Object -Property Length -EQ 1 | Measure-Object | ForEach-Object Count",
            "3",
        ),
        (
            "$o = 1..3 | ForEach-Object { $s = 0 } { $s += $_ } { $s }; $o",
            "6",
        ),
        ("'a','b' | ForEach-Object ToUpper", "\"A\",\"B\""),
        ("1,1,2 | Select-Object -Unique", "1,2"),
        ("1..3 | Out-Null; Write-Output 7", "7"),
        ("1 | Write-Output | ForEach-Object { $_ }", "1"),
    ]);
    // One value at a time goes through all stages, and a stage that has enough ends the first.
    let done = run(
        "1..3 | % { [Console]::Out.WriteLine(\"in $_\"); $_ } | select -First 2 | % { \"out $_\" }",
    );
    assert_eq!(done.text(), "in 1\r\nout 1\r\nin 2\r\nout 2\r\n");
}

#[test]
fn errors() {
    check(&[
        (
            "try { throw 'x' } catch { $_.Exception.Message; $_.FullyQualifiedErrorId; $_.Exception.GetType().FullName }",
            "\"x\",\"x\",\"System.Management.Automation.RuntimeException\"",
        ),
        ("try { 1 } finally { 2 }", "1,2"),
        (
            "try { try { throw 'a' } finally { 'f' } } catch { 'c' }",
            "\"f\",\"c\"",
        ),
        (
            "try { Get-Thing none -ErrorAction Stop } catch { $_.FullyQualifiedErrorId; [string]$_.CategoryInfo.Category; $_.CategoryInfo.Reason; $_.CategoryInfo.TargetName; $_.Exception.HResult }",
            "\"NoThing,Example.Commands.GetThing\",\"ObjectNotFound\",\"ThingException\",\"none\",-2147217406",
        ),
        (
            "Get-Thing a,none,b -ErrorAction SilentlyContinue | ForEach-Object Name; $?; $Error.Count -gt 0",
            "\"a\",\"b\",false,true",
        ),
        ("Get-Thing none -EA SilentlyContinue; $?", "false"),
        (
            "try { Get-Thing -Foo 1 } catch { $_.FullyQualifiedErrorId }",
            "\"NamedParameterNotFound,Example.Commands.GetThing\"",
        ),
        (
            "try { Get-Thing -Id x } catch { $_.FullyQualifiedErrorId }",
            "\"CannotConvertArgumentNoMessage,Example.Commands.GetThing\"",
        ),
        (
            "try { Stop-Thing $null } catch { $_.FullyQualifiedErrorId }",
            "\"ParameterArgumentValidationErrorNullNotAllowed,Example.Commands.StopThing\"",
        ),
        (
            "Stop-Thing 1 -Confirm:$false; Stop-Thing 1; Things\\Stop-Thing 1 -Conf:0",
            "true,false,true",
        ),
        ("Get-Nothing", "ERR CommandNotFoundException"),
        ("Other\\Get-Thing a", "ERR CouldNotAutoLoadModule"),
        ("[Foo.Bar]::Baz()", "ERR TypeNotFound"),
        ("[guid]::Nope()", "ERR MethodNotFound"),
        ("[Security.Example]::Answer(1)", "42"),
        ("(Get-Thing a).Poke()", "\"poked\""),
        (
            "try { [guid]::Parse('x') } catch { $_.FullyQualifiedErrorId; $_.Exception.InnerException.GetType().FullName }",
            "\"FormatException\",\"System.FormatException\"",
        ),
        (
            "try { try { throw 'in' } catch { throw } } catch { $_.Exception.Message }",
            "\"in\"",
        ),
        ("try { throw @{ a = 1 } } catch { $_.TargetObject.a }", "1"),
        ("$true = 1", "ERR VariableNotWritable"),
        (
            "try { Write-Error 'w' -ErrorAction Stop } catch { $_.FullyQualifiedErrorId }",
            "\"Microsoft.PowerShell.Commands.WriteErrorException\"",
        ),
        ("& $null", "ERR BadExpression"),
        (
            "try { Get-Thing none -EA Stop } catch [System.ArgumentException] { 1 } catch { 2 }",
            "2",
        ),
        (
            "$ErrorActionPreference = 'Stop'; try { Get-Thing none } catch { 'caught' }",
            "\"caught\"",
        ),
        (
            "New-Object Foo.Bar",
            "ERR TypeNotFound,Microsoft.PowerShell.Commands.NewObjectCommand",
        ),
        ("[scriptblock]::Create('if (')", "ERR ParseException"),
        (
            "Start-Sleep -Milliseconds 5 -Bogus",
            "ERR NamedParameterNotFound,Microsoft.PowerShell.Commands.StartSleepCommand",
        ),
        (
            "Get-Thing a b c",
            "ERR PositionalParameterNotFound,Example.Commands.GetThing",
        ),
    ]);
}

#[test]
fn dotnet() {
    check(&[
        (
            "[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes('h\u{e4}'))",
            "\"aMOk\"",
        ),
        (
            "[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('aMOk'))",
            "\"h\u{e4}\"",
        ),
        ("[Text.Encoding]::Unicode.GetBytes('a')", "97,0"),
        (
            "[Environment]::MachineName; [Environment]::OSVersion.Version.Build",
            "\"HV01\",20348",
        ),
        (
            "(Get-Date).ToUniversalTime().ToString('o')",
            "\"2026-03-04T05:06:07.0000000Z\"",
        ),
        (
            "(Get-Date).AddSeconds(2) -gt (Get-Date); [datetime]::UtcNow.Year",
            "true,2026",
        ),
        (
            "([datetime]'2026-01-02' - [datetime]'2026-01-01').TotalMilliseconds",
            "86400000",
        ),
        (
            "[long][TimeSpan]::FromMinutes(2).TotalMilliseconds; ([TimeSpan]'01:00:00').TotalSeconds",
            "120000,3600",
        ),
        (
            "$w = [Diagnostics.Stopwatch]::StartNew(); Start-Sleep -Seconds 2; $w.ElapsedMilliseconds",
            "2000",
        ),
        (
            "$PSVersionTable.PSVersion.Major; $PSVersionTable.PSEdition; $PID -gt 0",
            "5,\"Desktop\",true",
        ),
        (
            "$env:TEMP; $env:NOPE; [string]$ExecutionContext.SessionState.LanguageMode",
            "\"C:\\\\Temp\",null,\"FullLanguage\"",
        ),
        (
            "(Get-Culture).Name; [Globalization.CultureInfo]::CurrentCulture.Name",
            "\"en-US\",\"en-US\"",
        ),
        ("[int][Console]::OutputEncoding.CodePage", "65001"),
        (
            "Split-Path 'C:\\a\\b.txt' -Leaf; Split-Path 'C:\\a\\b.txt'; Test-Path env:TEMP",
            "\"b.txt\",\"C:\\\\a\",true",
        ),
        (
            "[Management.Automation.WildcardPattern]::Escape('a[1]*')",
            "\"a`[1`]`*\"",
        ),
        (
            "@(Get-Command pwsh.exe -ErrorAction SilentlyContinue).Count; @(Get-Command no.exe -ErrorAction SilentlyContinue).Count",
            "1,0",
        ),
        ("'x'.Nope()", "ERR MethodNotFound"),
    ]);
}

#[test]
fn json_of_both_editions() {
    let script = r#"
        @{ a = @(1); d = [datetime]::new; } | Out-Null
        ConvertTo-Json -InputObject @(1) -Compress
        ConvertTo-Json -InputObject @() -Compress
        ConvertTo-Json -InputObject @{ a = @(); n = $null; t = $true; x = 1.5; l = 5000000000 } -Compress | ForEach-Object Length
        1 | ConvertTo-Json -Compress
        @() | ConvertTo-Json
        1,2 | ConvertTo-Json -Compress
        ConvertTo-Json -InputObject @{ a = @{ b = @{ c = @{ d = 1 } } } } -Compress
        ConvertTo-Json -InputObject ([ordered]@{ g = [guid]'6C09BB55-D683-4DA0-8931-C9BF705F6480'; s = (Get-Thing a).State; q = "it's <b>" }) -Compress
        ConvertTo-Json -InputObject ([ordered]@{ t = [datetime]'2020-01-01T00:00:00Z' }) -Compress
    "#
    .replace("d = [datetime]::new; ", "");
    let common = "[1]\r\n[]\r\n49\r\n1\r\n[1,2]\r\n{\"a\":{\"b\":{\"c\":\"System.Collections.Hashtable\"}}}\r\n";
    assert_eq!(
        run(&script).text(),
        format!(
            "{common}{}\r\n{}\r\n",
            r#"{"g":"6c09bb55-d683-4da0-8931-c9bf705f6480","s":2,"q":"it\u0027s \u003cb\u003e"}"#,
            r#"{"t":"\/Date(1577836800000)\/"}"#
        )
    );
    assert_eq!(
        run_core(&script).text(),
        format!(
            "WARNING_IN_DOCUMENT{common}{}\r\n{}\r\n",
            r#"{"g":"6c09bb55-d683-4da0-8931-c9bf705f6480","s":2,"q":"it's <b>"}"#,
            r#"{"t":"2020-01-01T00:00:00+00:00"}"#
        )
        .replace("WARNING_IN_DOCUMENT", "")
    );
    assert!(
        run_core(&script)
            .error()
            .contains("exceeded the set depth of 2")
    );
}

#[test]
fn json_is_read_as_each_edition_reads_it() {
    check(&[
        (
            "$a = '{\"id\":\"x\",\"n\":3,\"l\":[1,2],\"o\":{\"p\":null}}' | ConvertFrom-Json; $a.id; $a.n; $a.l.Count; $a.o.p; $a.missing",
            "\"x\",3,2,null,null",
        ),
        (
            "('[1,2]' | ConvertFrom-Json).Count; @('[1,2]' | ConvertFrom-Json).Count",
            "2,1",
        ),
        (
            "'{' | ConvertFrom-Json",
            "ERR System.ArgumentException,Microsoft.PowerShell.Commands.ConvertFromJsonCommand",
        ),
        (
            "ConvertTo-Json -InputObject @{ v = ('[1]' | ConvertFrom-Json) } -Compress",
            "\"{\\\"v\\\":{\\\"value\\\":[1],\\\"Count\\\":1}}\"",
        ),
        (
            "Remove-TypeData System.Array; ConvertTo-Json -InputObject @{ v = ('[1]' | ConvertFrom-Json) } -Compress",
            "\"{\\\"v\\\":[1]}\"",
        ),
        (
            "Remove-TypeData System.Array -ErrorAction Stop",
            "ERR TypesXmlRemoveException,Microsoft.PowerShell.Commands.RemoveTypeDataCommand",
        ),
    ]);
    assert_eq!(
        run_core("@('[1,2]' | ConvertFrom-Json).Count").text(),
        "2\r\n"
    );
}

#[test]
fn layout_of_json() {
    let script = "ConvertTo-Json -InputObject ([ordered]@{ a = @(1, 2); b = 'x' })";
    assert_eq!(
        run(script).text(),
        "{\r\n    \"a\":  [\r\n              1,\r\n              2\r\n          ],\r\n    \"b\":  \"x\"\r\n}\r\n"
    );
    assert_eq!(
        run_core(script).text(),
        "{\r\n  \"a\": [\r\n    1,\r\n    2\r\n  ],\r\n  \"b\": \"x\"\r\n}\r\n"
    );
}
