# Writes the memory to the host's disk and powers off.
$vm = Find-Machine $ask.id
Assert-State $vm ($running + $paused)
Set-State $vm 6 $saved
