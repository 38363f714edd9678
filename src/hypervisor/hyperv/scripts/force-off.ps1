# Cuts the power.
$vm = Find-Machine $ask.id
Deny-State $vm ($off + $saved)
Set-State $vm 3 $off
