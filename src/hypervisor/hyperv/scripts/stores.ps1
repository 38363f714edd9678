# Switches, and the folders that disks of VMs are in. Each part on its own: an image that is gone costs no
# other answer.
$answer = @{}
Read-Part 'the default folder' {
    $answer.folder = [string](Hyper-V\Get-VMHost).VirtualHardDiskPath
}
Read-Part 'switches' {
    $answer.switches = @(foreach ($switch in @(Hyper-V\Get-VMSwitch)) {
        @{
            id = [string]$switch.Id
            name = [string]$switch.Name
            kind = [int]$switch.SwitchType
            adapter = [string]$switch.NetAdapterInterfaceDescription
        }
    })
}
$seen = @{}
$images = @()
Read-Part 'VMs' {
    $answer.vms = @(foreach ($vm in @(Hyper-V\Get-VM)) {
        $row = @{
            id = [string]$vm.Id
            name = [string]$vm.Name
            state = [int]$vm.State
            disks = @()
            nics = @()
        }
        try {
            foreach ($nic in @(Hyper-V\Get-VMNetworkAdapter -VM $vm)) {
                $card = @{ switch = [string]$nic.SwitchName }
                if ($null -ne $nic.VlanSetting) { $card.vlan = [int]$nic.VlanSetting.AccessVlanId }
                $row.nics += @($card)
            }
            foreach ($drive in @(Hyper-V\Get-VMHardDiskDrive -VM $vm)) {
                $path = [string]$drive.Path
                if ($null -ne $drive.DiskNumber) { $path = '' }
                if ($path) { $row.disks += @($path) }
                for ($n = 0; $path -and $n -lt 64 -and -not $seen.ContainsKey($path.ToLower()); $n++) {
                    $seen[$path.ToLower()] = 1
                    $image = @{ path = $path }
                    $next = ''
                    try {
                        $vhd = Hyper-V\Get-VHD -Path $path
                        $image.format = [string]$vhd.VhdFormat
                        $image.size = [long]$vhd.Size
                        $image.fileSize = [long]$vhd.FileSize
                        $image.parent = [string]$vhd.ParentPath
                        $next = $image.parent
                    } catch {
                        $script:gaps += @(@{ part = $path; failure = (Get-Failure $_) })
                    }
                    $script:images += @($image)
                    $path = $next
                }
            }
        } catch {
            $row.unread = $true
            $script:gaps += @(@{ part = $row.name; failure = (Get-Failure $_) })
        }
        $row
    })
}
$answer.images = @($script:images)
$answer
