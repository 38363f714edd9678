# Does not start the VM together with its host.
$vm = Hyper-V\Get-VM -Id ([guid]$ask.id)
Hyper-V\Set-VM -VM $vm -AutomaticStartAction Nothing -Confirm:$false
Assert-StartAction $ask.id 2
