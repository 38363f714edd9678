# Every VM of the host in one answer, through CIM: rows of several classes, to be joined by GUID.
# Memory is in MB, time in ms. What is null on the host stays null: unknown is not zero.
# The fast scope reads states and figures; the full one adds what changes rarely.
$space = 'root\virtualization\v2'
function Read-Rows {
    param($Query, $Shape)
    Get-CimInstance -Namespace $space -Query $Query | ForEach-Object $Shape
}
function Get-Whole {
    param($Value)
    if ($null -eq $Value) { return $null }
    [long]$Value
}
$answer = @{ scope = [string]$ask.scope }
# The host has a row of its own here, whose Name is no GUID.
$answer.systems = @(Read-Rows 'SELECT Name, ElementName, EnabledState, HealthState FROM Msvm_ComputerSystem' {
    @{ id = [string]$_.Name; name = [string]$_.ElementName; state = [int]$_.EnabledState; health = (Get-Whole $_.HealthState) }
})
Read-Part 'figures' {
    $answer.figures = @(Read-Rows 'SELECT Name, ProcessorLoad, MemoryUsage, UpTime, NumberOfProcessors, GuestOperatingSystem, Notes FROM Msvm_SummaryInformation' {
        @{
            id = [string]$_.Name
            load = (Get-Whole $_.ProcessorLoad)
            memoryMb = (Get-Whole $_.MemoryUsage)
            uptimeMs = (Get-Whole $_.UpTime)
            processors = (Get-Whole $_.NumberOfProcessors)
            system = [string]$_.GuestOperatingSystem
            notes = [string]$_.Notes
        }
    })
}
Read-Part 'host memory' {
    $os = Get-CimInstance -Query 'SELECT TotalVisibleMemorySize, FreePhysicalMemory FROM Win32_OperatingSystem'
    $answer.totalKib = [long]$os.TotalVisibleMemorySize
    $answer.freeKib = [long]$os.FreePhysicalMemory
}
# The root partition's own figures miss the guests; the hypervisor's do not. A host whose counters
# are broken goes without, and that is no gap of a VM.
try {
    $total = @(Get-CimInstance -Query "SELECT PercentTotalRunTime FROM Win32_PerfFormattedData_HvStats_HyperVHypervisorLogicalProcessor WHERE Name='_Total'")
    if ($total.Count -eq 1) { $answer.hostLoad = (Get-Whole $total[0].PercentTotalRunTime) }
} catch { }
# Bytes of disks and network cards are counted up for ever; two reads tell what passes in a second.
# The rows are named after files and cards. A host whose counters are broken goes without here too.
function Read-Counters {
    param($Class, $Taken, $Given)
    try {
        Get-CimInstance "Win32_PerfRawData_$Class" | ForEach-Object {
            @{ name = [string]$_.Name; taken = [long]$_.$Taken; given = [long]$_.$Given; at = [long]$_.Timestamp_Sys100NS }
        }
    } catch { }
}
$answer.disks = @(Read-Counters Counters_HyperVVirtualStorageDevice ReadBytesPersec WriteBytesPersec)
$answer.cards = @(Read-Counters NvspNicStats_HyperVVirtualNetworkAdapter BytesReceivedPersec BytesSentPersec)
if ($answer.scope -eq 'full') {
    Read-Part 'settings' {
        $answer.settings = @(Read-Rows "SELECT VirtualSystemIdentifier, AutomaticStartupAction FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemType='Microsoft:Hyper-V:System:Realized'" {
            @{ id = [string]$_.VirtualSystemIdentifier; start = (Get-Whole $_.AutomaticStartupAction) }
        })
    }
    Read-Part 'memory settings' {
        $answer.memory = @(Read-Rows "SELECT InstanceID, VirtualQuantity FROM Msvm_MemorySettingData WHERE InstanceID LIKE 'Microsoft:%'" {
            @{ id = [string]$_.InstanceID; startupMb = (Get-Whole $_.VirtualQuantity) }
        })
    }
    Read-Part 'checkpoints' {
        $answer.checkpoints = @(Read-Rows "SELECT VirtualSystemIdentifier FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemType LIKE 'Microsoft:Hyper-V:Snapshot%'" {
            [string]$_.VirtualSystemIdentifier
        })
    }
    Read-Part 'addresses' {
        $answer.addresses = @(Read-Rows 'SELECT InstanceID, IPAddresses FROM Msvm_GuestNetworkAdapterConfiguration' {
            @{ id = [string]$_.InstanceID; addresses = @($_.IPAddresses | ForEach-Object { [string]$_ }) }
        })
    }
    Read-Part 'files' {
        $answer.files = @(Read-Rows 'SELECT InstanceID, HostResource FROM Msvm_StorageAllocationSettingData' {
            @{ id = [string]$_.InstanceID; files = @($_.HostResource | ForEach-Object { [string]$_ }) }
        })
    }
}
$answer
