# Presses keys of a VM's keyboard: control, alt and delete together, or lines of text with Enter between them.
$vm = Find-Machine $ask.id
Assert-State $vm $running
$boards = @(Get-CimInstance -Namespace $space -ClassName Msvm_Keyboard -Filter ("SystemName='" + $vm.Name + "'"))
if ($boards.Count -eq 0) { Stop-Task 'no-keyboard' @{ id = [string]$vm.Name } }
function Assert-Typed {
    param($Answer, $Method)
    $code = [long]$Answer.ReturnValue
    if ($code -eq 1) { Stop-Task 'untranslatable' @{ method = $Method } }
    if ($code -ne 0) { Stop-Task 'refused' @{ method = $Method; code = $code } }
}
if ($ask.ctrlAltDel) {
    Assert-Typed (Invoke-CimMethod -InputObject $boards[0] -MethodName TypeCtrlAltDel) 'TypeCtrlAltDel'
} else {
    $isFirst = $true
    foreach ($line in @($ask.lines)) {
        # 13 is the virtual key of Enter.
        if (-not $isFirst) { Assert-Typed (Invoke-CimMethod -InputObject $boards[0] -MethodName TypeKey -Arguments @{ keyCode = [uint32]13 }) 'TypeKey' }
        $isFirst = $false
        if ($line) { Assert-Typed (Invoke-CimMethod -InputObject $boards[0] -MethodName TypeText -Arguments @{ asciiText = [string]$line }) 'TypeText' }
    }
}
@{ typed = $true }
