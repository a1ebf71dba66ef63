// Random settings of database and role, for as long as there is time.
import '../restore/settings-property.js'
