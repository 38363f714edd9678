# Shared by all verbs: finding a VM, refusing, asking for a change of state, following its job, and
# looking whether the change has come. Names of VMs are never used: only ids, as GUIDs.
$space = 'root\virtualization\v2'
# EnabledState of Msvm_ComputerSystem: the standard numbers, and those of the vendor's range.
$running = @(2)
$off = @(3)
$saved = @(6, 32769, 32779, 32783)
$paused = @(9, 32768)
function Find-Machine {
    param($Id)
    $guid = ([guid]$Id).ToString().ToUpper()
    $found = @(Get-CimInstance -Namespace $space -ClassName Msvm_ComputerSystem -Filter "Name='$guid'")
    if ($found.Count -ne 1) { Stop-Task 'gone' @{ id = $guid } }
    $found[0]
}
function Assert-State {
    param($Machine, $Allowed)
    $state = [int]$Machine.EnabledState
    if ($state -notin $Allowed) { Stop-Task 'wrong-state' @{ state = $state } }
}
function Deny-State {
    param($Machine, $Denied)
    $state = [int]$Machine.EnabledState
    if ($state -in $Denied) { Stop-Task 'wrong-state' @{ state = $state } }
}
# Takes what a method returned: 0 = done, 4096 = a job was started, all else a refusal. Follows the
# job for as long as the caller allows; true means that it has ended well.
function Complete-Answer {
    param($Answer, $Method)
    $code = [long]$Answer.ReturnValue
    if ($code -eq 0) { return $true }
    if ($code -ne 4096) { Stop-Task 'refused' @{ method = $Method; code = $code } }
    $id = [string]$Answer.Job.InstanceID
    Send-Frame 'JOB' @{ id = $id; process = [int]$PID }
    $end = (Get-Date).AddSeconds([int]$ask.limit)
    $shown = -1
    while ($true) {
        $job = @(Get-CimInstance -Namespace $space -ClassName Msvm_ConcreteJob -Filter "InstanceID='$id'")
        # Some time after its end a job is gone; what came of it is looked at afterwards.
        if ($job.Count -eq 0) { return $true }
        $state = [int]$job[0].JobState
        if ($state -in @(7, 32768)) { return $true }
        if ($state -in @(8, 9, 10)) {
            Stop-Task 'job-failed' @{
                method = $Method
                state = $state
                code = [long]$job[0].ErrorCode
                text = [string]$job[0].ErrorDescription
                summary = [string]$job[0].ErrorSummaryDescription
            }
        }
        $percent = [int]$job[0].PercentComplete
        if ($percent -ne $shown) {
            $shown = $percent
            Send-Frame 'PROG' @{ id = $id; percent = $percent; state = $state }
        }
        if ((Get-Date) -ge $end) { return $false }
        Start-Sleep -Milliseconds 300
    }
}
# Asks for a state and looks whether it came: a clean job that changed nothing is a failure.
function Set-State {
    param($Machine, $Number, $Goal)
    $before = [int]$Machine.EnabledState
    $answer = Invoke-CimMethod -InputObject $Machine -MethodName RequestStateChange -Arguments @{ RequestedState = [uint16]$Number }
    $done = Complete-Answer $answer 'RequestStateChange'
    $end = (Get-Date).AddSeconds(10)
    while ($true) {
        $state = [int](Find-Machine $Machine.Name).EnabledState
        if ($state -in $Goal) { return @{ state = $state; done = $true } }
        if ((-not $done) -or (Get-Date) -ge $end) { break }
        Start-Sleep -Milliseconds 300
    }
    if ($done -and $state -eq $before) { Stop-Task 'unchanged' @{ state = $state } }
    @{ state = $state; done = $false }
}
