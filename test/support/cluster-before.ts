import { removeAbandonedClusters, sharedCluster } from './shared-cluster.js'

await removeAbandonedClusters()
await sharedCluster()
