# Shared by the verbs about checkpoints: finding one of a VM by its id. Names are not unique.
function Find-Point {
    param($Machine, $Id)
    $found = @(Hyper-V\Get-VMSnapshot -VM $Machine | Where-Object { $_.Id -eq [guid]$Id })
    if ($found.Count -ne 1) { Stop-Task 'no-checkpoint' @{ id = [string]$Id } }
    $found[0]
}
