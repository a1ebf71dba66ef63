// Each byte of an archive with each of the masks.
import '../archive/bit-flips.js'
