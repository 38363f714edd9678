# Powers a VM on, or restores the memory that was saved.
$vm = Find-Machine $ask.id
Assert-State $vm ($off + $saved)
Set-State $vm 2 $running
