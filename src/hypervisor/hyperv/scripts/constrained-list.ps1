# Every VM of a host whose PowerShell is constrained: a plain pipeline, one line of JSON a VM, and a
# last line that says how many there were, so that a list that was cut is not taken for a short one.
$ProgressPreference = 'SilentlyContinue'
$ErrorActionPreference = 'Stop'
try {
    $count = 0
    foreach ($vm in @(Hyper-V\Get-VM)) {
        $row = @{
            id = [string]$vm.Id
            name = [string]$vm.Name
            state = [int]$vm.State
            stateName = [string]$vm.State
            load = [int]$vm.CPUUsage
            memory = [long]$vm.MemoryAssigned
            startup = [long]$vm.MemoryStartup
            uptimeMs = [long]$vm.Uptime.TotalMilliseconds
            processors = [int]$vm.ProcessorCount
            start = [int]$vm.AutomaticStartAction
        }
        '@@HV1 NONCE RAW ' + (ConvertTo-Json -InputObject $row -Compress)
        $count = $count + 1
    }
    '@@HV1 NONCE END ' + $count
    exit 0
} catch {
    '@@HV1 NONCE RERR ' + (ConvertTo-Json -InputObject @{ messages = @([string]$_.Exception.Message); fqid = [string]$_.FullyQualifiedErrorId; category = [string]$_.CategoryInfo.Category } -Compress)
    exit 1
}
