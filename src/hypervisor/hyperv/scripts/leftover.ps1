# Ends watches that outlived their connection. A process is one of ours only when its number, the
# moment it was started and its command line all say so: numbers are used again, and other loops on
# the same host are somebody else's.
function Test-Ours {
    param($Process, $One)
    try {
        if ([long]$Process.StartTime.ToUniversalTime().Ticks -ne [long]$One.started) { return $false }
        $id = [int]$One.process
        $found = @(Get-CimInstance -Namespace 'root\cimv2' -Query "SELECT CommandLine FROM Win32_Process WHERE ProcessId=$id")
        if ($found.Count -ne 1) { return $false }
        ([string]$found[0].CommandLine).Contains([string]$One.mark)
    } catch {
        # What cannot be looked into is not ours.
        $false
    }
}
foreach ($one in @($ask.leftovers)) {
    $what = 'gone'
    $process = @(Get-Process -Id ([int]$one.process) -ErrorAction SilentlyContinue)
    if ($process.Count -eq 1) {
        $what = 'another'
        if (Test-Ours $process[0] $one) {
            Stop-Process -Id ([int]$one.process) -Force
            $what = 'stopped'
        }
    }
    @{ process = [int]$one.process; what = $what }
}
