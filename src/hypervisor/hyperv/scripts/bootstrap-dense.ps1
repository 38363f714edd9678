# The same as bootstrap.ps1 for scripts that are too long for it. Every character of PAYLOAD is a CJK
# ideograph from U+4E00 on and carries fourteen bits of the gzip, twice as much as base64 does here:
# the command line counts characters of UTF-16, whatever they hold.
$ProgressPreference = 'SilentlyContinue'
$mode = "$($ExecutionContext.SessionState.LanguageMode)"
if ($mode -ne 'FullLanguage') { "@@HV1 NONCE LANG $mode"; exit 1 }
$bits = 0
$count = 0
$packed = [byte[]]@(foreach ($sign in 'PAYLOAD'.ToCharArray()) {
    $bits = ($bits -band 255) * 16384 + [int]$sign - 19968
    $count += 14
    while ($count -ge 8) {
        $count -= 8
        ($bits -shr $count) -band 255
    }
})
$data = New-Object IO.MemoryStream -ArgumentList (, $packed)
$gzip = New-Object IO.Compression.GzipStream -ArgumentList $data, ([IO.Compression.CompressionMode]::Decompress)
$text = New-Object IO.StreamReader -ArgumentList $gzip
& ([scriptblock]::Create($text.ReadToEnd()))
