import { removeSharedCluster } from './shared-cluster.js'

await removeSharedCluster()
