# Everything about one VM. Each part on its own: a disk whose file is gone costs no other answer.
$vm = Hyper-V\Get-VM -Id ([guid]$ask.id)
$answer = @{}
Read-Part 'settings' {
    $answer.machine = @{
        id = [string]$vm.Id
        name = [string]$vm.Name
        state = [int]$vm.State
        stateName = [string]$vm.State
        notes = [string]$vm.Notes
        generation = [int]$vm.Generation
        version = [string]$vm.Version
        created = $vm.CreationTime.ToUniversalTime().ToString('o')
        path = [string]$vm.Path
        clustered = [bool]$vm.IsClustered
        replication = [string]$vm.ReplicationState
        processors = [int]$vm.ProcessorCount
        dynamicMemory = [bool]$vm.DynamicMemoryEnabled
        memoryStartup = [long]$vm.MemoryStartup
        memoryMinimum = [long]$vm.MemoryMinimum
        memoryMaximum = [long]$vm.MemoryMaximum
        memoryAssigned = [long]$vm.MemoryAssigned
        memoryDemand = [long]$vm.MemoryDemand
        startAction = [int]$vm.AutomaticStartAction
        startDelay = [int]$vm.AutomaticStartDelay
        stopAction = [int]$vm.AutomaticStopAction
        checkpointType = [string]$vm.CheckpointType
        parentCheckpoint = [string]$vm.ParentSnapshotId
        heartbeat = [string]$vm.Heartbeat
    }
}
Read-Part 'disks' {
    $answer.disks = @(foreach ($drive in @(Hyper-V\Get-VMHardDiskDrive -VM $vm)) {
        $disk = @{
            controller = [string]$drive.ControllerType
            number = [int]$drive.ControllerNumber
            location = [int]$drive.ControllerLocation
            path = [string]$drive.Path
            chain = @()
        }
        if ($null -ne $drive.DiskNumber) { $disk.hostDisk = [int]$drive.DiskNumber }
        $path = $disk.path
        # A differencing disk names its parent; the number bounds a chain that bites its own tail.
        for ($n = 0; $path -and $n -lt 64 -and $null -eq $disk.hostDisk; $n++) {
            $link = @{ path = $path }
            $disk.chain += @($link)
            $next = ''
            try {
                $vhd = Hyper-V\Get-VHD -Path $path
                $link.format = [string]$vhd.VhdFormat
                $link.kind = [string]$vhd.VhdType
                $link.size = [long]$vhd.Size
                $link.fileSize = [long]$vhd.FileSize
                $next = [string]$vhd.ParentPath
            } catch {
                $script:gaps += @(@{ part = $path; failure = (Get-Failure $_) })
            }
            $path = $next
        }
        $disk
    })
}
Read-Part 'network cards' {
    $answer.nics = @(foreach ($nic in @(Hyper-V\Get-VMNetworkAdapter -VM $vm)) {
        @{
            name = [string]$nic.Name
            mac = [string]$nic.MacAddress
            dynamicMac = [bool]$nic.DynamicMacAddressEnabled
            switch = [string]$nic.SwitchName
            connected = [bool]$nic.Connected
            legacy = [bool]$nic.IsLegacy
            addresses = @($nic.IPAddresses | ForEach-Object { [string]$_ })
        }
    })
}
Read-Part 'checkpoints' {
    $answer.checkpoints = @(foreach ($point in @(Hyper-V\Get-VMSnapshot -VM $vm)) {
        @{
            id = [string]$point.Id
            name = [string]$point.Name
            parent = [string]$point.ParentSnapshotId
            created = $point.CreationTime.ToUniversalTime().ToString('o')
            kind = [string]$point.SnapshotType
            automatic = [bool]$point.IsAutomaticCheckpoint
            notes = [string]$point.Notes
            state = [int]$point.State
        }
    })
}
Read-Part 'integration services' {
    $answer.services = @(foreach ($service in @(Hyper-V\Get-VMIntegrationService -VM $vm)) {
        $row = @{ id = [string]$service.Id; name = [string]$service.Name; enabled = [bool]$service.Enabled }
        if ($null -ne $service.PrimaryOperationalStatus) { $row.status = [int]$service.PrimaryOperationalStatus }
        $row
    })
}
$answer
