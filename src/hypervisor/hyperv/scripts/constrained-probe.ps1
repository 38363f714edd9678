# The probe of a host whose PowerShell is constrained: no .NET, so no base64 and no groups.
# One line of JSON behind each mark, and a last line that says how many there were.
$ProgressPreference = 'SilentlyContinue'
$ErrorActionPreference = 'Stop'
try {
    $facts = @{
        powershell = [string]$PSVersionTable.PSVersion
        edition = [string]$PSVersionTable.PSEdition
        languageMode = [string]$ExecutionContext.SessionState.LanguageMode
        module = @(Get-Module -ListAvailable -Name Hyper-V | ForEach-Object { [string]$_.Version })
    }
    $service = @(Get-Service -Name vmms -ErrorAction SilentlyContinue)
    if ($service.Count -gt 0) { $facts.services = @{ vmms = [string]$service[0].Status } }
    try {
        $os = Get-CimInstance -Namespace 'root\cimv2' -ClassName Win32_OperatingSystem
        $facts.caption = [string]$os.Caption
        $facts.version = [string]$os.Version
        $facts.productType = [int]$os.ProductType
        $machine = Get-CimInstance -Namespace 'root\cimv2' -ClassName Win32_ComputerSystem
        $facts.processors = [int]$machine.NumberOfLogicalProcessors
        $facts.memory = [long]$machine.TotalPhysicalMemory
    } catch { }
    '@@HV1 NONCE RAW ' + (ConvertTo-Json -InputObject $facts -Depth 4 -Compress)
    '@@HV1 NONCE END 1'
    exit 0
} catch {
    '@@HV1 NONCE RERR ' + (ConvertTo-Json -InputObject @{ messages = @([string]$_.Exception.Message); fqid = [string]$_.FullyQualifiedErrorId; category = [string]$_.CategoryInfo.Category } -Compress)
    exit 1
}
