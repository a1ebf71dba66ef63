// The same cut off at more places.
import '../restore/crash-live.js'
