# Sets how many processors a VM has.
$vm = Hyper-V\Get-VM -Id ([guid]$ask.id)
Hyper-V\Set-VM -VM $vm -ProcessorCount ([long]$ask.count) -Confirm:$false
@{ done = $true }
