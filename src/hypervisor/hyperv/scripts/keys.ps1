# Shared by the tasks that change who may log in: which file it is, what is in it, and how it is replaced in one
# step. Every byte is one character, so that what is not meant stays byte for byte.
$bytes = [Text.Encoding]::GetEncoding(28591)
function Find-Keys {
    $groups = @([Security.Principal.WindowsIdentity]::GetCurrent().Groups | ForEach-Object { [string]$_.Value })
    if ($groups -notcontains 'S-1-5-32-544') { return ($env:USERPROFILE + '\.ssh\authorized_keys') }
    # Where the server's own settings send members of Administrators to a file of their own.
    $settings = $env:ProgramData + '\ssh\sshd_config'
    if ([IO.File]::Exists($settings)) {
        $lines = @($bytes.GetString([IO.File]::ReadAllBytes($settings)).Split("`n") | Where-Object { -not $_.Trim().StartsWith('#') })
        if (@($lines | Where-Object { $_.Contains('administrators_authorized_keys') }).Count -eq 0) { return ($env:USERPROFILE + '\.ssh\authorized_keys') }
    }
    $env:ProgramData + '\ssh\administrators_authorized_keys'
}
function Read-Keys {
    param($File)
    $text = $bytes.GetString([IO.File]::ReadAllBytes($File))
    # PowerShell writes two bytes a character where it is not told otherwise; the server reads no such file.
    if ($text.Contains([string][char]0)) { Stop-Task 'keys-not-text' @{ file = $File } }
    $text
}
function Test-Key {
    param($Line, $Key)
    $words = $Line.Trim().Replace("`t", ' ')
    if ($words.StartsWith('#')) { return $false }
    (' ' + $words + ' ').Contains(' ' + $Key + ' ')
}
function Write-Keys {
    param($File, $Before, $Text)
    $temp = $File + '.vmdeck.' + $PID
    try {
        [IO.File]::WriteAllBytes($temp, $bytes.GetBytes($Text))
        if ($null -eq $Before) {
            # Only the system, Administrators and the account itself: the server ignores what others may write.
            $who = [string][Security.Principal.WindowsIdentity]::GetCurrent().User.Value
            $own = ''
            if (-not $File.EndsWith('administrators_authorized_keys')) { $own = '(A;;FA;;;' + $who + ')' }
            $rights = Get-Acl -LiteralPath $temp
            $rights.SetSecurityDescriptorSddlForm('D:P(A;;FA;;;SY)(A;;FA;;;BA)' + $own)
            Set-Acl -LiteralPath $temp -AclObject $rights
            [IO.File]::Move($temp, $File)
        } else {
            if ((Read-Keys $File) -cne $Before) { Stop-Task 'keys-changed' @{ file = $File } }
            # It takes over the rights of the file that it replaces; where it does not, they are set again.
            $rights = Get-Acl -LiteralPath $File
            [IO.File]::Replace($temp, $File, [NullString]::Value)
            if ((Get-Acl -LiteralPath $File).Sddl -cne $rights.Sddl) { Set-Acl -LiteralPath $File -AclObject $rights }
        }
    } finally {
        if ([IO.File]::Exists($temp)) { [IO.File]::Delete($temp) }
    }
    if ((Read-Keys $File) -cne $Text) { Stop-Task 'keys-not-written' @{ file = $File } }
}
