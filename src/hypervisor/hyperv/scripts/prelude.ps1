# What every script begins and ends with. Three words are replaced before it is sent, each from an
# alphabet that holds no quote: NONCE by sixteen hexadecimal digits, ARGS by the base64 of the
# arguments as JSON, and the two marked lines by shared functions and by the task itself.
#
# Standard output carries frames, one a line and ASCII only: @@HV1 NONCE KIND base64(JSON).
# Exactly one final frame is sent, OK or ERR; JOB and PROG may come before it. Exit codes are 0 and 1
# only, because an outer PowerShell flattens every other one. bootstrap.ps1 carries all of it.
$ProgressPreference = 'SilentlyContinue'
$ErrorActionPreference = 'Stop'
$WarningPreference = 'SilentlyContinue'
$codePage = 0
try {
    $codePage = [int][Console]::OutputEncoding.CodePage
    [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
} catch { }
# Windows PowerShell wraps arrays in an object of their own while this type data is there.
Remove-TypeData -TypeName System.Array -ErrorAction SilentlyContinue
$script:why = $null
function Send-Frame {
    param($Kind, $Value)
    $json = ConvertTo-Json -InputObject $Value -Depth 8 -Compress
    $text = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json))
    [Console]::Out.WriteLine('@@HV1 NONCE ' + $Kind + ' ' + $text)
    [Console]::Out.Flush()
}
# Ends the task with a reason of our own: a code for the program, and facts.
function Stop-Task {
    param($Code, $Facts)
    $script:why = @{ code = $Code; facts = $Facts }
    throw ('vmdeck:' + $Code)
}
# An error record as data: the chain of messages, and what does not depend on the language.
function Get-Failure {
    param($Record)
    $messages = @()
    $codes = @()
    $cause = $Record.Exception
    while ($cause) {
        $messages += [string]$cause.Message
        try { $codes += [int]$cause.HResult } catch { }
        $cause = $cause.InnerException
    }
    @{
        v = 1
        messages = $messages
        codes = $codes
        fqid = [string]$Record.FullyQualifiedErrorId
        category = [string]$Record.CategoryInfo.Category
        reason = [string]$Record.CategoryInfo.Reason
        target = [string]$Record.CategoryInfo.TargetName
        why = $script:why
    }
}
# Runs one part of an answer; when it fails, that becomes a gap and the others stay.
function Read-Part {
    param($Name, $Part)
    try {
        & $Part
    } catch {
        $script:gaps += @(@{ part = $Name; failure = (Get-Failure $_) })
    }
}
$script:gaps = @()
#<functions>
try {
    $ask = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('ARGS')) | ConvertFrom-Json
    $data = @(& {
#<body>
    })
    Send-Frame 'OK' @{ v = 1; data = $data; gaps = @($script:gaps) }
    exit 0
} catch {
    Send-Frame 'ERR' (Get-Failure $_)
    exit 1
}
