// For `node --import`: runs TypeScript as it stands, in worker threads too, where tsx does not register itself.
import { register } from 'tsx/esm/api'

register()
