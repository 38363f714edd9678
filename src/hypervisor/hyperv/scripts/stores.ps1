# Switches, and the folders that disks of VMs are in, with the images in them that no VM names. Each part on its own:
# an image that is gone costs no other answer, and a folder that cannot be listed is left out.
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
# An image with all that it is based on, each told once.
function Read-Images {
    param($Path)
    for ($n = 0; $Path -and $n -lt 64 -and -not $seen.ContainsKey($Path.ToLower()); $n++) {
        $seen[$Path.ToLower()] = 1
        $image = @{ path = $Path }
        $next = ''
        try {
            $vhd = Hyper-V\Get-VHD -Path $Path
            $image.format = [string]$vhd.VhdFormat
            $image.size = [long]$vhd.Size
            $image.fileSize = [long]$vhd.FileSize
            $image.parent = [string]$vhd.ParentPath
            $next = $image.parent
        } catch {
            $script:gaps += @(@{ part = $Path; failure = (Get-Failure $_) })
        }
        $script:images += @($image)
        $Path = $next
    }
}
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
            $drives = @(Hyper-V\Get-VMHardDiskDrive -VM $vm)
            # What a checkpoint goes back to is a disk of the VM as well.
            foreach ($point in @(Hyper-V\Get-VMSnapshot -VM $vm)) {
                $drives += @(Hyper-V\Get-VMHardDiskDrive -VMSnapshot $point)
            }
            foreach ($drive in $drives) {
                $path = [string]$drive.Path
                if ($null -ne $drive.DiskNumber) { $path = '' }
                if ($path -and $path -notin $row.disks) { $row.disks += @($path) }
                Read-Images $path
            }
        } catch {
            $row.unread = $true
            $script:gaps += @(@{ part = $row.name; failure = (Get-Failure $_) })
        }
        $row
    })
}
$answer.images = @($script:images)
$folders = @([string]$answer.folder)
foreach ($image in $script:images) { $folders += @([string](Split-Path $image.path)) }
$seen = @{}
$answer.listed = @(foreach ($folder in $folders) {
    $key = $folder.TrimEnd('\').ToLower()
    if (-not $key -or $seen.ContainsKey($key)) { continue }
    $seen[$key] = 1
    # Where other hosts keep disks of theirs, it is not known here whose a file is.
    if ($key.StartsWith('\\') -or $key.Contains(':\clusterstorage')) { continue }
    try {
        @{
            path = $folder
            files = @(Get-ChildItem -LiteralPath $folder -File | Where-Object { $_.Extension -in @('.vhd', '.vhdx', '.avhd', '.avhdx', '.vhds') } | ForEach-Object {
                @{ path = [string]$_.FullName; fileSize = [long]$_.Length }
            })
        }
    } catch { }
})
$answer
