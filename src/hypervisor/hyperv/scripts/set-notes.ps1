# Sets the notes of a VM.
$vm = Hyper-V\Get-VM -Id ([guid]$ask.id)
Hyper-V\Set-VM -VM $vm -Notes ([string]$ask.notes) -Confirm:$false
@{ done = $true }
