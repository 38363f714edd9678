# Makes a checkpoint of the kind that the VM is set to make.
$vm = Hyper-V\Get-VM -Id ([guid]$ask.id)
$point = Hyper-V\Checkpoint-VM -VM $vm -SnapshotName ([string]$ask.name) -Passthru -Confirm:$false
@{ id = [string]$point.Id; done = $true }
