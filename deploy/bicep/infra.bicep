// What lfsazsync.bicep needs, to try it out: a virtual network with a way out, a storage account with a container, and an Azure Managed
// Lustre file system *without* HSM of its own (the container is lfsazsync's, not the service's).
//   az deployment group create --resource-group RG --template-file infra.bicep

param location string = resourceGroup().location
param name string = 'lfsazsync'

@description('Name of the storage account, unique in Azure: 3 to 24 lower-case letters and digits')
@minLength(3)
@maxLength(24)
param storage_account_name string = 'lfs${uniqueString(resourceGroup().id)}'

param storage_container_name string = 'lustre'

param address_prefix string = '10.42.0.0/16'
param lustre_subnet_prefix string = '10.42.0.0/24'
param machine_subnet_prefix string = '10.42.1.0/24'

@allowed([
  'AMLFS-Durable-Premium-40'
  'AMLFS-Durable-Premium-125'
  'AMLFS-Durable-Premium-250'
  'AMLFS-Durable-Premium-500'
])
param lustre_sku string = 'AMLFS-Durable-Premium-250'

@description('In steps that depend on the SKU: 48, 16, 8 and 4 TiB')
param lustre_capacity_tib int = 8

@description('Availability zone of the file system; empty where the region has none')
param zone string = '1'

@description('How long deleted and overwritten blobs can be brought back, days')
@minValue(1)
@maxValue(365)
param soft_delete_days int = 14

// The machines' way out: packages, and the release. Without one of its own, a new subnet has none.
resource address 'Microsoft.Network/publicIPAddresses@2024-05-01' = {
  name: '${name}-nat-ip'
  location: location
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource gateway 'Microsoft.Network/natGateways@2024-05-01' = {
  name: '${name}-nat'
  location: location
  sku: { name: 'Standard' }
  properties: {
    publicIpAddresses: [{ id: address.id }]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: '${name}-vnet'
  location: location
  properties: {
    addressSpace: { addressPrefixes: [address_prefix] }
    subnets: [
      {
        name: 'lustre'
        properties: { addressPrefix: lustre_subnet_prefix }
      }
      {
        name: 'machines'
        properties: {
          addressPrefix: machine_subnet_prefix
          natGateway: { id: gateway.id }
          // Traffic to the storage account stays on Azure's network.
          serviceEndpoints: [{ service: 'Microsoft.Storage' }]
        }
      }
    ]
  }

  resource lustre 'subnets' existing = { name: 'lustre' }
  resource machines 'subnets' existing = { name: 'machines' }
}

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: storage_account_name
  location: location
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // lfsazsync does not work with a hierarchical namespace.
    isHnsEnabled: false
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'AzureServices'
      virtualNetworkRules: [{ id: network::machines.id }]
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: {
        enabled: true
        days: soft_delete_days
      }
    }

    resource container 'containers' = {
      name: storage_container_name
    }
  }
}

resource lustre 'Microsoft.StorageCache/amlFilesystems@2024-07-01' = {
  name: '${name}-amlfs'
  location: location
  sku: { name: lustre_sku }
  zones: empty(zone) ? [] : [zone]
  properties: {
    storageCapacityTiB: lustre_capacity_tib
    filesystemSubnet: network::lustre.id
    maintenanceWindow: {
      dayOfWeek: 'Sunday'
      timeOfDayUTC: '02:00'
    }
  }
}

output subnet_id string = network::machines.id
output storage_account_name string = account.name
output storage_container_name string = storage_container_name
output lustre_mgs string = lustre.properties.clientInfo.mgsAddress
