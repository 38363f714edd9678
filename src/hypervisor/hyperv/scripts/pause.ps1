# Stops the virtual processors and keeps the memory.
$vm = Find-Machine $ask.id
Assert-State $vm $running
Set-State $vm 9 $paused
