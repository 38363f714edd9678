# What one VM is set up with, through CIM: the cmdlets' own reading lags behind a change.
$space = 'root\virtualization\v2'
$guid = ([guid]$ask.id).ToString().ToUpper()
$own = "InstanceID LIKE 'Microsoft:$guid%'"
$found = @(Get-CimInstance -Namespace $space -ClassName Msvm_VirtualSystemSettingData -Filter "VirtualSystemIdentifier='$guid' AND VirtualSystemType='Microsoft:Hyper-V:System:Realized'")
if ($found.Count -eq 0) { Stop-Task 'gone' @{ id = $guid } }
$answer = @{
    notes = [string](@($found[0].Notes) -join "`n")
    startAction = [int]$found[0].AutomaticStartupAction
}
foreach ($memory in @(Get-CimInstance -Namespace $space -ClassName Msvm_MemorySettingData -Filter $own)) {
    $answer.memoryStartup = [long]$memory.VirtualQuantity * 1048576
    if ([bool]$memory.DynamicMemoryEnabled) {
        $answer.memoryMinimum = [long]$memory.Reservation * 1048576
        $answer.memoryMaximum = [long]$memory.Limit * 1048576
    }
}
foreach ($processor in @(Get-CimInstance -Namespace $space -ClassName Msvm_ProcessorSettingData -Filter $own)) {
    $answer.processors = [int]$processor.VirtualQuantity
}
$answer
