# Lets the virtual processors of a paused VM run again.
$vm = Find-Machine $ask.id
Assert-State $vm $paused
Set-State $vm 2 $running
