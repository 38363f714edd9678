# The watch: reads the whole host again and again and tells what is different, until its time is up or
# nobody listens any more. Frames: HELLO (who we are), SNAP (everything), DELTA (what has changed since),
# BEAT (nothing has), BYE (why it ends). list.ps1 is here as the function Read-List.
#
# Writing to a listener who has gone away does not fail, so the end has to be looked for: a limit of
# life, and the sshd process of the connection, which is an ancestor of this one and ends with it.
$source = 'vmdeck-watch'
function Get-Ticks { (Get-Date).ToUniversalTime().Ticks }
# Milliseconds since then.
function Get-Age {
    param($Since)
    [long](((Get-Ticks) - $Since) / 10000)
}
function Find-Connection {
    $id = [int]$PID
    foreach ($step in 1..5) {
        $one = @(Get-CimInstance -Namespace 'root\cimv2' -Query "SELECT Name, ParentProcessId FROM Win32_Process WHERE ProcessId=$id")
        if ($one.Count -ne 1) { return $null }
        if ([string]$one[0].Name -like 'sshd*') { return $id }
        $id = [int]$one[0].ParentProcessId
    }
    $null
}
# True when there is nobody who could listen; not knowing is no reason to end.
function Test-Deserted {
    if ($null -eq $connection) { return $false }
    $left = @(Get-Process -Id $connection -ErrorAction SilentlyContinue)
    $left.Count -eq 0
}
# What a row says, as one text; the time it has been running is compared on its own.
function Test-System {
    param($Row)
    $text = @($Row.name, $Row.state, $Row.health) -join '|'
    if ($sentSystems[$Row.id] -ceq $text) { return $false }
    $sentSystems[$Row.id] = $text
    $true
}
# Uptimes grow by themselves. One that is where it was to be expected is no news.
function Test-Figure {
    param($Row, $IsRunning, $At)
    $text = @($Row.load, $Row.memoryMb, $Row.processors, $Row.heartbeat, $Row.system, $Row.notes) -join '|'
    $uptime = [long]$Row.uptimeMs
    $sent = $sentFigures[$Row.id]
    if ($sent -and $sent.text -ceq $text) {
        $expected = $sent.uptime
        if ($IsRunning) { $expected += [long](($At - $sent.at) / 10000) }
        if ([math]::Abs($uptime - $expected) -lt 3000) { return $false }
    }
    $sentFigures[$Row.id] = @{ text = $text; uptime = $uptime; at = $At }
    $true
}
$began = Get-Ticks
$self = Get-Process -Id $PID
Send-Frame 'HELLO' @{
    v = 1
    process = [int]$PID
    started = [long]$self.StartTime.ToUniversalTime().Ticks
    powershell = [string]$PSVersionTable.PSVersion
}
$connection = $null
try { $connection = Find-Connection } catch { }
# Changes of state wake the loop early. A host that announces nothing is looked at all the same.
$isWoken = $false
try {
    Register-CimIndicationEvent -Namespace 'root\virtualization\v2' -SourceIdentifier $source -Query "SELECT * FROM __InstanceModificationEvent WITHIN 1 WHERE TargetInstance ISA 'Msvm_ComputerSystem' AND TargetInstance.EnabledState <> PreviousInstance.EnabledState" | Out-Null
    $isWoken = $true
} catch { }
$sentSystems = @{}
$sentFigures = @{}
$kind = 'SNAP'
$told = $began
$why = 'life'
while ((Get-Age $began) -lt [long]$ask.lifeMs) {
    if (Test-Deserted) {
        $why = 'deserted'
        break
    }
    $at = Get-Ticks
    $script:gaps = @()
    $list = Read-List
    $runs = @{}
    foreach ($row in $list.systems) { $runs[$row.id] = ($row.state -eq 2) }
    $gone = @($sentSystems.Keys | Where-Object { -not $runs.ContainsKey($_) })
    foreach ($id in $gone) {
        $sentSystems.Remove($id)
        $sentFigures.Remove($id)
    }
    $news = @{
        v = 1
        tookMs = (Get-Age $at)
        systems = @($list.systems | Where-Object { Test-System $_ })
        figures = @($list.figures | Where-Object { $_ -and (Test-Figure $_ $runs[$_.id] $at) })
        gone = $gone
        gaps = @($script:gaps)
        totalKib = $list.totalKib
        freeKib = $list.freeKib
        hostLoad = $list.hostLoad
        disks = $list.disks
        cards = $list.cards
    }
    $count = $news.systems.Count + $news.figures.Count + $gone.Count
    if ($kind -eq 'SNAP' -or $count -gt 0) {
        Send-Frame $kind $news
        $kind = 'DELTA'
        $told = Get-Ticks
    } elseif ((Get-Age $told) + [long]$ask.periodMs -gt [long]$ask.beatMs) {
        Send-Frame 'BEAT' $news
        $told = Get-Ticks
    }
    # A host that answers slowly is given as much rest as it took.
    $rest = [math]::Max([long]$ask.periodMs, (Get-Age $at))
    if ($isWoken) {
        Wait-Event -SourceIdentifier $source -Timeout ([int][math]::Ceiling([double]$rest / 1000)) | Out-Null
        Remove-Event -SourceIdentifier $source -ErrorAction SilentlyContinue
        Start-Sleep -Milliseconds 100
    } else {
        Start-Sleep -Milliseconds $rest
    }
}
if ($isWoken) { Unregister-Event -SourceIdentifier $source -ErrorAction SilentlyContinue }
Send-Frame 'BYE' @{ v = 1; why = $why }
