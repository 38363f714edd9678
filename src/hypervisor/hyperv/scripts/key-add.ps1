# Lets the holder of a key into the account that is logged in, with the options that another key has there.
$file = Find-Keys
$key = [string]$ask.key
$end = "`n"
$options = ''
$text = ''
$before = $null
if ([IO.File]::Exists($file)) {
    $before = Read-Keys $file
    $text = $before
    if ($text.Contains("`r`n")) { $end = "`r`n" }
    $lines = @($text.Split("`n"))
    if (@($lines | Where-Object { Test-Key $_ $key }).Count -gt 0) { return @{ done = 'present' } }
    $like = @($lines | Where-Object { $ask.like -and (Test-Key $_ ([string]$ask.like)) })
    if ($like.Count -gt 0) { $options = $like[0].Substring(0, $like[0].IndexOf([string]$ask.like)).TrimStart() }
    if ($text -and -not $text.EndsWith("`n")) { $text = $text + $end }
} else {
    [IO.Directory]::CreateDirectory($file.Substring(0, $file.LastIndexOf('\'))) | Out-Null
}
$comment = $bytes.GetString([Text.Encoding]::UTF8.GetBytes([string]$ask.comment))
Write-Keys $file $before ($text + ($options + $key + ' ' + $comment).TrimEnd() + $end)
@{ done = 'added' }
