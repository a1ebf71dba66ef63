// The same cut off at more places, and at others for each seed.
import '../restore/crash-live.js'
