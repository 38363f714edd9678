# Shared by the verbs that ask the guest: the shutdown service inside it does what is asked.
# Its row is there only while the VM runs and the service answers.
function Send-ToGuest {
    param($Machine, $Method)
    $guid = [string]$Machine.Name
    $service = @(Get-CimInstance -Namespace $space -ClassName Msvm_ShutdownComponent -Filter "SystemName='$guid'")
    if ($service.Count -eq 0) { Stop-Task 'no-shutdown-service' @{ id = $guid } }
    $answer = Invoke-CimMethod -InputObject $service[0] -MethodName $Method -Arguments @{ Force = $false; Reason = 'asked by vmdeck' }
    $done = Complete-Answer $answer $Method
    @{ state = [int]$Machine.EnabledState; done = $done }
}
