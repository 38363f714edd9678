# What kind of host this is, and what the account may do on it. Every part on its own: what one
# cannot tell, the others still do.
$facts = @{
    powershell = [string]$PSVersionTable.PSVersion
    edition = [string]$PSVersionTable.PSEdition
    languageMode = [string]$ExecutionContext.SessionState.LanguageMode
    codePage = $codePage
    process = [int]$PID
    utc = (Get-Date).ToUniversalTime().ToString('o')
}
Read-Part 'culture' {
    $facts.culture = [string][Globalization.CultureInfo]::CurrentCulture.Name
    $facts.uiCulture = [string][Globalization.CultureInfo]::CurrentUICulture.Name
}
Read-Part 'account' {
    $facts.host = [string][Environment]::MachineName
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $groups = @($identity.Groups | ForEach-Object { [string]$_.Value })
    $facts.user = [string]$identity.Name
    $facts.isAdmin = [bool]($groups -contains 'S-1-5-32-544')
    $facts.isHyperVAdmin = [bool]($groups -contains 'S-1-5-32-578')
}
Read-Part 'system' {
    $os = Get-CimInstance -Namespace 'root\cimv2' -ClassName Win32_OperatingSystem
    $facts.caption = [string]$os.Caption
    $facts.version = [string]$os.Version
    $facts.productType = [int]$os.ProductType
    $facts.freeKib = [long]$os.FreePhysicalMemory
}
Read-Part 'machine' {
    $machine = Get-CimInstance -Namespace 'root\cimv2' -ClassName Win32_ComputerSystem
    $facts.processors = [int]$machine.NumberOfLogicalProcessors
    $facts.memory = [long]$machine.TotalPhysicalMemory
}
Read-Part 'module' {
    $facts.module = @(Get-Module -ListAvailable -Name Hyper-V | ForEach-Object { [string]$_.Version })
}
$facts.services = @{}
foreach ($name in @('vmms', 'vmcompute', 'ClusSvc', 'sshd')) {
    # A service that is not there is a fact, not a failure.
    $service = @(Get-Service -Name $name -ErrorAction SilentlyContinue)
    if ($service.Count -gt 0) { $facts.services[$name] = [string]$service[0].Status }
}
$facts.programs = @{}
foreach ($name in @('pwsh.exe', 'hvc.exe')) {
    $program = @(Get-Command -Name $name -ErrorAction SilentlyContinue)
    if ($program.Count -gt 0) { $facts.programs[$name] = [string]$program[0].Source }
}
# Last, so that a namespace that does not answer costs nothing else.
Read-Part 'namespace' {
    $rows = @(Get-CimInstance -Namespace 'root\virtualization\v2' -Query 'SELECT Name FROM Msvm_ComputerSystem')
    $facts.rows = [int]$rows.Count
}
$facts
