// Random requests, for as long as there is time.
import '../routes/fuzz.js'
