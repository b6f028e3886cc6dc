// More machines that move data: a scale set of copytools beside the one machine of lfsazsync.bicep, which keeps follower
// and policies. Lustre's coordinator spreads its actions over all of them; there is nothing else to set up between them.
//   az deployment group create --resource-group RG --template-file copytools.bicep --parameters @parameters.json

param subnet_id string

@minValue(1)
@maxValue(100)
param machine_count int = 2

param vm_sku string = 'Standard_D16ads_v5'
param admin_user string = 'azureuser'
param ssh_key string
param lustre_mgs string
param lustre_fsname string = 'lustrefs'
param mount_point string = '/mnt/lustre'
param storage_account_name string
param storage_container_name string
param storage_prefix string = ''
param storage_resource_group string = resourceGroup().name

@description('SAS of the container with racwdl; empty: one managed identity for all machines, which gets a role on the container')
@secure()
param storage_sas string = ''

@minValue(1)
@maxValue(65535)
param ssh_port int = 22

param release_url string

@minLength(64)
@maxLength(64)
param release_sha256 string

@allowed(['ubuntu2204', 'ubuntu2404', 'almalinux9'])
param os string = 'ubuntu2404'

param location string = resourceGroup().location
param name string = 'lfsazsync-copytools'

var images = loadJsonContent('images.json')
var by_identity = empty(storage_sas)
var settings = join([
  'ROLE=copytool'
  'LUSTRE_MGS=${lustre_mgs}'
  'LUSTRE_FSNAME=${lustre_fsname}'
  'MOUNT_POINT=${mount_point}'
  'ENDPOINT=https://${storage_account_name}.blob.${environment().suffixes.storage}'
  'CONTAINER=${storage_container_name}'
  'PREFIX=${storage_prefix}'
  'CREDENTIAL=${by_identity ? 'managed_identity' : 'sas'}'
  'IDENTITY_CLIENT_ID=${identity.properties.clientId}'
  'SAS=${storage_sas}'
  'SSH_PORT=${ssh_port}'
  'RELEASE_URL=${release_url}'
  'RELEASE_SHA256=${release_sha256}'
], '\n')

// Of the set and not of its machines: it has its role before the first of them starts, and after one was replaced.
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

module access 'container-role.bicep' = if (by_identity) {
  name: '${name}-container-role'
  scope: resourceGroup(storage_resource_group)
  params: {
    principal_id: identity.properties.principalId
    storage_account_name: storage_account_name
    storage_container_name: storage_container_name
  }
}

resource machines 'Microsoft.Compute/virtualMachineScaleSets@2024-11-01' = {
  name: name
  location: location
  sku: {
    name: vm_sku
    tier: 'Standard'
    capacity: machine_count
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    orchestrationMode: 'Uniform'
    overprovision: false
    // A machine that goes takes its actions along until it, or the coordinator's timeout, ends them: nobody replaces all at once.
    upgradePolicy: { mode: 'Manual' }
    virtualMachineProfile: {
      storageProfile: {
        imageReference: images[os]
        osDisk: {
          createOption: 'FromImage'
          diskSizeGB: 64
          managedDisk: { storageAccountType: 'Premium_LRS' }
        }
      }
      osProfile: {
        computerNamePrefix: 'copytool'
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
        networkInterfaceConfigurations: [
          {
            name: 'nic'
            properties: {
              primary: true
              enableAcceleratedNetworking: true
              ipConfigurations: [
                {
                  name: 'ipconfig1'
                  properties: {
                    subnet: { id: subnet_id }
                  }
                }
              ]
            }
          }
        ]
      }
      extensionProfile: {
        extensions: [
          {
            name: 'install'
            properties: {
              publisher: 'Microsoft.Azure.Extensions'
              type: 'CustomScript'
              typeHandlerVersion: '2.1'
              autoUpgradeMinorVersion: true
              protectedSettings: {
                script: base64('#!/bin/sh\nexport LFSAZSYNC_INSTALL=${base64(settings)}\n${loadTextContent('../install.sh')}')
              }
            }
          }
        ]
      }
    }
  }
  dependsOn: [access]
}

output machines string = machines.id
