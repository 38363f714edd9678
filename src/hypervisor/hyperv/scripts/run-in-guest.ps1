# Runs a program in a VM for an account of that VM, through the host (PowerShell Direct). The password is a line
# of standard input, in base64, with the time that the program's end is waited for; it is nowhere else.
$vm = Find-Machine $ask.id
Assert-State $vm $running
# Windows PowerShell can hang on an empty pipe of its SSH server; by now the line has long been there.
$reader = New-Object IO.StreamReader ([Console]::OpenStandardInput())
$reading = $reader.ReadLineAsync()
if (-not $reading.Wait(15000)) { Stop-Task 'no-password' @{ id = [string]$vm.Name } }
$parts = ([string]$reading.Result).Split(' ')
# Made by hand: what a cmdlet is given may be logged on the host.
$password = New-Object Security.SecureString
foreach ($sign in [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($parts[0])).ToCharArray()) { $password.AppendChar($sign) }
$account = New-Object Management.Automation.PSCredential ([string]$ask.user), $password
$told = Invoke-Command -VMId ([guid]$ask.id) -Credential $account -ArgumentList ([string]$ask.program), ([string]$ask.words), ([int]$parts[1]) -ScriptBlock {
    param($program, $words, $within)
    $start = New-Object Diagnostics.ProcessStartInfo
    $start.FileName = $program
    $start.Arguments = $words
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    # Latin-1 has one character for each byte.
    $bytes = [Text.Encoding]::GetEncoding(28591)
    $start.StandardOutputEncoding = $bytes
    $start.StandardErrorEncoding = $bytes
    try {
        $process = [Diagnostics.Process]::Start($start)
    } catch {
        return @{ refused = [string]$_.Exception.GetBaseException().Message }
    }
    $process.StandardInput.Close()
    # One more than is kept tells that there was more.
    $most = 1048577
    $pipes = @(foreach ($pipe in @($process.StandardOutput, $process.StandardError)) {
        $signs = New-Object 'char[]' $most
        @{ pipe = $pipe; signs = $signs; reading = $pipe.ReadBlockAsync($signs, 0, $most); rest = $null }
    })
    $end = (Get-Date).AddMilliseconds($within)
    while (-not $process.WaitForExit(100)) {
        foreach ($one in $pipes) {
            # What is not kept is taken all the same, or the program would wait for ever.
            if ($one.reading.IsCompleted -and -not $one.rest) { $one.rest = $one.pipe.BaseStream.CopyToAsync([IO.Stream]::Null) }
        }
        if ((Get-Date) -ge $end) { return @{ process = [int]$process.Id } }
    }
    $printed = @(foreach ($one in $pipes) {
        # A program that it has left behind may hold the pipe open.
        $isWhole = $one.reading.Wait(2000)
        $count = 0
        if ($isWhole) { $count = [int]$one.reading.Result }
        @{ text = [Convert]::ToBase64String($bytes.GetBytes($one.signs, 0, $count)); isCut = (-not $isWhole) }
    })
    @{ code = [int]$process.ExitCode; out = $printed[0]; err = $printed[1] }
}
$answer = @{}
foreach ($name in @('refused', 'process', 'code')) {
    if ($null -ne $told.$name) { $answer[$name] = $told.$name }
}
if ($null -ne $told.code) {
    $answer.out = [string]$told.out.text
    $answer.outCut = [bool]$told.out.isCut
    $answer.err = [string]$told.err.text
    $answer.errCut = [bool]$told.err.isCut
}
$answer
