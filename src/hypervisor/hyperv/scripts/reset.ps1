# Presses the reset button.
$vm = Find-Machine $ask.id
Assert-State $vm ($running + $paused)
Set-State $vm 11 $running
