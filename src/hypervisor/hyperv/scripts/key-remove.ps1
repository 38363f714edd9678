# Lets the holder of a key into the account no longer; another key has to be there, so that nobody is locked out.
$file = Find-Keys
if (-not [IO.File]::Exists($file)) { return @{ done = 'absent' } }
$before = Read-Keys $file
$lines = @($before.Split("`n"))
if (@($lines | Where-Object { Test-Key $_ ([string]$ask.key) }).Count -eq 0) { return @{ done = 'absent' } }
if (@($lines | Where-Object { Test-Key $_ ([string]$ask.keep) }).Count -eq 0) { Stop-Task 'key-not-kept' @{ file = $file } }
$left = @($lines | Where-Object { -not (Test-Key $_ ([string]$ask.key)) })
Write-Keys $file $before ($left -join "`n")
@{ done = 'removed' }
