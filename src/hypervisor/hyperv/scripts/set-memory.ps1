# Sets the memory that a VM starts with.
$vm = Hyper-V\Get-VM -Id ([guid]$ask.id)
Hyper-V\Set-VM -VM $vm -MemoryStartupBytes ([long]$ask.bytes) -Confirm:$false
@{ done = $true }
