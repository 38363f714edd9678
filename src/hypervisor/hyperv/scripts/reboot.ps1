# Asks the guest to restart. Nothing is forced; the guest may refuse.
$vm = Find-Machine $ask.id
Assert-State $vm $running
Send-ToGuest $vm 'InitiateReboot'
