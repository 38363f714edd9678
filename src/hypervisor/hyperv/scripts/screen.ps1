# Takes a picture of what is on a VM's screen, two bytes a pixel; where the host refuses the size that is asked
# for, in the largest of those its summaries have.
$vm = Find-Machine $ask.id
Deny-State $vm ($off + $saved)
$settings = @(Get-CimAssociatedInstance -InputObject $vm -Association Msvm_SettingsDefineState -ResultClassName Msvm_VirtualSystemSettingData)
if ($settings.Count -eq 0) { Stop-Task 'gone' @{ id = [string]$vm.Name } }
$service = @(Get-CimInstance -Namespace $space -ClassName Msvm_VirtualSystemManagementService)[0]
$method = 'GetVirtualSystemThumbnailImage'
$width = [int]$ask.width
$height = [int]$ask.height
$answer = Invoke-CimMethod -InputObject $service -MethodName $method -Arguments @{ TargetSystem = $settings[0]; WidthPixels = [uint16]$width; HeightPixels = [uint16]$height }
if ([long]$answer.ReturnValue -ne 0) {
    $width = 320
    $height = 240
    $answer = Invoke-CimMethod -InputObject $service -MethodName $method -Arguments @{ TargetSystem = $settings[0]; WidthPixels = [uint16]$width; HeightPixels = [uint16]$height }
}
$code = [long]$answer.ReturnValue
if ($code -ne 0) { Stop-Task 'refused' @{ method = $method; code = $code } }
if (-not $answer.ImageData) { Stop-Task 'no-picture' @{ id = [string]$vm.Name } }
@{ width = $width; height = $height; pixels = [Convert]::ToBase64String([byte[]]$answer.ImageData) }
