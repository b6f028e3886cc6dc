// One virtual machine that keeps a Lustre file system and a container in step: copytool, follower and policies.
//   az deployment group create --resource-group RG --template-file lfsazsync.bicep --parameters @parameters.json
// Sign in to the container by the machine's identity (the default, nothing to expire) or by a SAS.

@description('Resource ID of the subnet that the machine goes to; it must reach the Lustre servers and the storage account')
param subnet_id string

@description('Size of the machine, an x64 one. Lustre and the storage account share its network: count half of it for each')
param vm_sku string = 'Standard_D16ads_v5'

param admin_user string = 'azureuser'

@description('Public SSH key of the administrator')
param ssh_key string

@description('IP address or name of the Lustre MGS')
param lustre_mgs string

@description('Name of the Lustre file system (of Azure Managed Lustre: lustrefs)')
param lustre_fsname string = 'lustrefs'

param mount_point string = '/mnt/lustre'

param storage_account_name string
param storage_container_name string

@description('Below which names of the container everything goes; empty: all of it')
param storage_prefix string = ''

@description('Resource group of the storage account, for the role assignment')
param storage_resource_group string = resourceGroup().name

@description('SAS of the container with racwdl; empty: the managed identity of the machine, which gets a role on the container')
@secure()
param storage_sas string = ''

@description('The changelog user that was registered for lfsazsync, such as cl1; empty: the follower is not started')
param changelog_user string = ''

@minValue(1)
@maxValue(65535)
param ssh_port int = 22

@description('URL of a release: a .deb or a -linux-x64.tar.xz')
param release_url string

@description('SHA-256 of that file, from SHA256SUMS')
@minLength(64)
@maxLength(64)
param release_sha256 string

@allowed(['ubuntu2204', 'ubuntu2404', 'almalinux9'])
param os string = 'ubuntu2404'

@description('Whether the names of the container are imported into the file system when that is empty')
param import_container bool = true

param location string = resourceGroup().location
param name string = 'lfsazsync'

var images = loadJsonContent('images.json')
var by_identity = empty(storage_sas)
// Lines of NAME=VALUE for install.sh. They travel in the extension's protected settings, encrypted, as does the SAS.
var settings = join([
  'ROLE=all'
  'LUSTRE_MGS=${lustre_mgs}'
  'LUSTRE_FSNAME=${lustre_fsname}'
  'MOUNT_POINT=${mount_point}'
  'ENDPOINT=https://${storage_account_name}.blob.${environment().suffixes.storage}'
  'CONTAINER=${storage_container_name}'
  'PREFIX=${storage_prefix}'
  'CREDENTIAL=${by_identity ? 'managed_identity' : 'sas'}'
  'SAS=${storage_sas}'
  'CHANGELOG_USER=${changelog_user}'
  'SSH_PORT=${ssh_port}'
  'RELEASE_URL=${release_url}'
  'RELEASE_SHA256=${release_sha256}'
  'IMPORT=${import_container ? 'true' : 'false'}'
], '\n')

resource nic 'Microsoft.Network/networkInterfaces@2024-05-01' = {
  name: '${name}-nic'
  location: location
  properties: {
    enableAcceleratedNetworking: true
    ipConfigurations: [
      {
        name: 'ipconfig1'
        properties: {
          privateIPAllocationMethod: 'Dynamic'
          subnet: { id: subnet_id }
        }
      }
    ]
  }
}

resource vm 'Microsoft.Compute/virtualMachines@2024-11-01' = {
  name: name
  location: location
  identity: { type: 'SystemAssigned' }
  properties: {
    hardwareProfile: { vmSize: vm_sku }
    storageProfile: {
      imageReference: images[os]
      osDisk: {
        createOption: 'FromImage'
        diskSizeGB: 128
        managedDisk: { storageAccountType: 'Premium_LRS' }
      }
    }
    osProfile: {
      computerName: name
      adminUsername: admin_user
      linuxConfiguration: {
        disablePasswordAuthentication: true
        ssh: {
          publicKeys: [
            {
              path: '/home/${admin_user}/.ssh/authorized_keys'
              keyData: ssh_key
            }
          ]
        }
      }
    }
    networkProfile: {
      networkInterfaces: [{ id: nic.id }]
    }
    diagnosticsProfile: {
      bootDiagnostics: { enabled: true }
    }
  }
}

module access 'container-role.bicep' = if (by_identity) {
  name: '${name}-container-role'
  scope: resourceGroup(storage_resource_group)
  params: {
    principal_id: vm.identity.principalId
    storage_account_name: storage_account_name
    storage_container_name: storage_container_name
  }
}

resource install 'Microsoft.Compute/virtualMachines/extensions@2024-11-01' = {
  parent: vm
  name: 'install'
  location: location
  properties: {
    publisher: 'Microsoft.Azure.Extensions'
    type: 'CustomScript'
    typeHandlerVersion: '2.1'
    autoUpgradeMinorVersion: true
    protectedSettings: {
      script: base64('#!/bin/sh\nexport LFSAZSYNC_INSTALL=${base64(settings)}\n${loadTextContent('../install.sh')}')
    }
  }
  dependsOn: [access]
}

output machine string = vm.id
output private_ip string = nic.properties.ipConfigurations[0].properties.privateIPAddress
