# Everything about one VM through CIM, where the cmdlets cannot be used. What a disk is based on, sizes
# of images and the state of integration services are known to the cmdlets only.
$space = 'root\virtualization\v2'
function Read-Rows {
    param($Class, $Filter)
    @(Get-CimInstance -Namespace $space -ClassName $Class -Filter $Filter)
}
$guid = ([guid]$ask.id).ToString().ToUpper()
$own = "InstanceID LIKE 'Microsoft:$guid%'"
$found = @(Read-Rows 'Msvm_VirtualSystemSettingData' "VirtualSystemIdentifier='$guid' AND VirtualSystemType='Microsoft:Hyper-V:System:Realized'")
if ($found.Count -eq 0) { Stop-Task 'gone' @{ id = $guid } }
$answer = @{}
Read-Part 'settings' {
    $vm = $found[0]
    $machine = @{
        id = $guid
        name = [string]$vm.ElementName
        notes = [string](@($vm.Notes) -join "`n")
        version = [string]$vm.Version
        created = $vm.CreationTime.ToUniversalTime().ToString('o')
        path = [string]$vm.ConfigurationDataRoot
        startAction = [int]$vm.AutomaticStartupAction
        stopAction = [int]$vm.AutomaticShutdownAction
    }
    if ([string]$vm.VirtualSystemSubType -like '*SubType:2') { $machine.generation = 2 } else { $machine.generation = 1 }
    $answer.machine = $machine
}
Read-Part 'memory' {
    foreach ($memory in @(Read-Rows 'Msvm_MemorySettingData' $own)) {
        $answer.machine.dynamicMemory = [bool]$memory.DynamicMemoryEnabled
        $answer.machine.memoryStartup = [long]$memory.VirtualQuantity * 1048576
        $answer.machine.memoryMinimum = [long]$memory.Reservation * 1048576
        $answer.machine.memoryMaximum = [long]$memory.Limit * 1048576
    }
}
Read-Part 'disks' {
    $answer.disks = @(foreach ($disk in @(Read-Rows 'Msvm_StorageAllocationSettingData' $own)) {
        $files = @($disk.HostResource)
        if ($files.Count -gt 0 -and $files[0]) {
            @{
                controller = 'disk'
                location = [int]$disk.AddressOnParent
                path = [string]$files[0]
                chain = @(@{ path = [string]$files[0] })
            }
        }
    })
}
Read-Part 'network cards' {
    $switches = @{}
    foreach ($switch in @(Get-CimInstance -Namespace $space -Query 'SELECT Name, ElementName FROM Msvm_VirtualEthernetSwitch')) {
        $switches[[string]$switch.Name] = [string]$switch.ElementName
    }
    $plugs = @(Read-Rows 'Msvm_EthernetPortAllocationSettingData' $own)
    $guests = @(Read-Rows 'Msvm_GuestNetworkAdapterConfiguration' "InstanceID LIKE 'Microsoft:GuestNetwork%'")
    $answer.nics = @(foreach ($nic in @(Read-Rows 'Msvm_SyntheticEthernetPortSettingData' $own)) {
        $id = [string]$nic.InstanceID
        $row = @{ name = [string]$nic.ElementName; mac = [string]$nic.Address; addresses = @(); connected = $false }
        foreach ($plug in $plugs) {
            if (([string]$plug.InstanceID).StartsWith($id)) {
                foreach ($name in @($switches.Keys)) {
                    if ([string]$plug.HostResource -like "*$name*") {
                        $row.switch = $switches[$name]
                        $row.connected = $true
                    }
                }
            }
        }
        foreach ($guest in $guests) {
            if ([string]$guest.InstanceID -eq $id.Replace('Microsoft:', 'Microsoft:GuestNetwork\')) {
                $row.addresses = @($guest.IPAddresses | ForEach-Object { [string]$_ })
            }
        }
        $row
    })
}
Read-Part 'checkpoints' {
    foreach ($mark in @(Get-CimInstance -Namespace $space -ClassName Msvm_MostCurrentSnapshotInBranch)) {
        if ([string]$mark.Antecedent.Name -eq $guid) { $answer.machine.parentCheckpoint = [string]$mark.Dependent.InstanceID }
    }
    $answer.checkpoints = @(foreach ($point in @(Read-Rows 'Msvm_VirtualSystemSettingData' "VirtualSystemIdentifier='$guid' AND VirtualSystemType LIKE 'Microsoft:Hyper-V:Snapshot%'")) {
        @{
            id = [string]$point.InstanceID
            name = [string]$point.ElementName
            parent = [string]$point.Parent
            created = $point.CreationTime.ToUniversalTime().ToString('o')
        }
    })
}
$answer
