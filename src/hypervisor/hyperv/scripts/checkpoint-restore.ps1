# Brings the VM back to a checkpoint. The cmdlet asks before it does, unless it is told not to.
$point = Find-Point (Hyper-V\Get-VM -Id ([guid]$ask.id)) $ask.point
Hyper-V\Restore-VMSnapshot -VMSnapshot $point -Confirm:$false
@{ id = [string]$point.Id; done = $true }
