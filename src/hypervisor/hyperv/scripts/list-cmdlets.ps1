# Every VM of the host through the cmdlets, where the CIM namespace fails though the module is there.
# Slower than CIM; memory is in bytes, time in ms.
$full = [string]$ask.scope -eq 'full'
$rows = @(Hyper-V\Get-VM | ForEach-Object {
    $vm = $_
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
        notes = [string]$vm.Notes
        start = [int]$vm.AutomaticStartAction
    }
    if ($full) {
        Read-Part ([string]$vm.Name) {
            $row.checkpoints = [int]@(Hyper-V\Get-VMSnapshot -VM $vm).Count
            $row.addresses = @(Hyper-V\Get-VMNetworkAdapter -VM $vm | ForEach-Object { $_.IPAddresses } | ForEach-Object { [string]$_ })
        }
    }
    $row
})
$answer = @{ scope = [string]$ask.scope; machines = $rows }
Read-Part 'host memory' {
    $os = Get-CimInstance -Namespace 'root\cimv2' -ClassName Win32_OperatingSystem
    $answer.totalKib = [long]$os.TotalVisibleMemorySize
    $answer.freeKib = [long]$os.FreePhysicalMemory
}
$answer
