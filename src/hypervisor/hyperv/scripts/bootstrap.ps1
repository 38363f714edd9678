# Carries a script over the command line: inflates it and runs it. NONCE and PAYLOAD (base64 of the
# script, gzip) are the only words replaced. Where PowerShell is constrained there is no .NET to do
# that with; the line that says so needs nothing but a string.
$ProgressPreference = 'SilentlyContinue'
$mode = "$($ExecutionContext.SessionState.LanguageMode)"
if ($mode -ne 'FullLanguage') { "@@HV1 NONCE LANG $mode"; exit 1 }
$data = New-Object IO.MemoryStream (, [Convert]::FromBase64String('PAYLOAD'))
$gzip = New-Object IO.Compression.GzipStream $data, ([IO.Compression.CompressionMode]::Decompress)
& ([scriptblock]::Create((New-Object IO.StreamReader $gzip).ReadToEnd()))
