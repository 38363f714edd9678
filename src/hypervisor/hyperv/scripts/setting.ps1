# Shared by the verbs that change a setting: reads the setting back, not through the cmdlets, whose
# own reading lags behind a change.
function Assert-StartAction {
    param($Id, $Wanted)
    $guid = ([guid]$Id).ToString().ToUpper()
    $filter = "VirtualSystemIdentifier='$guid' AND VirtualSystemType='Microsoft:Hyper-V:System:Realized'"
    $end = (Get-Date).AddSeconds(5)
    while ($true) {
        $rows = @(Get-CimInstance -Namespace 'root\virtualization\v2' -ClassName Msvm_VirtualSystemSettingData -Filter $filter)
        if ($rows.Count -eq 0) { Stop-Task 'gone' @{ id = $guid } }
        $value = [int]$rows[0].AutomaticStartupAction
        if ($value -eq $Wanted) { return @{ value = $value; done = $true } }
        if ((Get-Date) -ge $end) { Stop-Task 'unchanged' @{ value = $value } }
        Start-Sleep -Milliseconds 300
    }
}
