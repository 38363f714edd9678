# Deletes a checkpoint; its disks are merged in the background. With it, if that is asked, all below it.
$point = Find-Point (Hyper-V\Get-VM -Id ([guid]$ask.id)) $ask.point
Hyper-V\Remove-VMSnapshot -VMSnapshot $point -IncludeAllChildSnapshots:([bool]$ask.below) -Confirm:$false
@{ id = [string]$point.Id; done = $true }
